"""A search says at verbose=1 why networks were trained one by one."""

import numpy as np
import pytest
import scipy.sparse
import torch
from skorch.callbacks import Callback
from torch import nn

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
)
from skmlp.neural_network._packs import packed_fit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.RandomState(0).rand(40, 16)
Y = np.arange(40) % 2


def squared_error(logits, target):
    return (logits - target) ** 2


def squared_relu(x):
    return x.relu().square()


class Silent(Callback):
    """Does nothing."""


PARAMS = {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0}
REASONS = {
    "own loss": (
        MLPRegressor(loss=squared_error, **PARAMS),
        "packs have no gradient of the own loss",
    ),
    "own activation": (
        MLPClassifier(activation=squared_relu, **PARAMS),
        "packs have no formulas for FunctionActivation(squared_relu)",
    ),
    "activation of torch": (
        MLPClassifier(activation=nn.Hardswish, **PARAMS),
        "packs have no formulas for Hardswish()",
    ),
    "own solver": (
        MLPClassifier(solver=torch.optim.Adamax, **PARAMS),
        "packs have no update of solver=Adamax",
    ),
    "lbfgs": (
        MLPClassifier(solver="lbfgs", **PARAMS),
        "packs have no update of solver='lbfgs'",
    ),
    "alpha": (
        MLPClassifier(alpha=[0.1, 0.2], **PARAMS),
        "alpha differs between the layers",
    ),
    "frozen": (
        MLPClassifier(frozen_layers=[0], **PARAMS),
        "some parameters are frozen",
    ),
    "settings": (
        MLPClassifier(callbacks=[Silent()], record_train_score=True, **PARAMS),
        "packs have no callbacks and no record_train_score",
    ),
    "noise": (MLPAutoencoder(2, noise=0.1, **PARAMS), "packs have no noise"),
    "batch norm": (
        CNNClassifier(2, image_shape=(4, 4), batch_norm=True, **PARAMS),
        "packs have no formulas for BatchNorm2d(2",
    ),
    "ensemble": (
        EnsembleClassifier(MLPClassifier(**PARAMS), 2, random_state=0),
        None,
    ),
}


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(("model", "reason"), REASONS.values(), ids=REASONS)
def test_reason_is_printed_once(model, reason, capsys):
    seeds = {"random_state": [0, 1]}
    PackedGridSearchCV(model, seeds, cv=2, verbose=1, refit=False).fit(X, Y)
    printed = capsys.readouterr().out
    assert "0 of 4 fits were trained in packs, the others one by one" in printed
    lines = [line for line in printed.splitlines() if "Trained one by one: " in line]
    if reason is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith(f"Trained one by one: {reason}")


def test_sparse_features_are_a_reason(capsys):
    model = MLPClassifier(**PARAMS)
    packed_cross_validate(model, scipy.sparse.csr_matrix(X), Y, cv=2, verbose=1)
    assert "Trained one by one: X is sparse" in capsys.readouterr().out


def test_size_of_networks_is_a_reason(monkeypatch, capsys):
    monkeypatch.setattr(packed_fit, "choose_pack_size", lambda key, runs, **_: 1)
    packed_cross_validate(MLPClassifier(**PARAMS), X, Y, cv=2, verbose=1)
    assert "packs of networks of this size are not faster" in capsys.readouterr().out


def test_packed_fits_have_no_reason(capsys):
    packed_cross_validate(MLPClassifier(**PARAMS), X, Y, cv=2, verbose=1)
    printed = capsys.readouterr().out
    assert "2 of 2 fits were trained in packs" in printed
    assert "one by one" not in printed
