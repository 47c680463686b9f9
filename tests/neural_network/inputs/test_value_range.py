"""Values that float32 cannot hold are refused before they become infinite."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone

from skmlp.model_selection import packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler, PixelStandardizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.RandomState(0).normal(size=(12, 4))
Y = np.arange(12) % 2
FEW = {"max_iter": 1, "random_state": 0}
SINGLE = [
    MLPClassifier(4, **FEW),
    MLPClassifier(4, solver="lbfgs", **FEW),
    MLPRegressor(hidden_layer_sizes=4, **FEW),
    CNNClassifier(2, image_shape=(2, 2), hidden_layer_sizes=4, **FEW),
    SoftmaxRegression(**FEW),
]
ENSEMBLES = [
    EnsembleClassifier(SINGLE[0], 2),
    EnsembleClassifier(SINGLE[0], 2, n_jobs=1),
]
MESSAGE = r"X holds 1e\+39 in row 3, column 2, but float32 holds values up to 3.4e\+38"


def too_large():
    data = X.copy()
    data[3, 2] = 1e39
    return data


@pytest.mark.parametrize("model", SINGLE + ENSEMBLES, ids=repr)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_matrix])
def test_methods_refuse_values_beyond_float32(model, method, container):
    if not hasattr(model, method):
        pytest.skip("regressors have no probabilities")
    fitted = clone(model).fit(X.astype(np.float32), Y)
    arguments = (Y,) if method == "score" else ()
    with pytest.raises(ValueError, match=MESSAGE):
        getattr(fitted, method)(container(too_large()), *arguments)


@pytest.mark.parametrize("sign", [-1, 1])
def test_training_in_float32_refuses_values_beyond_it(sign):
    message = MESSAGE.replace("1e", "-1e") if sign < 0 else MESSAGE
    for model in SINGLE:
        with pytest.raises(ValueError, match=message):
            clone(model).set_params(dtype="float32").fit(sign * too_large(), Y)


def test_training_in_float64_holds_them():
    model = MLPClassifier(4, activation="tanh", solver="sgd", **FEW)
    assert np.isfinite(model.fit(too_large(), Y).predict_proba(too_large())).all()


@pytest.mark.parametrize("model", SINGLE[:1] + SINGLE[2:], ids=repr)
def test_validation_sets_and_batches_are_checked_too(model):
    narrow = X.astype(np.float32)
    with pytest.raises(ValueError, match=f"Of X_val and y_val: {MESSAGE}"):
        clone(model).fit(narrow, Y, X_val=too_large(), y_val=Y)
    partly = clone(model)
    classes = {} if isinstance(model, MLPRegressor) else {"classes": [0, 1]}
    partly.partial_fit(narrow, Y, **classes)
    with pytest.raises(ValueError, match=MESSAGE):
        partly.partial_fit(too_large(), Y)
    warm = clone(model).set_params(warm_start=True).fit(narrow, Y)
    with pytest.raises(ValueError, match=MESSAGE):
        warm.fit(too_large(), Y)


def test_targets_and_weights_are_checked_too():
    narrow, y = X.astype(np.float32), X[:, 0].copy()
    y[5] = 1e39
    model = MLPRegressor(**FEW)
    with pytest.raises(ValueError, match=r"y holds 1e\+39 in row 5, but float32"):
        model.fit(narrow, y)
    with pytest.raises(ValueError, match=r"y_val holds 1e\+39 in row 5"):
        model.fit(narrow, X[:, 0], X_val=narrow, y_val=y)
    weight = np.ones(12)
    weight[5] = 1e39
    with pytest.raises(ValueError, match=r"sample_weight holds 1e\+39 in row 5"):
        model.fit(narrow, X[:, 0], weight)


def test_columns_of_frames_are_named():
    frame = pd.DataFrame(X.astype(np.float32), columns=["age", "sex", "income", "d"])
    model = MLPClassifier(4, **FEW).fit(frame, Y)
    large = pd.DataFrame(too_large(), columns=frame.columns)
    with pytest.raises(ValueError, match=r"X holds 1e\+39 in row 3, column 'income'"):
        model.predict(large)


def test_packs_refuse_values_beyond_float32():
    model = MLPClassifier(4, dtype="float32", **FEW)
    with pytest.raises(ValueError, match=r"X holds 1e\+39"):
        packed_cross_validate(model, too_large(), Y, cv=2, error_score="raise")


def test_arrays_outside_memory_are_checked_while_they_are_read(monkeypatch):
    monkeypatch.setattr("skmlp.training.data.sources.WINDOW_BYTES", 64)

    class OutsideMemory:
        shape, dtype = (12, 4), np.dtype(np.float64)

        def __getitem__(self, key):
            return too_large()[key]

    model = MLPClassifier(4, **FEW).fit(X.astype(np.float32), Y)
    with pytest.raises(ValueError, match=r"X holds 1e\+39 in row 3, but float32"):
        model.predict(OutsideMemory())
    with pytest.raises(ValueError, match=r"X holds 1e\+39 in row 3, but float32"):
        MLPClassifier(4, dtype="float32", **FEW).fit(OutsideMemory(), Y)


def test_values_beyond_float64_are_refused():
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("long double is float64 here")
    large = X.astype(np.longdouble)
    large[0, 0] = np.longdouble("1e400")
    with pytest.raises(ValueError, match="float64 cannot hold"):
        MLPClassifier(4, **FEW).fit(large, Y)
    for transformer in (PixelScaler(), PixelStandardizer()):
        with (
            np.errstate(over="ignore"),
            pytest.raises(ValueError, match="infinity"),
        ):
            transformer.fit(large)


def test_check_is_skipped_with_assume_finite():
    model = MLPClassifier(4, **FEW).fit(X.astype(np.float32), Y)
    with config_context(assume_finite=True):
        model.predict(too_large())


# Errors that name the column


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["female", "male"] * 6, "column 'sex' holds text: 'female' in row 0"),
        (
            pd.Series(["female", "male"] * 6, dtype="category"),
            "column 'sex' holds text: 'female' in row 0",
        ),
        ([1.0, "?"] * 6, r"column 'sex' holds text: '\?' in row 1"),
        (pd.date_range("2020", periods=12), "column 'sex' is a datetime"),
        (pd.date_range("2020", periods=12, tz="UTC"), "column 'sex' is a datetime"),
        (pd.timedelta_range("1s", periods=12), "column 'sex' is a duration"),
        ([[1]] * 12, r"column 'sex' holds list: \[1\] in row 0"),
    ],
    ids=["text", "category", "mixed", "datetime", "zone", "duration", "lists"],
)
@pytest.mark.parametrize("model", SINGLE + ENSEMBLES, ids=repr)
def test_errors_name_the_column_that_holds_no_numbers(column, message, model):
    frame = pd.DataFrame({"age": X[:, 0], "sex": column, "a": X[:, 1], "b": X[:, 2]})
    if isinstance(model, EnsembleClassifier):  # its members get arrays
        message = message.replace("'sex'", "('sex'|1)")
    with pytest.raises((TypeError, ValueError), match=message):
        clone(model).fit(frame, Y)


def test_errors_name_the_number_of_a_column_without_a_name():
    rows = [[1.0, "a"], [2.0, "b"]]
    with pytest.raises(ValueError, match="column 1 holds text: 'a' in row 0"):
        MLPClassifier(4).fit(np.array(rows, dtype=object), [0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_errors_name_the_column_with_missing_values(value):
    frame = pd.DataFrame(X, columns=["age", "sex", "income", "d"])
    frame.iloc[3, 2] = value
    with pytest.raises(ValueError, match="The first is in row 3, column 'income'"):
        MLPClassifier(4).fit(frame, Y)
    with pytest.raises(ValueError, match="The first is in row 3, column 2"):
        MLPClassifier(4).fit(scipy.sparse.csr_matrix(frame.to_numpy()), Y)
