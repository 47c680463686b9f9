"""Fits and predictions are equal to the bit, whatever modes of torch the user set."""

import copy
import pickle
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import sklearn.neural_network
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from small_estimators import SMALL, output_of

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skmlp.inspection import summary
from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import CNNClassifier, MLPAutoencoder, MLPClassifier
from skmlp.persistence import from_sklearn, load_model, save_model, to_torch

X, Y = load_digits(return_X_y=True)
X, Y = (X[:120] / 16).astype(np.float32), Y[:120]

AUGMENTATION = Compose(
    [
        RandomAffine(degrees=20, translate=0.1),
        RandomCrop(1),
        RandomHorizontalFlip(),
        RandomErasing(),
        GaussianNoise(0.1),
    ]
)
MLP = MLPClassifier((12, 9), max_iter=3, batch_size=40, random_state=0)
CNN = CNNClassifier((4,), hidden_layer_sizes=8, max_iter=2, random_state=0)

ESTIMATORS = {
    "adam": MLP,
    "sgd": clone(MLP).set_params(solver="sgd"),
    "adamw": clone(MLP).set_params(solver="adamw", max_grad_norm=1.0),
    "nadam": clone(MLP).set_params(solver="nadam"),
    "rmsprop": clone(MLP).set_params(solver="rmsprop"),
    "adagrad": clone(MLP).set_params(solver="adagrad"),
    "adadelta": clone(MLP).set_params(solver="adadelta"),
    "lbfgs": clone(MLP).set_params(solver="lbfgs", max_iter=5),
    "dropout": clone(MLP).set_params(dropout=0.3, batch_norm=True),
    "autograd": clone(MLP).set_params(activation="prelu"),
    "mixed precision": clone(MLP).set_params(amp=True, activation="prelu"),
    "validated": clone(MLP).set_params(early_stopping=True, refit_full=True),
    "averaged": clone(MLP).set_params(weight_averaging=0.9),
    "scored": clone(MLP).set_params(early_stopping=True, scoring="f1_macro"),
    "cnn": CNN,
    "cnn of lbfgs": clone(CNN).set_params(solver="lbfgs"),
    "cnn of signals": clone(CNN).set_params(conv_dims=1),
    "augmented": clone(CNN).set_params(augmentation=AUGMENTATION, batch_norm=True),
    "cnn with dropout": clone(CNN).set_params(dropout=0.2, conv_dropout=0.1),
    "noise": MLPAutoencoder(3, 9, max_iter=3, noise=0.1, random_state=0),
    **SMALL,
}


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


MODES = {
    "float64": lambda: default_dtype(torch.float64),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "meta device": lambda: torch.device("meta"),
    "meta by default": lambda: default_device("meta"),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
]


def use_all_methods(model):
    """Fit, predict by every method, and train further; return all results."""
    results = [output_of(model.fit(X, Y), X)]
    names = ("predict_proba", "decision_function")
    results += [getattr(model, name)(X) for name in names if hasattr(model, name)]
    if getattr(model, "n_layers_", 2) > 2:
        results.append(model.hidden_activations(X))
    if hasattr(model, "calibrate_temperature"):
        results.append(model.calibrate_temperature(X, Y).temperature_)
    if hasattr(model, "inverse_transform"):
        results.append(model.inverse_transform(results[0]))
    results.append(output_of(pickle.loads(pickle.dumps(model)), X[:1]))
    if getattr(model, "weight_averaging", None) is None and hasattr(
        model, "partial_fit"
    ):
        model.partial_fit(X, Y)
        results += [output_of(model, X), model.score(X, Y)]
    return results


def assert_equal(results, expected):
    assert len(results) == len(expected)
    for result, of_default in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, of_default)


@pytest.fixture(scope="module")
def expected():
    """Results without any mode, by the names of the estimators."""
    results = {}

    def get(name):
        if name not in results:
            results[name] = use_all_methods(clone(ESTIMATORS[name]))
        return results[name]

    return get


