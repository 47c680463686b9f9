"""Packed searches over the module of a user."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from torch import nn

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import TorchClassifier, TorchRegressor
from skmlp.neural_network._packs import packed_fit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Normalized(nn.Module):
    """A network that packs have no formulas for."""

    def __init__(self, n_features, n_outputs, hidden=10, dropout=0.0, scale=1.0):
        super().__init__()
        self.dense = nn.Linear(n_features, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, n_outputs)
        self.scale = scale

    def forward(self, x):
        return self.output(self.dropout(self.norm(self.dense(x)).relu())) * self.scale


class BatchNormalized(Normalized):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.norm = nn.BatchNorm1d(10)


class Branches(Normalized):
    def forward(self, x):
        return super().forward(x) if self.output.bias.sum() > -100 else x[:, :10]


class Convolution(nn.Module):
    """Kernels of four dimensions, on images."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(image_shape[2], 3, 3)
        self.output = nn.Linear(108, n_classes)

    def forward(self, x):
        return self.output(self.conv(x).relu().flatten(1))


PARAMS = {"max_iter": 4, "batch_size": 16, "random_state": 0, "early_stopping": True}
GRID = {"learning_rate_init": [0.001, 0.01, 0.1], "alpha": [1e-4, 1.0]}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:151] / 16, y[:151]  # the folds differ in size


@pytest.fixture
def always_pack(monkeypatch):
    """Let packs train all networks with equal keys, without a measurement."""
    monkeypatch.setattr(
        packed_fit, "choose_pack_size", lambda key, runs, **_: len(runs)
    )


def search_twice(model, grid, X, y, scoring):
    """Return the scores of a packed search, and of one that fits one by one."""
    searches = (
        search(model, grid, cv=3, refit=False, scoring=scoring, **options)
        for search, options in (
            (PackedGridSearchCV, {"verbose": 1}),
            (GridSearchCV, {}),
        )
    )
    return [search.fit(X, y).cv_results_["mean_test_score"] for search in searches]


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.usefixtures("always_pack")
def test_packed_modules_score_as_single_ones(solver, digits, capsys):
    model = TorchClassifier(Normalized, solver=solver, max_grad_norm=1.0, **PARAMS)
    packed, single = search_twice(model, GRID, *digits, scoring="neg_log_loss")
    np.testing.assert_allclose(packed, single, rtol=0, atol=1e-8)
    assert len(set(single)) == 6
    assert "18 of 18 fits were trained in packs" in capsys.readouterr().out


@pytest.mark.usefixtures("always_pack")
def test_packed_regressors_and_convolutions_score_as_single_ones(digits, capsys):
    X, y = digits
    model = TorchRegressor(Normalized, **PARAMS)
    packed, single = search_twice(model, GRID, X, y / 10, scoring="r2")
    np.testing.assert_allclose(packed, single, rtol=0, atol=1e-8)
    model = TorchClassifier(Convolution, **PARAMS)
    X = X.reshape(-1, 8, 8)
    packed, single = search_twice(model, GRID, X, y, scoring="neg_log_loss")
    np.testing.assert_allclose(packed, single, rtol=0, atol=1e-8)
    assert capsys.readouterr().out.count("18 of 18 fits") == 2


@pytest.mark.usefixtures("always_pack")
def test_modules_of_different_arguments_train_in_different_packs(digits, capsys):
    grid = {"module__hidden": [4, 7], "module__scale": [1.0, 2.0], "alpha": [0.1, 1.0]}
    model = TorchClassifier(Normalized, **PARAMS)
    packed, single = search_twice(model, grid, *digits, scoring="neg_log_loss")
    np.testing.assert_allclose(packed, single, rtol=0, atol=1e-8)
    assert len(set(single)) == 8
    assert "24 of 24 fits were trained in packs" in capsys.readouterr().out


REASONS = {
    "dropout": (
        TorchClassifier(Normalized, module__dropout=0.5),
        "draws random numbers",
    ),
    "batch norm": (TorchClassifier(BatchNormalized), "its buffers change in training"),
    "branches": (TorchClassifier(Branches), "torch.func.vmap cannot compute it"),
}


@pytest.mark.parametrize(("model", "reason"), REASONS.values(), ids=REASONS)
def test_reason_for_single_fits_is_printed(model, reason, digits, capsys):
    model.set_params(**PARAMS)
    grid = {"learning_rate_init": [0.01, 0.1]}
    packed, single = search_twice(model, grid, *digits, scoring="neg_log_loss")
    np.testing.assert_array_equal(packed, single)
    printed = capsys.readouterr().out
    assert "0 of 6 fits were trained in packs" in printed
    assert "Trained one by one: " in printed
    assert reason in printed


def test_slower_packs_are_not_used(digits, monkeypatch, capsys):
    monkeypatch.setattr(packed_fit, "choose_pack_size", lambda key, runs, **_: 1)
    grid = {"learning_rate_init": [0.01, 0.1]}
    model = TorchClassifier(Normalized, **PARAMS)
    search_twice(model, grid, *digits, scoring="accuracy")
    assert "packs of networks of this size are not faster" in capsys.readouterr().out


@pytest.mark.parametrize("solvers", [["adam", "sgd"], ["sgd", "adam"]])
def test_only_some_packs_are_slower(solvers, digits, monkeypatch, capsys):
    calls = []

    def choose(key, runs, **_):
        calls.append(key)
        return len(runs) if len(calls) == 1 else 1

    monkeypatch.setattr(packed_fit, "choose_pack_size", choose)
    grid = {"solver": solvers, "learning_rate_init": [0.01, 0.1]}
    model = TorchClassifier(Normalized, **PARAMS)
    packed, single = search_twice(model, grid, *digits, scoring="neg_log_loss")
    np.testing.assert_allclose(packed, single, rtol=0, atol=1e-8)
    assert "6 of 12 fits were trained in packs" in capsys.readouterr().out
