"""Every type of targets and features is accepted and predicted as by scikit-learn."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris

from skmlp.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("MLPClassifier", "MLPRegressor")


X, species = load_iris(return_X_y=True)


LETTERS = np.array(list("abc"))[species]
INDICATOR = np.eye(3, dtype=int)[species]
TARGETS = {
    "int": species,
    "int8": species.astype(np.int8),
    "unsigned": species.astype(np.uint8),
    "whole floats": species.astype(float),
    "large": species * 10**12,
    "minus one and one": np.where(species > 0, 1, -1),
    "bool": species > 0,
    "str": LETTERS,
    "object": LETTERS.astype(object),
    "list": species.tolist(),
    "Series": pd.Series(species, index=np.arange(150) + 7),
    "Series of str": pd.Series(LETTERS),
    "Categorical": pd.Series(pd.Categorical(LETTERS)),
    "Int64": pd.Series(species, dtype="Int64"),
    "boolean": pd.Series(species > 0, dtype="boolean"),
    "indicator": INDICATOR,
    "bool indicator": INDICATOR.astype(bool),
    "float indicator": INDICATOR.astype(float),
    "DataFrame indicator": pd.DataFrame(INDICATOR),
    "sparse indicator": scipy.sparse.csr_matrix(INDICATOR),
    "empty indicator": np.zeros((150, 2), dtype=int),
}


@pytest.mark.parametrize("y", TARGETS.values(), ids=list(TARGETS))
def test_predicted_labels_equal_sklearn_in_value_and_type(y, make_both):
    their, our = make_both("MLPClassifier", max_iter=5, random_state=0)
    their.fit(X, y)
    our.fit(X, y)
    assert_array_equal(our.classes_, their.classes_)
    assert our.classes_.dtype == their.classes_.dtype
    expected, actual = their.predict(X), our.predict(X)
    assert type(actual) is type(expected)
    assert actual.dtype == expected.dtype
    if scipy.sparse.issparse(expected):
        expected, actual = expected.toarray(), actual.toarray()
    assert_array_equal(actual, expected)
    for name in ("predict_proba", "predict_log_proba"):
        assert_allclose(getattr(our, name)(X), getattr(their, name)(X), rtol=1e-6)
    assert our.score(X, y) == their.score(X, y)
    assert (our.n_outputs_, our.out_activation_) == (
        their.n_outputs_,
        their.out_activation_,
    )


NUMBERS = load_diabetes(return_X_y=True)[1]
NUMERIC = {
    "float": NUMBERS,
    "int": NUMBERS.astype(int),
    "float32": NUMBERS.astype(np.float32),
    "bool": NUMBERS > 100,
    "object": NUMBERS.astype(object),
    "list": NUMBERS.tolist(),
    "Series": pd.Series(NUMBERS),
    "two outputs": np.column_stack([NUMBERS, -NUMBERS]),
    "DataFrame": pd.DataFrame({"a": NUMBERS, "b": -NUMBERS}),
}


@pytest.mark.parametrize("y", NUMERIC.values(), ids=list(NUMERIC))
def test_predicted_numbers_equal_sklearn_in_value_and_dtype(y, make_both):
    X, _ = load_diabetes(return_X_y=True)
    their, our = make_both("MLPRegressor", max_iter=5, random_state=0)
    their.fit(X, y)
    our.fit(X, y)
    assert_allclose(our.predict(X), their.predict(X), rtol=1e-6)
    assert our.predict(X).dtype == their.predict(X).dtype
    assert our.score(X, y) == pytest.approx(their.score(X, y))


@pytest.mark.parametrize(
    "y", [LETTERS, species.astype("datetime64[s]")], ids=["words", "dates"]
)
def test_non_numeric_targets_are_refused(y):
    with pytest.raises(TypeError, match=r"y has dtype .*, but has to hold numbers"):
        MLPRegressor().fit(X, y)


FEATURES = {
    "float64": X,
    "float32": X.astype(np.float32),
    "Fortran order": np.asfortranarray(X),
    "negative stride": X[::-1],
    "stride of two samples": np.repeat(X, 2, axis=0)[::2],
    "read only": np.frombuffer(X.tobytes()).reshape(X.shape),
    "list": X.tolist(),
    "object": X.astype(object),
    "DataFrame": pd.DataFrame(X, columns=list("abcd")),
    "DataFrame without names": pd.DataFrame(X),
    "csr": scipy.sparse.csr_matrix(X),
    "csc": scipy.sparse.csc_matrix(X),
    "coo": scipy.sparse.coo_matrix(X),
    "big endian": X.astype(">f8"),
    "long double": X.astype(np.longdouble),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("features", FEATURES.values(), ids=list(FEATURES))
def test_every_type_of_features_trains_as_in_sklearn(kind, features, make_both):
    their, our = make_both(kind, max_iter=5, random_state=0)
    their.fit(features, species)
    our.fit(features, species)
    # Sums of float32 are rounded.
    rtol = 1e-3 if our.coefs_[0].dtype == np.float32 else 1e-6
    assert_allclose(our.loss_curve_, their.loss_curve_, rtol=rtol)
    assert hasattr(our, "feature_names_in_") == hasattr(their, "feature_names_in_")
    assert our.predict(features).shape == their.predict(features).shape


def test_different_feature_names_are_refused(make_both):
    frame = pd.DataFrame(X, columns=list("abcd"))
    for model in make_both("MLPClassifier", max_iter=2):
        model.fit(frame, species)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[list("dcba")])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(X)


def test_dates_are_refused_as_features():
    dates = pd.DataFrame({"a": pd.date_range("2020", periods=150)})
    with pytest.raises(TypeError, match="X has dtype datetime64"):
        MLPClassifier().fit(dates, species)