# A user's module makes its weights in the default dtype, as the user wrote it.
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in ESTIMATORS
        for mode in MODES
        if not (name.startswith("Torch") and mode == "float64")
    ],
)
def test_estimator_ignores_modes_of_torch(name, mode, expected):
    of_default = expected(name)
    with MODES[mode]():
        results = use_all_methods(clone(ESTIMATORS[name]))
    assert_equal(results, of_default)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name", ["adam", "nadam", "dropout", "cnn", "EnsembleClassifier"]
)
def test_partial_fit_alone_ignores_modes_of_torch(name, mode):
    def train():
        model = clone(ESTIMATORS[name])
        for _ in range(3):
            model.partial_fit(X, Y, classes=range(10))
        return [model.predict_proba(X)]

    of_default = train()
    with MODES[mode]():
        results = train()
    assert_equal(results, of_default)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["adam", "nadam", "dropout", "cnn", "augmented"])
def test_model_made_within_a_mode_works_outside(name, mode, tmp_path):
    """Training continues outside of the mode after fit, deepcopy, pickle and file."""

    def make():
        model = clone(ESTIMATORS[name]).fit(X, Y)
        save_model(model, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        copied, unpickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        return [model, copied, unpickled, loaded]

    def train(models):
        models = [*models[:-1], models[-1].set_params(warm_start=True).fit(X, Y)]
        trained = [model.partial_fit(X, Y).predict_proba(X) for model in models[:3]]
        module = to_torch(models[0])
        return [*trained, models[-1].predict_proba(X), len(list(module.parameters()))]

    of_default = train(make())
    with MODES[mode]():
        models = make()
    assert_equal(train(models), of_default)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["adam", "sgd", "dropout", "cnn"])
def test_packs_ignore_modes_of_torch(name, mode):
    def search():
        network = clone(ESTIMATORS[name])
        grid = {"alpha": [1e-4, 1e-2], "random_state": [0, 1]}
        found = PackedGridSearchCV(network, grid, cv=2).fit(X, Y)
        scores = packed_cross_validate(network, X, Y, cv=2)["test_score"]
        probabilities = found.predict_proba(X)
        return [found.cv_results_["mean_test_score"], scores, probabilities]

    of_default = search()
    with MODES[mode]():
        results = search()
    assert_equal(results, of_default)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "augmentation", AUGMENTATION.transforms, ids=lambda a: type(a).__name__
)
def test_augmentation_ignores_modes_of_torch(augmentation, mode):
    images = torch.from_numpy(X.reshape(-1, 1, 8, 8))
    of_default = augmentation(images, 0)
    with MODES[mode]() if "meta" not in mode else nullcontext():
        changed = augmentation(images, 0)
    assert torch.equal(changed, of_default)


@pytest.mark.parametrize("mode", MODES)
def test_summary_ignores_modes_of_torch(mode):
    model = clone(ESTIMATORS["cnn"])
    of_default = str(summary(model, X, Y)), str(summary(model.fit(X, Y)))
    with MODES[mode]():
        texts = str(summary(clone(model), X, Y)), str(summary(model))
    assert texts == of_default


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["adam", "cnn"])
def test_torch_module_ignores_modes_of_torch(name, mode):
    model = clone(ESTIMATORS[name]).fit(X, Y)
    x = torch.from_numpy(X)
    with torch.no_grad():
        of_default = to_torch(model)(x)
    with MODES[mode]():
        module = to_torch(model)
    with torch.no_grad():
        assert torch.equal(module(x), of_default)


@pytest.mark.parametrize("mode", MODES)
def test_network_of_sklearn_ignores_modes_of_torch(mode):
    network = sklearn.neural_network.MLPClassifier((8,), max_iter=2, random_state=0)
    network.fit(X, Y)
    of_default = from_sklearn(network).predict_proba(X)
    with MODES[mode]():
        probabilities = from_sklearn(network).predict_proba(X)
    np.testing.assert_array_equal(probabilities, of_default)


def test_modes_are_on_again_after_a_fit():
    with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
        clone(MLP).fit(X, Y).predict(X)
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_cache_enabled()
        assert torch.empty(1).device.type == "meta"
        with pytest.raises(ValueError, match="features"):
            clone(MLP).fit(X, Y).predict(X[:, :3])
        assert torch.is_autocast_enabled("cpu")
        assert torch.empty(1).device.type == "meta"
