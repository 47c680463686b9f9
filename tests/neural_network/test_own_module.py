"""A user's module learns what the built-in network of its architecture learns.

`init_from` gives both networks the same initial weights. A `TorchClassifier` draws two
seeds before it shuffles, and ``init="zeros"`` draws nothing. So `make_twins` lets the
built-in network start from a generator that has drawn two numbers already.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from torch import nn

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    TorchClassifier,
    TorchRegressor,
)
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Perceptron(nn.Module):
    """A network of one hidden layer, with the layer names of skmlp."""

    def __init__(self, n_features, n_outputs, hidden=50, dropout=0.0):
        super().__init__()
        self.dense1 = nn.Linear(n_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, n_outputs)

    def forward(self, x):
        return self.output(self.dropout(self.dense1(x).relu()))


class Convolution(nn.Module):
    """The architecture of ``CNNClassifier((8,))``."""

    def __init__(self, image_shape, n_outputs):
        super().__init__()
        height, width, channels = image_shape
        self.conv1 = nn.Conv2d(channels, 8, 3, padding="same")
        self.dense1 = nn.Linear(8 * height // 2 * width // 2, 128)
        self.output = nn.Linear(128, n_outputs)

    def forward(self, x):
        maps = nn.functional.max_pool2d(self.conv1(x), 2).relu()
        features = maps.permute(0, 2, 3, 1).flatten(1)  # channels last
        return self.output(self.dense1(features).relu())


class Residual(nn.Module):
    """Blocks with LayerNorm and shortcuts."""

    def __init__(self, n_features, n_classes, width=64, n_blocks=2):
        super().__init__()
        self.first = nn.Linear(n_features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.GELU(),
                nn.Dropout(0.1),
                nn.Linear(width, width),
            )
            for _ in range(n_blocks)
        )
        self.output = nn.Linear(width, n_classes)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.output(x)


def make_sequential(n_features, n_outputs, hidden=50):
    """Return the perceptron as a sequence of torch's layers."""
    return nn.Sequential(
        nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_outputs)
    )


FEW = {"max_iter": 5, "batch_size": 32, "random_state": 0}


@pytest.fixture
def make_twins():
    """Constructor of a built-in network and of a user's module with equal weights."""

    def make(built_in, own, start, **params):
        drawn = np.random.RandomState(0)
        drawn.randint(np.iinfo(np.int32).max, size=2)
        params = {**FEW, "init_from": start, **params}
        built_in.set_params(**{**params, "init": "zeros", "random_state": drawn})
        return built_in, own.set_params(**params)

    return make


@pytest.fixture
def assert_trained_equally(assert_equal_weights):
    """Check of two fitted networks that started from the weights of a third."""

    def check(model, own, start):
        assert_equal_weights(model, own, atol=1e-10)
        np.testing.assert_allclose(model.loss_curve_, own.loss_curve_, rtol=1e-10)
        assert np.abs(model.coefs_[0] - start.coefs_[0]).max() > 1e-3

    return check


@pytest.fixture(scope="module")
def start(digits):
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return MLPClassifier(50, max_iter=1, random_state=1).fit(*digits)


@pytest.fixture(scope="module")
def weights(digits):
    return np.random.RandomState(0).uniform(0, 2, len(digits[0]))


PARAMS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
    "adamw": {"solver": "adamw", "alpha": 0.1},
    "penalty of each layer": {"alpha": [0.1, 10.0]},
    "nadam, clipped": {"solver": "nadam", "max_grad_norm": 0.1},
    "class weights": {"class_weight": {0: 3.0}, "label_smoothing": 0.1},
    "averaged": {"weight_averaging": 0.9, "learning_rate": "onecycle"},
    "frozen": {"frozen_layers": ["output"]},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_perceptron_learns_the_weights_of_the_mlp(
    params, digits, start, make_twins, assert_equal_weights
):
    twins = make_twins(MLPClassifier(50), TorchClassifier(Perceptron), start, **params)
    model, own = (twin.fit(*digits) for twin in twins)
    assert_equal_weights(model, own, atol=1e-10)
    assert np.abs(model.coefs_[0] - start.coefs_[0]).max() > 1e-3
    np.testing.assert_allclose(model.loss_, own.loss_, rtol=1e-9)


def test_sample_weights_count_as_in_the_mlp(
    digits, weights, start, make_twins, assert_trained_equally
):
    twins = make_twins(MLPClassifier(50), TorchClassifier(Perceptron), start)
    model, own = (twin.fit(*digits, weights) for twin in twins)
    assert_trained_equally(model, own, start)


