"""Training on devices without float64, such as Apple's GPUs.

The tests need no such device. They declare that the CPU has no float64, and refuse
every float64 operation while networks train.
"""

import pytest
import torch
from sklearn.datasets import load_diabetes
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skmlp.augmentation import RandomAffine
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.training.compute import devices
from skmlp.training.packs.pack import _Pack
from skmlp.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EARLY = {"early_stopping": True, "max_iter": 2, "random_state": 0}
SMALL = {"conv_channels": 2, "hidden_layer_sizes": 4}
CLASSIFIERS = {
    "softmax": SoftmaxRegression(**EARLY, class_weight="balanced"),
    "mlp": MLPClassifier(5, **EARLY, batch_norm=True, dropout=0.2),
    "sgd": MLPClassifier(5, **EARLY, solver="sgd", weight_averaging=0.9),
    "cnn": CNNClassifier(
        **SMALL,
        **EARLY,
        batch_norm=True,
        augmentation=RandomAffine(degrees=5, translate=0.1, shear=5),
    ),
}


class NoFloat64(TorchDispatchMode):
    """Refuse every operation that returns a tensor of float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        returned = function(*args, **(kwargs or {}))
        for value in tree_leaves(returned):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                raise TypeError(f"{function} returned float64")
        return returned


@pytest.fixture
def without_float64(monkeypatch):
    """Declare that no device has float64, and refuse it while networks train."""
    monkeypatch.setattr(devices, "_has_float64", lambda device: False)

    def refusing(method):
        def call(*args, **kwargs):
            with NoFloat64():
                return method(*args, **kwargs)

        return call

    for owner, name in ((Trainer, "train"), (_Pack, "__init__"), (_Pack, "run_epoch")):
        monkeypatch.setattr(owner, name, refusing(getattr(owner, name)))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_train_in_float32_on_device_without_float64(
    name, digits, without_float64
):
    model = CLASSIFIERS[name].fit(*digits)
    assert model.net_.module_[-1].weight.dtype == torch.float32
    assert model.predict_proba(digits[0]).dtype == "float32"


def test_regressor_trains_in_float32_on_device_without_float64(without_float64):
    model = MLPRegressor(hidden_layer_sizes=5, max_iter=2, random_state=0).fit(
        *load_diabetes(return_X_y=True)
    )
    assert model.coefs_[0].dtype == "float32"


def test_packs_train_in_float32_on_device_without_float64(digits, without_float64):
    search = PackedGridSearchCV(CLASSIFIERS["mlp"], {"alpha": [0, 1]}, cv=2)
    search.set_params(error_score="raise").fit(*digits)
    assert search.best_estimator_.coefs_[0].dtype == "float32"


def test_dispatch_mode_detects_float64(digits, without_float64, monkeypatch):
    monkeypatch.setattr(devices, "_has_float64", lambda device: True)
    with pytest.raises(TypeError, match="returned float64"):
        CLASSIFIERS["mlp"].fit(*digits)
