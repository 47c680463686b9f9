"""Warnings about data on scales with which a network learns badly."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    scale,
)

import skmlp.neural_network._fit.data_checks.scales as scales
from skmlp.exceptions import DataScaleWarning
from skmlp.model_selection import packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"max_iter": 1, "random_state": 0}
CLASSIFIERS = [
    MLPClassifier(4, **FEW),
    SoftmaxRegression(**FEW),
    EnsembleClassifier(MLPClassifier(4, **FEW), 2, random_state=0),
    EnsembleClassifier(MLPClassifier(4, **FEW), 2, random_state=0, n_jobs=1),
]
DIFFER = (  # members of an ensemble get arrays
    "features of X are on different scales: column ('income'|0) .* column ('age'|1)"
)


@pytest.fixture(scope="module")
def people():
    """Income, age and an indicator of 200 people, and whether they are old."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "income": rng.lognormal(10, 1, 200),
            "age": rng.normal(40, 12, 200),
            "male": rng.randint(0, 2, 200),
        }
    )
    return frame[["income", "age"]], (frame["age"] > 40).to_numpy()


def shown(function, *arguments):
    """Return the warnings about scales that a call shows by Python's own filter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", DataScaleWarning)
        function(*arguments)
    return [w for w in caught if issubclass(w.category, DataScaleWarning)]


# Features of the training set


@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_features_of_different_scales_are_shown_once(model, people):
    caught = shown(clone(model).fit, *people)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(DataScaleWarning, match=DIFFER):
        clone(model).fit(*people)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_only_the_first_fit_of_a_training_warns(method, people):
    X, y = people
    model = MLPRegressor(warm_start=method == "fit", **FEW)
    with pytest.warns(DataScaleWarning):
        getattr(model, method)(X, y)
    getattr(model, method)(X, y)


def test_scaled_features_do_not_warn(people):
    X, y = people
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler(), MaxAbsScaler()):
        make_pipeline(scaler, MLPClassifier(4, **FEW)).fit(X, y)


def test_packed_searches_warn(people):
    with pytest.warns(DataScaleWarning, match=DIFFER):
        packed_cross_validate(MLPClassifier(4, **FEW), *people, cv=2)


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, np.float32])
def test_other_containers_warn_by_the_number_of_the_column(container, people):
    X, y = people
    with pytest.warns(DataScaleWarning, match="column 0 varies .* range of column 1"):
        MLPClassifier(4, **FEW).fit(container(X.to_numpy()), y)


def test_warnings_can_be_silenced(people):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataScaleWarning)
        MLPClassifier(4, **FEW).fit(*people)


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_well_known_data_on_different_scales_warn(load):
    with pytest.warns(DataScaleWarning, match="on different scales"):
        MLPClassifier(4, **FEW).fit(*load(return_X_y=True))


def draw(kind):
    """Return features without a scale that harms."""
    rng = np.random.RandomState(0)
    digits = load_digits().data
    codes = rng.randint(0, 30, (300, 3))
    numbers = rng.normal(size=(300, 3))
    return {
        "constant columns": np.column_stack(
            [numbers, np.full(300, 1e9), np.zeros(300)]
        ),
        "indicators": (rng.rand(300, 20) < 0.1).astype(float),
        "numbers and indicators": np.column_stack([numbers, rng.rand(300, 3) < 0.4]),
        "ages and indicators": np.column_stack(
            [rng.normal(40, 12, 300), rng.rand(300, 3) < 0.4]
        ),
        "one-hot": OneHotEncoder().fit_transform(codes),
        "dense one-hot": OneHotEncoder().fit_transform(codes).toarray(),
        "counts": rng.poisson(0.3, (300, 50)),
        "sparse": scipy.sparse.random(300, 50, 0.05, format="csr", random_state=0),
        "pixels of 16": digits,
        "pixels of 255": (digits * 15.9).astype(np.uint8),
        "pixels of 255 and an indicator": np.column_stack(
            [digits * 15.9, rng.rand(len(digits)) < 0.4]
        ),
        "standardized pixels": scale(digits),
        "principal components": PCA().fit_transform(digits),
        "heavy tails": rng.standard_cauchy((300, 4)),
        "polynomials": PolynomialFeatures(3).fit_transform(numbers),
        "quantiles": QuantileTransformer(n_quantiles=50).fit_transform(numbers),
        "one column": rng.normal(size=(300, 1)) * 1e6,
        "few samples": np.column_stack([numbers[:5, 0], 1e6 * numbers[:5, 1]]),
        "iris": load_iris().data,
        "diabetes": load_diabetes().data,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "constant columns",
        "indicators",
        "numbers and indicators",
        "ages and indicators",
        "one-hot",
        "dense one-hot",
        "counts",
        "sparse",
        "pixels of 16",
        "pixels of 255",
        "pixels of 255 and an indicator",
        "standardized pixels",
        "principal components",
        "heavy tails",
        "polynomials",
        "quantiles",
        "one column",
        "few samples",
        "iris",
        "diabetes",
    ],
)
def test_harmless_features_do_not_warn(kind):
    X = draw(kind)
    y = np.arange(X.shape[0]) % 2
    model = MLPClassifier(4, **FEW)
    model.fit(X, y)
    model.fit(X, y, X_val=X[::3], y_val=y[::3])


def test_images_do_not_warn():
    rng = np.random.RandomState(0)
    images = rng.randint(0, 65535, (40, 4, 4), dtype=np.uint16)
    images[:, 0] //= 60000
    CNNClassifier(2, hidden_layer_sizes=4, **FEW).fit(images, np.arange(40) % 2)


# Validation sets


def add_raw_validation(X, y):
    """Return arguments of fit, with features for training that are scaled."""
    return scale(X[::2]), y[::2], {"X_val": X[1::2], "y_val": y[1::2]}


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_raw_validation_features_are_shown_once(model, load):
    X, y, validation = add_raw_validation(*load(return_X_y=True))

    def fit():
        clone(model).fit(X, y, **validation)

    with pytest.warns(DataScaleWarning, match="X_val is on another scale than X"):
        fit()
    assert len(shown(fit)) == 1


def test_validation_features_past_a_pipeline_warn():
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(
        StandardScaler(), MLPClassifier(4, early_stopping=True, **FEW)
    )
    validation = {"mlpclassifier__X_val": X[::3], "mlpclassifier__y_val": y[::3]}
    with pytest.warns(DataScaleWarning, match="transform_input=") as caught:
        model.fit(X, y, **validation)
    assert {w.filename for w in caught} == {__file__}


def test_scaled_validation_features_of_raw_training_data_warn():
    X, y = load_breast_cancer(return_X_y=True)
    model = MLPClassifier(4, **FEW)
    caught = shown(lambda: model.fit(X, y, X_val=scale(X), y_val=y))
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2
    assert "X_val is on another scale" in texts[1]


def test_pixels_of_validation_on_another_scale_warn():
    X, y = load_digits(return_X_y=True)
    for model in (MLPClassifier(4, **FEW), CNNClassifier(2, **FEW)):
        with pytest.warns(DataScaleWarning, match="X_val is on another scale"):
            model.fit(X[:200] / 16, y[:200], X_val=X[200:300], y_val=y[200:300])


def test_raw_validation_targets_warn():
    X, y = load_diabetes(return_X_y=True)
    model = TransformedTargetRegressor(
        MLPRegressor(**FEW), transformer=StandardScaler()
    )
    with pytest.warns(DataScaleWarning, match="y_val is on another scale than y"):
        model.fit(X, y, X_val=X[::3], y_val=y[::3])
    logarithms = TransformedTargetRegressor(
        MLPRegressor(**FEW), func=np.log1p, inverse_func=np.expm1
    )
    with pytest.warns(DataScaleWarning, match="y_val is on another scale than y"):
        logarithms.fit(X, y, X_val=X[::3], y_val=y[::3])
    MLPRegressor(**FEW).fit(X, y, X_val=X[::3], y_val=y[::3])


@pytest.mark.parametrize(
    "draw_values",
    [
        lambda rng, n: rng.normal(size=(n, 2)),
        lambda rng, n: rng.lognormal(0, 2, (n, 1)),
        lambda rng, n: rng.standard_cauchy((n, 3)),
        lambda rng, n: (rng.rand(n, 5) < 0.3).astype(float),
        lambda rng, n: rng.poisson(0.5, (n, 2)).astype(float),
    ],
    ids=["normal", "lognormal", "cauchy", "indicators", "counts"],
)
def test_validation_sets_of_the_same_distribution_do_not_warn(draw_values):
    for seed in range(50):
        rng = np.random.RandomState(seed)
        sizes = rng.choice([2, 5, 15, 40, 300], 2)
        X, X_val = (draw_values(rng, size) for size in sizes)
        scales.warn_about_validation_features(X, X_val)  # a warning is an error


def test_arrays_outside_memory_are_looked_at(monkeypatch, people):
    monkeypatch.setattr("skmlp.training.data.sources.WINDOW_BYTES", 64)

    class OutsideMemory:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, key):
            return self.array[key]

    X, y = people
    with pytest.warns(DataScaleWarning, match="column 0 varies"):
        MLPClassifier(4, **FEW).fit(OutsideMemory(X.to_numpy()), y)