def test_early_stopping_ends_as_in_the_mlp(
    digits, weights, start, make_twins, assert_trained_equally
):
    params = {
        "early_stopping": True,
        "class_weight": "balanced",  # the split of the MLP is then stratified, too
        "max_iter": 100,
        "n_iter_no_change": 3,
        "learning_rate_init": 0.01,
    }
    twins = make_twins(MLPClassifier(50), TorchClassifier(Perceptron), start, **params)
    model, own = (twin.fit(*digits, weights) for twin in twins)
    assert_trained_equally(model, own, start)
    assert own.n_iter_ == model.n_iter_ < 100
    assert own.best_epoch_ == model.best_epoch_
    assert own.validation_scores_ == model.validation_scores_


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressor_learns_the_weights_of_the_mlp(
    n_outputs, diabetes, make_twins, assert_trained_equally
):
    X, y = diabetes
    y = y if n_outputs == 1 else np.column_stack([y, y**2])
    X_val, y_val = X[:40], y[:40]
    sizes = {"hidden_layer_sizes": 50}
    start = MLPRegressor(**sizes, max_iter=1, random_state=1).fit(X, y)
    twins = make_twins(MLPRegressor(**sizes), TorchRegressor(Perceptron), start)
    model, own = (twin.fit(X[40:], y[40:], X_val=X_val, y_val=y_val) for twin in twins)
    assert_trained_equally(model, own, start)
    np.testing.assert_allclose(model.predict(X), own.predict(X), atol=1e-10)


@pytest.mark.parametrize("as_images", [True, False])
def test_convolution_learns_the_weights_of_the_cnn(
    as_images, digits, weights, make_twins, assert_trained_equally
):
    X, y = digits
    own = TorchClassifier(Convolution, image_shape=(8, 8))
    if as_images:
        X, own = X.reshape(-1, 8, 8), TorchClassifier(Convolution)
    start = CNNClassifier((8,), max_iter=1, random_state=1).fit(X, y)
    twins = make_twins(CNNClassifier((8,)), own, start, max_iter=3)
    model, own = (twin.fit(X, y, weights) for twin in twins)
    assert_trained_equally(model, own, start)
    assert own.image_shape_ == (8, 8, 1)


def test_sequence_of_layers_trains_like_the_mlp_to_the_bit(digits):
    params = FEW | {"shuffle": False, "warm_start": True, "max_iter": 1}
    model = MLPClassifier(50, **params).fit(*digits)
    own = TorchClassifier(make_sequential, **params).fit(*digits)
    own.coefs_, own.intercepts_ = model.coefs_, model.intercepts_
    before = own.coefs_[0].copy()
    for twin in (model, own):
        twin.set_params(max_iter=4).fit(*digits)
    np.testing.assert_array_equal(own.coefs_[0], model.coefs_[0])
    assert np.abs(own.coefs_[0] - before).max() > 1e-3


def test_residual_network_with_layer_norm_learns_digits():
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X / 16, y, random_state=0, stratify=y)
    X_train, X_test, y_train, y_test = split
    model = TorchClassifier(
        Residual,
        learning_rate="onecycle",
        learning_rate_init=0.003,
        max_iter=30,
        batch_size=64,
        dtype="float32",
        random_state=0,
    )
    assert model.fit(X_train, y_train).score(X_test, y_test) >= 0.97


@pytest.fixture(scope="module")
def fitted(digits):
    """Fitted network with dropout, so that its training draws random numbers."""
    model = TorchClassifier(Perceptron, module__dropout=0.3, module__hidden=20, **FEW)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return model.fit(*digits)


def states_of(model):
    """Return the weights of a fitted network."""
    return list(model.net_.module_.state_dict().values())


def assert_same_network(model, other, X):
    """Check that two fitted networks are equal to the bit."""
    for a, b in zip(states_of(model), states_of(other), strict=True):
        assert torch.equal(a, b)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


def test_clone_keeps_arguments_of_the_module_and_trains_equally(fitted, digits):
    copied = clone(fitted)
    params = copied.get_params()
    assert params["module"] is Perceptron
    assert params["module__dropout"] == 0.3
    assert params["module__hidden"] == 20
    assert "module__hidden=20" in repr(copied)
    assert_same_network(fitted, copied.fit(*digits), digits[0])


def test_fits_leave_global_generators_as_they_were(digits, fitted):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = clone(fitted).fit(*digits)
    copy.deepcopy(again)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_other_seeds_give_other_networks(digits, fitted):
    other = clone(fitted).set_params(random_state=1).fit(*digits)
    assert not torch.equal(states_of(fitted)[0], states_of(other)[0])


