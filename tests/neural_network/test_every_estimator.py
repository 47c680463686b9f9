"""Behavior that every estimator of the package has."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from small_estimators import SMALL, output_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.parametrize("name", SMALL),
]


@pytest.fixture
def parts(digits):
    """Training set, validation set, and weights of the validation samples."""
    X, y = digits
    y = y % 3
    return X[:200], y[:200], X[200:], y[200:], np.linspace(0.0, 2.0, 100)


def validation(model, X_val, y_val, **given):
    """Return arguments of `fit`; an autoencoder takes no y_val."""
    if "y_val" in inspect.signature(model.fit).parameters:
        given["y_val"] = y_val
    return {"X_val": X_val, **given}


def validation_losses(model):
    """Return the losses of the validation set by epoch, of all networks."""
    networks = getattr(model, "estimators_", [model])
    return [[epoch["valid_loss"] for epoch in net.history_] for net in networks]


def test_read_only_arrays_are_accepted_and_unchanged(name, digits):
    X, y = (array.copy() for array in digits)
    weight = np.ones(len(y))
    for array in (X, y, weight):
        array.flags.writeable = False
    model = clone(SMALL[name]).fit(X, y, sample_weight=weight)
    if hasattr(model, "partial_fit"):
        model.partial_fit(X, y, sample_weight=weight)
    output_of(model, X)
    model.score(X, y, sample_weight=weight)
    assert_array_equal(X, digits[0])
    assert_array_equal(y, digits[1])


def test_frames_equal_arrays_and_their_names_are_checked(name, digits):
    X, y = digits
    frame = pd.DataFrame(X).add_prefix("pixel_")
    labels = pd.Series(y, index=np.arange(len(y))[::-1])
    model = clone(SMALL[name]).fit(frame, labels)
    assert_array_equal(model.feature_names_in_, frame.columns)
    of_array = clone(SMALL[name]).fit(X, y)
    assert_array_equal(output_of(model, frame), output_of(of_array, X))
    assert model.score(frame, labels) == of_array.score(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        output_of(model, frame[frame.columns[::-1]])


def test_validation_weights_count(name, parts):
    X, y, X_val, y_val, weight = parts
    model = SMALL[name]
    kept = weight > 1.0
    given = validation(model, X_val, y_val, sample_weight_val=kept.astype(float))
    weighted = clone(model).fit(X, y, **given)
    removed = clone(model).fit(X, y, **validation(model, X_val[kept], y_val[kept]))
    unweighted = clone(model).fit(X, y, **validation(model, X_val, y_val))
    losses = validation_losses(weighted)
    np.testing.assert_allclose(losses, validation_losses(removed), rtol=1e-5)
    assert losses != validation_losses(unweighted)


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (np.ones(99), r"\(99,\)"),
        (np.full(100, np.nan), "NaN"),
        (np.full(100, -1.0), "Negative values"),
        (np.zeros(100), "Sample weights must contain"),
    ],
    ids=["length", "NaN", "negative", "zero"],
)
def test_invalid_validation_weights_are_refused(name, weight, error, parts):
    X, y, X_val, y_val, _ = parts
    model = clone(SMALL[name])
    given = validation(model, X_val, y_val, sample_weight_val=weight)
    with pytest.raises(ValueError, match=f"Of sample_weight_val: .*{error}"):
        model.fit(X, y, **given)


def test_validation_weights_without_validation_set_are_refused(name, parts):
    X, y, *_, weight = parts
    message = re.escape("sample_weight_val was given without X_val")
    with pytest.raises(ValueError, match=message):
        clone(SMALL[name]).fit(X, y, sample_weight_val=weight)
