"""Estimators on data outside memory give the results of the same data in memory."""

import warnings

import h5py
import numpy as np
import pytest
import torch
import zarr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from small_estimators import SMALL, output_of, set_network_params

from skmlp.augmentation import RandomHorizontalFlip
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    EnsembleClassifier,
    MLPClassifier,
)
from skmlp.neural_network._tabular.base import BaseTabular
from skmlp.training.data import sources

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"max_iter": 3, "random_state": 0, "batch_size": 50}
ESTIMATORS = SMALL | {
    "CNNClassifier": CNNClassifier(2, image_shape=(4, 5), **FEW),
    "CNNRegressor": CNNRegressor(2, image_shape=(10, 2), conv_dims=1, **FEW),
}
N_SAMPLES = 700


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW_BYTES", 4000)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 400)


class SliceOnly:
    """An array that supports slices only, of at most a window."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, key):
        assert (key.stop - key.start) * self.values[0].nbytes <= sources.WINDOW_BYTES
        return self.values[key]


@pytest.fixture(scope="module")
def data():
    random_state = np.random.RandomState(0)
    X = random_state.randint(256, size=(N_SAMPLES, 20), dtype=np.uint8)
    return X, X[:, 0] // 86


@pytest.fixture(scope="module", params=["memmap", "h5py", "zarr", "tensor", "slices"])
def outside_memory(request, data, tmp_path_factory):
    """The same data in a file or in another object that supports slices."""
    X, y = data
    folder = tmp_path_factory.mktemp("data")
    if request.param == "memmap":
        np.save(folder / "X.npy", X)
        yield np.load(folder / "X.npy", mmap_mode="r"), y
    elif request.param == "h5py":
        with h5py.File(folder / "X.h5", "w") as file:
            yield file.create_dataset("X", data=X, chunks=(40, 20)), y
    elif request.param == "zarr":
        yield zarr.array(X, chunks=(40, 20)), y
    else:
        yield (torch.from_numpy(X) if request.param == "tensor" else SliceOnly(X)), y


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


@pytest.fixture(scope="module")
def assert_same(assert_equal_weights):
    def compare(one, other, X):
        assert_equal_weights(one, other)
        np.testing.assert_array_equal(output_of(one, X), output_of(other, X))

    return compare


def fit_mlp(data, **params):
    return MLPClassifier(5, **FEW).set_params(**params).fit(*data)


def test_unshuffled_fit_equals_fit_in_memory(
    estimator, data, outside_memory, assert_same
):
    if isinstance(estimator, BaseTabular):  # reads tables whole
        params = {}
    else:
        params = {"shuffle": False, "dtype": "float64"}
    estimator = set_network_params(estimator, **params)
    outside, inside = clone(estimator).fit(*outside_memory), estimator.fit(*data)
    if hasattr(estimator, "estimators_"):  # in memory, the members are a pack
        outputs = [output_of(model, data[0]) for model in (outside, inside)]
        np.testing.assert_allclose(*outputs, rtol=1e-9)
    else:
        assert_same(outside, inside, data[0])


def test_predictions_and_scores_equal_those_in_memory(estimator, data, outside_memory):
    model = estimator.fit(*data)
    for method in ("predict", "predict_proba", "predict_log_proba", "transform"):
        if hasattr(model, method):
            np.testing.assert_array_equal(
                getattr(model, method)(outside_memory[0]),
                getattr(model, method)(data[0]),
            )
    if getattr(model, "n_layers_", 2) > 2:
        np.testing.assert_array_equal(
            model.hidden_activations(outside_memory[0]),
            model.hidden_activations(data[0]),
        )
    assert model.score(*outside_memory) == model.score(*data)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "lbfgs"},
        {"shuffle": False, "dropout": 0.5},
        # A subset that fits into a window is read once and shuffled as an array.
        {"train_size": 150},
        {"train_size": 150, "early_stopping": True, "validation_fraction": 0.2},
        {"train_size": 100, "refit_full": True, "early_stopping": True},
    ],
    ids=str,
)
def test_fit_with_parameters_equals_fit_in_memory(params, data, assert_same):
    model = MLPClassifier(5, **FEW | params)
    assert_same(
        model.fit(SliceOnly(data[0]), data[1]), fit_mlp(data, **params), data[0]
    )


def fit_with_weights(data, dtype):
    """Fit data in memory and outside memory, with weights of samples and classes."""
    weight = np.random.RandomState(1).rand(N_SAMPLES)
    params = {"shuffle": False, "class_weight": "balanced", "dtype": dtype}
    return [
        MLPClassifier(5, **params, **FEW).fit(X, data[1], weight)
        for X in (data[0], SliceOnly(data[0]))
    ]


# In float32 a GPU trains on data in memory in segments, with other rounding.
@pytest.mark.on_cuda_too
def test_weighted_fit_equals_fit_in_memory(data, assert_same):
    assert_same(*fit_with_weights(data, "float64"), data[0])


def test_weighted_fit_equals_fit_in_memory_in_float32(data, assert_same):
    assert_same(*fit_with_weights(data, "float32"), data[0])


@pytest.mark.cuda
def test_weighted_fit_on_gpu_equals_fit_in_memory_but_for_rounding(data):
    one, other = fit_with_weights(data, "float32")
    for of_one, of_other in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(of_one, of_other, rtol=0, atol=1e-6)


def test_partial_fit_equals_partial_fit_in_memory(data, assert_same):
    models = [MLPClassifier(5, shuffle=False, **FEW) for _ in range(2)]
    for model, X in zip(models, (data[0], SliceOnly(data[0])), strict=True):
        for _ in range(3):
            model.partial_fit(X, data[1], classes=np.unique(data[1]))
    assert_same(*models, data[0])


def test_shuffled_fit_learns_and_is_reproducible(data, assert_same):
    X, y = data
    params = {"learning_rate_init": 0.01, "max_iter": 30}
    model = fit_mlp((SliceOnly(X.astype(np.float32) / 255), y), **params)
    assert model.score(X / 255, y) > 0.85
    assert_same(model, fit_mlp((SliceOnly(X.astype(np.float32) / 255), y), **params), X)


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss"])
@pytest.mark.parametrize("given", [False, True])
def test_validation_set_is_read_in_windows(data, scoring, given):
    X, y = SliceOnly(data[0]), data[1]
    model = MLPClassifier(
        5, early_stopping=True, validation_fraction=0.5, scoring=scoring, **FEW
    )
    model.fit(X, y, **({"X_val": X, "y_val": y} if given else {}))
    assert len(model.validation_scores_) == 3
    if given and scoring is None:
        assert model.best_validation_score_ == model.score(*data)


def test_default_score_and_scorer_agree(data):
    X, y = SliceOnly(data[0]), data[1]
    params = {"early_stopping": True, "validation_fraction": 0.5, **FEW}
    models = [
        MLPClassifier(5, scoring=scoring, record_train_score=True, **params).fit(X, y)
        for scoring in (None, "accuracy")
    ]
    assert models[0].validation_scores_ == models[1].validation_scores_
    train_scores = [[e["train_score"] for e in model.history_] for model in models]
    assert train_scores[0] == train_scores[1]


@pytest.mark.on_cuda_too
@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_fit_resumes_from_checkpoint(data, tmp_path, interrupt_at, assert_same):
    X, y = SliceOnly(data[0]), data[1]
    model = MLPClassifier(5, checkpoint=tmp_path / "c", **FEW)
    assert clone(model).set_params(callbacks=[interrupt_at(2)]).fit(X, y).n_iter_ == 1
    uninterrupted = clone(model).set_params(checkpoint=None).fit(X, y)
    assert_same(model.fit(X, y), uninterrupted, data[0])


def test_refit_full_joins_validation_set(data, assert_same):
    X, y = data
    given = {"X_val": SliceOnly(X[400:]), "y_val": y[400:]}
    params = {"shuffle": False, "refit_full": True, "early_stopping": True}
    one = MLPClassifier(5, **FEW, **params).fit(SliceOnly(X[:400]), y[:400], **given)
    given["X_val"] = X[400:]
    other = MLPClassifier(5, **FEW, **params).fit(X[:400], y[:400], **given)
    assert_same(one, other, X)


def test_image_fit_equals_fit_in_memory(data, assert_same):
    X, y = data[0].reshape(-1, 4, 5), data[1]
    params = FEW | {"shuffle": False, "augmentation": RandomHorizontalFlip()}
    models = [
        CNNClassifier(2, hidden_layer_sizes=4, **params).fit(images, y)
        for images in (X, SliceOnly(X))
    ]
    assert models[1].image_shape_ == (4, 5, 1)
    assert_same(*models, X)


@pytest.mark.parametrize("params", [{}, {"bootstrap": True}], ids=str)
def test_ensemble_equals_ensemble_fit_mlp(data, params, assert_same):
    network = MLPClassifier(5, shuffle=False, **FEW)
    # Without n_jobs the members in memory train as a pack, which rounds differently.
    model = EnsembleClassifier(network, 2, random_state=0, n_jobs=1, **params)
    outside = clone(model).fit(SliceOnly(data[0]), data[1])
    model.fit(*data)
    for one, other in zip(outside.estimators_, model.estimators_, strict=True):
        assert_same(one, other, data[0])
    np.testing.assert_array_equal(
        outside.predict_proba(SliceOnly(data[0])), model.predict_proba(data[0])
    )


def test_search_scores_equal_scores_fit_mlp(data):
    model = MLPClassifier(5, shuffle=False, **FEW)
    scores = [
        PackedGridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2)
        .fit(X, data[1])
        .cv_results_["mean_test_score"]
        for X in (SliceOnly(data[0]), data[0])
    ]
    np.testing.assert_array_equal(*scores)


# Errors


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "score"])
def test_invalid_value_is_reported_with_its_row(data, method):
    X, y = data
    bad = X.astype(np.float64)
    bad[611, 3] = np.nan
    model = MLPClassifier(5, **FEW)
    if method in ("predict", "score"):
        model.fit(X, y)
    arguments = {"predict": (), "partial_fit": (y, None, np.unique(y))}.get(
        method, (y,)
    )
    with pytest.raises(ValueError, match=r"^Input X contains NaN in row 611\.$"):
        getattr(model, method)(SliceOnly(bad), *arguments)


def test_shapes_are_validated_before_reading(data):
    class Unreadable(SliceOnly):
        def __getitem__(self, key):
            raise AssertionError("read")

    X, y = Unreadable(data[0]), data[1]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[700, 9"):
        MLPClassifier().fit(X, y[:9])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        MLPClassifier().fit(X, np.linspace(0, 1, N_SAMPLES))
    with pytest.raises(ValueError, match="X has 20 features, but MLPClassifier is exp"):
        fit_mlp((data[0][:, :7], y)).predict(X)
    with pytest.raises(TypeError, match="X has dtype <U1, but has to hold numbers"):
        MLPClassifier().fit(SliceOnly(np.full((N_SAMPLES, 20), "a")), y)


def test_read_error_leaves_estimator_unfitted(data):
    class Failing(SliceOnly):
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            if self.reads > 40:
                raise OSError("the disk is gone")
            return super().__getitem__(key)

    model = MLPClassifier(5, **FEW)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(Failing(data[0]), data[1])
    with pytest.raises(NotFittedError):
        model.predict(data[0])


def test_ctrl_c_while_reading_keeps_finished_epochs(data):
    class Interrupted(SliceOnly):
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            if self.reads == 75:
                raise KeyboardInterrupt
            return super().__getitem__(key)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MLPClassifier(5, **FEW).fit(Interrupted(data[0]), data[1])
    assert [str(w.message) for w in caught] == ["Training interrupted by user."]
    assert 1 <= model.n_iter_ == len(model.loss_curve_) < 3
    assert model.predict(data[0]).shape == (N_SAMPLES,)
