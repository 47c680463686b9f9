"""Both sides of the guide's ten tasks with a user's module are run.

The module draws its weights from its own generator, so both sides start from the same
ones. They train in float64, on the same batches.
"""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Freezer
from torch import nn

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import TorchClassifier, TorchRegressor
from skmlp.persistence import load_model, save_model

TABLE = "skorch, your module"


def of_row(cell):
    """Give a test the row of the guide with this left cell."""
    return pytest.mark.parametrize("row", [cell], indirect=True, ids=[cell])


def test_every_row_has_a_test(migration_tables, tested_rows):
    assert tested_rows == sorted(migration_tables[TABLE])
    assert len(tested_rows) == 10


def draw_weights(module):
    """Set the weights of a module to the same numbers in every call."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.double().parameters():
        nn.init.uniform_(parameter, -0.3, 0.3, generator=generator)


class Perceptron(nn.Module):
    """From 64 pixels to logits."""

    def __init__(self, n_features=64, n_outputs=10, hidden=100):
        super().__init__()
        self.dense1 = nn.Linear(n_features, hidden)
        self.output = nn.Linear(hidden, n_outputs)
        draw_weights(self)

    def forward(self, x):
        return self.output(self.dense1(x).relu())


class Convolution(nn.Module):
    """From images of one channel to logits."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.output = nn.Linear(144, 10)
        draw_weights(self)

    def forward(self, x):
        return self.output(self.conv(x).relu().flatten(1))


SKORCH = {
    "criterion": nn.CrossEntropyLoss,
    "optimizer__momentum": 0.9,
    "lr": 0.1,
    "max_epochs": 3,
    "batch_size": 30,
    "train_split": None,
    "verbose": 0,
}
SKMLP = {
    "solver": "sgd",
    "nesterovs_momentum": False,
    "learning_rate_init": 0.1,
    "alpha": 0,
    "max_iter": 3,
    "batch_size": 30,
    "shuffle": False,
    "random_state": 0,
}
NAMES = {
    "Convolution": Convolution,
    "Freezer": Freezer,
    "GridSearchCV": GridSearchCV,
    "NeuralNetBinaryClassifier": NeuralNetBinaryClassifier,
    "NeuralNetClassifier": NeuralNetClassifier,
    "NeuralNetRegressor": NeuralNetRegressor,
    "PackedGridSearchCV": PackedGridSearchCV,
    "Perceptron": Perceptron,
    "TorchClassifier": TorchClassifier,
    "TorchRegressor": TorchRegressor,
    "load_model": load_model,
    "save_model": save_model,
}


@pytest.fixture
def run(row, evaluate):
    """Function that runs the code of both sides, one after the other."""

    def run_code(skorch_names, skmlp_names):
        return (
            [evaluate(code, **NAMES, **skorch_names) for code in row.peer][-1],
            [evaluate(code, **NAMES, **skmlp_names) for code in row.skmlp][-1],
        )

    return run_code


@pytest.fixture
def make_net():
    return NeuralNetClassifier(Perceptron, **SKORCH)


@pytest.fixture
def make_model():
    return TorchClassifier(Perceptron, **SKMLP)


def assert_same_weights(net, model):
    """Check that both sides have moved to the same weights."""
    pairs = zip(net.module_.parameters(), model.net_.module_.parameters(), strict=True)
    for actual, expected in pairs:
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    start = next(type(net.module_)().parameters())
    if (first := next(net.module_.parameters())).shape == start.shape:
        assert (first - start).abs().max() > 1e-3


@of_row("`NeuralNetClassifier(Perceptron, module__hidden=30)`")
def test_classifier_learns_the_same(run, digits, fit_quietly):
    net, model = run({}, {})
    net.set_params(**SKORCH).fit(*digits)
    fit_quietly(model.set_params(**SKMLP), *digits)
    assert model.coefs_[0].shape == (64, 30)
    assert_same_weights(net, model)
    np.testing.assert_allclose(
        model.predict_proba(digits[0]), net.predict_proba(digits[0]), atol=1e-12
    )


@of_row("`NeuralNetRegressor(Perceptron, module__n_outputs=1, lr=0.01)`")
def test_regressor_learns_the_same(run, digits, fit_quietly):
    X, y = digits[0], digits[1] / 10
    net, model = run({}, {})
    net.set_params(**{**SKORCH, "criterion": nn.MSELoss, "lr": net.lr})
    net.fit(X, y[:, None])
    params = {**SKMLP, "learning_rate_init": model.learning_rate_init}
    fit_quietly(model.set_params(**params), X, y)
    assert_same_weights(net, model)


