"""Estimators on rows outside memory: as in memory on the same order of rows."""

import warnings

import h5py
import numpy as np
import pytest
import torch
import zarr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skmlp.augmentation import RandomHorizontalFlip
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.training.data import sources

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"max_iter": 3, "random_state": 0, "batch_size": 50}
ESTIMATORS = [
    SoftmaxRegression(**FEW),
    MLPClassifier(5, **FEW),
    MLPRegressor(hidden_layer_sizes=5, **FEW),
    CNNClassifier(2, hidden_layer_sizes=4, image_shape=(4, 5), **FEW),
]
N_ROWS = 700


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 4000)
    monkeypatch.setattr(sources, "_BLOCK", 400)


class Slices:
    """An array that gives slices alone, not more than a window at once."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, key):
        assert (key.stop - key.start) * self.values[0].nbytes <= sources.WINDOW
        return self.values[key]


@pytest.fixture(scope="module")
def data():
    random_state = np.random.RandomState(0)
    X = random_state.randint(256, size=(N_ROWS, 20), dtype=np.uint8)
    return X, X[:, 0] // 86


@pytest.fixture(scope="module", params=["memmap", "h5py", "zarr", "tensor", "slices"])
def elsewhere(request, data, tmp_path_factory):
    """The same rows in a file, or in what else gives slices."""
    X, y = data
    folder = tmp_path_factory.mktemp("rows")
    if request.param == "memmap":
        np.save(folder / "X.npy", X)
        yield np.load(folder / "X.npy", mmap_mode="r"), y
    elif request.param == "h5py":
        with h5py.File(folder / "X.h5", "w") as file:
            yield file.create_dataset("X", data=X, chunks=(40, 20)), y
    elif request.param == "zarr":
        yield zarr.array(X, chunks=(40, 20)), y
    else:
        yield (torch.from_numpy(X) if request.param == "tensor" else Slices(X)), y


@pytest.fixture(params=ESTIMATORS, ids=lambda model: type(model).__name__)
def estimator(request):
    return clone(request.param)


def weights(model):
    return [*model.coefs_, *model.intercepts_]


def assert_same(one, other, X):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def in_memory(data, method="fit", **params):
    return getattr(clone(MLPClassifier(5, **FEW)).set_params(**params), method)(*data)


def test_unshuffled_fit_equals_fit_in_memory(estimator, data, elsewhere):
    estimator.set_params(shuffle=False)
    assert_same(clone(estimator).fit(*elsewhere), estimator.fit(*data), data[0])


def test_predictions_and_scores_equal_those_in_memory(estimator, data, elsewhere):
    model = estimator.fit(*data)
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, method):
            np.testing.assert_array_equal(
                getattr(model, method)(elsewhere[0]), getattr(model, method)(data[0])
            )
    if model.n_layers_ > 2:
        np.testing.assert_array_equal(
            model.hidden_activations(elsewhere[0]), model.hidden_activations(data[0])
        )
    assert model.score(*elsewhere) == model.score(*data)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "lbfgs"},
        {"shuffle": False, "dropout": 0.5},
        # What of the rows fits into a window is read once, and shuffled as any array.
        {"train_size": 150},
        {"train_size": 150, "early_stopping": True, "validation_fraction": 0.2},
        {"train_size": 100, "refit_full": True, "early_stopping": True},
    ],
    ids=str,
)
def test_fit_with_parameters_equals_fit_in_memory(params, data):
    model = MLPClassifier(5, **FEW | params)
    assert_same(model.fit(Slices(data[0]), data[1]), in_memory(data, **params), data[0])


def test_weighted_fit_equals_fit_in_memory(data):
    weight = np.random.RandomState(1).rand(N_ROWS)
    models = [
        MLPClassifier(5, shuffle=False, class_weight="balanced", **FEW).fit(
            X, data[1], weight
        )
        for X in (data[0], Slices(data[0]))
    ]
    assert_same(*models, data[0])


def test_partial_fit_equals_partial_fit_in_memory(data):
    models = [MLPClassifier(5, shuffle=False, **FEW) for _ in range(2)]
    for model, X in zip(models, (data[0], Slices(data[0])), strict=True):
        for _ in range(3):
            model.partial_fit(X, data[1], classes=np.unique(data[1]))
    assert_same(*models, data[0])


def test_shuffled_fit_learns_and_is_reproducible(data):
    X, y = data
    params = {"learning_rate_init": 0.01, "max_iter": 30}
    model = in_memory((Slices(X.astype(np.float32) / 255), y), **params)
    assert model.score(X / 255, y) > 0.85
    assert_same(model, in_memory((Slices(X.astype(np.float32) / 255), y), **params), X)


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss"])
@pytest.mark.parametrize("own", [False, True])
def test_validation_set_is_read_in_windows(data, scoring, own):
    X, y = Slices(data[0]), data[1]
    model = MLPClassifier(
        5, early_stopping=True, validation_fraction=0.5, scoring=scoring, **FEW
    )
    model.fit(X, y, **({"X_val": X, "y_val": y} if own else {}))
    assert len(model.validation_scores_) == 3
    if own and scoring is None:
        assert model.best_validation_score_ == model.score(*data)


def test_default_score_and_scorer_agree(data):
    X, y = Slices(data[0]), data[1]
    params = {"early_stopping": True, "validation_fraction": 0.5, **FEW}
    found = [
        MLPClassifier(5, scoring=scoring, record_train_score=True, **params).fit(X, y)
        for scoring in (None, "accuracy")
    ]
    assert found[0].validation_scores_ == found[1].validation_scores_
    train_scores = [[e["train_score"] for e in model.history_] for model in found]
    assert train_scores[0] == train_scores[1]


@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_fit_resumes_from_checkpoint(data, tmp_path):
    class Stop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    X, y = Slices(data[0]), data[1]
    model = MLPClassifier(5, checkpoint=tmp_path / "c", **FEW)
    assert clone(model).set_params(callbacks=[Stop()]).fit(X, y).n_iter_ == 1
    in_one_go = clone(model).set_params(checkpoint=None).fit(X, y)
    assert_same(model.fit(X, y), in_one_go, data[0])


def test_refit_full_joins_validation_set(data):
    X, y = data
    given = {"X_val": Slices(X[400:]), "y_val": y[400:]}
    params = {"shuffle": False, "refit_full": True, "early_stopping": True}
    one = MLPClassifier(5, **FEW, **params).fit(Slices(X[:400]), y[:400], **given)
    given["X_val"] = X[400:]
    other = MLPClassifier(5, **FEW, **params).fit(X[:400], y[:400], **given)
    assert_same(one, other, X)


def test_image_fit_equals_fit_in_memory(data):
    X, y = data[0].reshape(-1, 4, 5), data[1]
    params = FEW | {"shuffle": False, "augmentation": RandomHorizontalFlip()}
    models = [
        CNNClassifier(2, hidden_layer_sizes=4, **params).fit(rows, y)
        for rows in (X, Slices(X))
    ]
    assert models[1].image_shape_ == (4, 5, 1)
    assert_same(*models, X)


@pytest.mark.parametrize("params", [{}, {"bootstrap": True}], ids=str)
def test_ensemble_equals_ensemble_in_memory(data, params):
    network = MLPClassifier(5, shuffle=False, **FEW)
    # Without n_jobs those in memory would train as a pack, and be rounded otherwise.
    model = EnsembleClassifier(network, 2, random_state=0, n_jobs=1, **params)
    found = clone(model).fit(Slices(data[0]), data[1])
    model.fit(*data)
    for one, other in zip(found.estimators_, model.estimators_, strict=True):
        assert_same(one, other, data[0])
    np.testing.assert_array_equal(
        found.predict_proba(Slices(data[0])), model.predict_proba(data[0])
    )


def test_search_scores_equal_scores_in_memory(data):
    model = MLPClassifier(5, shuffle=False, **FEW)
    scores = [
        PackedGridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2)
        .fit(X, data[1])
        .cv_results_["mean_test_score"]
        for X in (Slices(data[0]), data[0])
    ]
    np.testing.assert_array_equal(*scores)


# Bad rows


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
        getattr(model, method)(Slices(bad), *arguments)


def test_shapes_are_validated_before_reading(data):
    class Unreadable(Slices):
        def __getitem__(self, key):
            raise AssertionError("read")

    X, y = Unreadable(data[0]), data[1]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[700, 9"):
        MLPClassifier().fit(X, y[:9])
    with pytest.raises(ValueError, match="y has one class only"):
        MLPClassifier().fit(X, np.zeros(N_ROWS))
    with pytest.raises(ValueError, match="X has 20 features, but MLPClassifier is exp"):
        in_memory((data[0][:, :7], y)).predict(X)
    with pytest.raises(TypeError, match="X has dtype <U1, but has to hold numbers"):
        MLPClassifier().fit(Slices(np.full((N_ROWS, 20), "a")), y)


def test_read_error_leaves_estimator_unfitted(data):
    class Failing(Slices):
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
    class Interrupted(Slices):
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            if self.reads == 60:
                raise KeyboardInterrupt
            return super().__getitem__(key)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MLPClassifier(5, **FEW).fit(Interrupted(data[0]), data[1])
    assert [str(w.message) for w in caught] == ["Training interrupted by user."]
    assert 1 <= model.n_iter_ == len(model.loss_curve_) < 3
    assert model.predict(data[0]).shape == (N_ROWS,)