@pytest.mark.parametrize(
    "copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_and_pickles_hold_the_network(copy_of, fitted, digits):
    copied = copy_of(fitted)
    assert_same_network(fitted, copied, digits[0])
    assert isinstance(copied.net_.module_, Perceptron)
    assert copied.get_params() == fitted.get_params()


def test_saved_file_needs_the_module_again(fitted, digits, tmp_path):
    path = tmp_path / "own.safetensors"
    save_model(fitted, path)
    loaded = load_model(path, modules=[Perceptron])
    assert_same_network(fitted, loaded, digits[0])
    assert loaded.module is Perceptron
    with pytest.raises(ValueError, match=r"load_model\(path, modules=\[Perceptron\]\)"):
        load_model(path)


def test_image_module_is_saved_and_copied_with_its_input(digits, tmp_path):
    X, y = digits
    model = TorchClassifier(Convolution, image_shape=(8, 8), **FEW).fit(X, y)
    save_model(model, tmp_path / "own.safetensors")
    loaded = load_model(tmp_path / "own.safetensors", modules=[Convolution])
    assert_same_network(model, loaded, X)
    assert_same_network(model, pickle.loads(pickle.dumps(model)), X)
    assert_same_network(model, loaded, X.reshape(-1, 8, 8))


def test_grid_search_with_two_jobs_varies_arguments(digits):
    class Local(Perceptron):  # the workers cannot import this file
        pass

    grid = {"module__hidden": [3, 30], "learning_rate_init": [0.01]}
    results = [
        GridSearchCV(TorchClassifier(Local, **FEW), grid, cv=2, n_jobs=n_jobs)
        .fit(*digits)
        .cv_results_["mean_test_score"]
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*results)
    assert results[0][1] > results[0][0]


def test_checkpoint_continues_to_the_same_bits(fitted, digits, tmp_path, interrupt_at):
    path = tmp_path / "fit.checkpoint"
    model = clone(fitted).set_params(checkpoint=path, callbacks=[interrupt_at(3)])
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(*digits)
    assert model.n_iter_ < fitted.n_iter_
    model = clone(fitted).set_params(checkpoint=path).fit(*digits)
    assert_same_network(fitted, model, digits[0])


def test_ensemble_has_members_of_the_module(digits):
    network = TorchClassifier(Perceptron, module__hidden=20, **FEW)
    ensemble = EnsembleClassifier(network, 3, random_state=0).fit(*digits)
    assert ensemble.score(*digits) > 0.5
    first, second, _ = ensemble.estimators_
    assert not torch.equal(states_of(first)[0], states_of(second)[0])


def test_warm_start_continues_with_other_dropout_but_not_other_sizes(digits):
    model = TorchClassifier(Perceptron, **FEW, warm_start=True).fit(*digits)
    trained = [t.clone() for t in states_of(model)]
    model.set_params(module__dropout=0.5, max_iter=1).fit(*digits)
    assert model.net_.module_.dropout.p == 0.5
    distance = max(
        float((a - b).abs().max())
        for a, b in zip(trained, states_of(model), strict=True)
    )
    assert 0 < distance < 0.1
    model.set_params(module__hidden=7)
    with pytest.raises(ValueError, match="module__hidden=7 was None"):
        model.fit(*digits)


def test_partial_fit_trains_by_one_epoch(digits):
    X, y = digits
    model = TorchClassifier(Perceptron, **FEW)
    model.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
    assert model.t_ == 2 * len(X)


# Own losses, optimizers and schedules


class _Normalized(nn.Module):
    """A network with LayerNorm, for classes or numbers."""

    def __init__(self, n_features, n_outputs=None, n_classes=None):
        super().__init__()
        self.hidden = nn.Linear(n_features, 16)
        self.norm = nn.LayerNorm(16)
        self.output = nn.Linear(16, n_outputs or n_classes)

    def forward(self, x):
        return self.output(torch.relu(self.norm(self.hidden(x))))


@pytest.mark.parametrize(
    "params",
    [
        {"loss": nn.CrossEntropyLoss(reduction="none")},
        {"solver": torch.optim.RAdam},
        {"solver": "muon"},
        {"learning_rate": lambda progress: 1.0 - progress},
        {"loss": "focal"},
    ],
    ids=["loss", "solver", "muon", "learning_rate", "focal"],
)
def test_own_module_trains_with_own_parts(params):
    X, y = load_digits(return_X_y=True)
    params = {"learning_rate_init": 0.01, "max_iter": 5, "random_state": 0} | params
    model = TorchClassifier(_Normalized, **params)
    model.fit(X[:300] / 16, y[:300], sample_weight=np.ones(300))
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_own_module_has_output_for_each_quantile():
    X, y = load_digits(return_X_y=True)
    model = TorchRegressor(
        _Normalized, loss="quantile", quantile=(0.1, 0.9), max_iter=2, random_state=0
    )
    assert model.fit(X[:100] / 16, y[:100] / 9).predict(X[:5] / 16).shape == (5, 2)