@of_row("`NeuralNetBinaryClassifier(Perceptron, module__n_outputs=1)`")
def test_binary_classifier_learns_the_same(run, digits, fit_quietly):
    X, y = digits[0], digits[1] > 4
    net, model = run({}, {})
    net.set_params(**{**SKORCH, "criterion": nn.BCEWithLogitsLoss})
    net.fit(X, y.astype(float))
    fit_quietly(model.set_params(**SKMLP), X, y)
    assert_same_weights(net, model)
    np.testing.assert_array_equal(model.predict(X), net.predict(X) == 1)


@of_row("`net.set_params(module__hidden=20)`")
def test_arguments_of_the_module_are_set(
    run, make_net, make_model, digits, fit_quietly
):
    net, model = run({"net": make_net}, {"model": make_model})
    assert_same_weights(net.fit(*digits), fit_quietly(model, *digits))
    assert net.module_.dense1.out_features == len(model.net_.module_.dense1.bias) == 20


@of_row('`GridSearchCV(net, {"module__hidden": [5, 20], "lr": [0.1, 0.5]}, cv=3)`')
def test_searches_give_the_same_scores(run, make_net, make_model, digits, fit_quietly):
    search, packed = run({"net": make_net}, {"model": make_model})
    search.fit(*digits)
    fit_quietly(packed, *digits)
    scores = search.cv_results_["mean_test_score"]
    # Both order the candidates by the names of their parameters.
    np.testing.assert_allclose(packed.cv_results_["mean_test_score"], scores)
    assert len(set(scores)) > 1


@of_row("`net.fit(X, y)` and `net.set_params(max_epochs=1).partial_fit(X, y)`")
def test_partial_fit_adds_an_epoch(run, make_net, make_model, digits, fit_quietly):
    X, y = digits
    make_net.initialize()
    model = make_model
    model.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y).partial_fit(X, y)
    net, model = run(
        {"net": make_net, "X": X, "y": y}, {"model": model, "X": X, "y": y}
    )
    assert len(net.history) == 4
    assert_same_weights(net, model)


@of_row("`net.forward(X)`")
def test_logits_are_the_same(run, make_net, make_model, digits, fit_quietly):
    net, model = make_net.fit(*digits), fit_quietly(make_model, *digits)
    X = digits[0]
    logits, decisions = run({"net": net, "X": X}, {"model": model, "X": X})
    np.testing.assert_allclose(decisions, logits.numpy(), atol=1e-12)


@of_row('`callbacks=[("freeze", Freezer("dense1*"))]`')
def test_frozen_layers_stay_the_same(
    row, make_net, make_model, arguments, digits, fit_quietly
):
    net = make_net.set_params(**arguments(row.peer[0], **NAMES)).fit(*digits)
    model = make_model.set_params(**arguments(row.skmlp[0]))
    fit_quietly(model, *digits)
    assert torch.equal(model.net_.module_.dense1.weight, Perceptron().dense1.weight)
    assert (model.net_.module_.output.weight - Perceptron().output.weight).any()
    for actual, expected in zip(
        net.module_.parameters(), model.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@of_row('`net.save_params("net.pt")` and `net.load_params("net.pt")`')
def test_files_hold_the_weights(
    row, make_net, make_model, evaluate, digits, fit_quietly, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    net, model = make_net.fit(*digits), fit_quietly(make_model, *digits)
    evaluate(row.peer[0], net=net)
    evaluate(row.skmlp[0], model=model, **NAMES)
    fresh = NeuralNetClassifier(Perceptron, **SKORCH).initialize()
    evaluate(row.peer[1], net=fresh)
    assert_same_weights(fresh, evaluate(row.skmlp[1], **NAMES))


@of_row("`NeuralNetClassifier(Convolution).fit(X.transpose(0, 3, 1, 2), y)`")
def test_images_have_their_channels_last(row, digits, fit_quietly):
    X, y = digits[0].reshape(-1, 8, 8, 1), digits[1]
    net = NeuralNetClassifier(Convolution, **SKORCH).fit(X.transpose(0, 3, 1, 2), y)
    model = TorchClassifier(Convolution, **SKMLP)
    for code in (row.peer[0], row.skmlp[0]):
        assert code.endswith("y)")
    assert_same_weights(net, fit_quietly(model, X, y))
