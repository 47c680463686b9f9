"""Learning rates of groups of parameters."""

import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from skmlp.neural_network import MLPClassifier, MLPRegressor
from skmlp.training.modules.embeddings import FeatureEmbedding
from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers.rate_factors import parameter_rate_factors


def test_factors_are_those_of_the_groups():
    embedding = FeatureEmbedding(2, periodic=(0,), categories={1: 3}, scaled=True)
    network = build_mlp(2, (4,), 1, batch_norm=True, embedding=embedding)
    names, parameters = zip(*network.named_parameters(), strict=True)
    factors = parameter_rate_factors(
        network,
        parameters,
        {"weights": "fan_in", "biases": 0.1, "scales": 6, "periodic": 0.2},
    )
    by_name = dict(zip(names, factors, strict=True))
    assert_allclose(by_name["dense1.weight"], embedding.width**-0.5)
    assert by_name["output.weight"] == 0.5
    assert by_name["output.bias"] == 0.1
    assert by_name["embedding.scale"] == 6.0
    assert by_name["embedding.periodic.frequencies"] == 0.2
    assert by_name["embedding.category.vectors"] == 1.0
    assert by_name["dense1_norm.weight"] == 1.0


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_one_factor_for_all_groups_is_another_learning_rate(digits64, solver):
    X, y = digits64
    params = {
        "hidden_layer_sizes": 7,
        "solver": solver,
        "alpha": 0.0,
        "max_iter": 3,
        "random_state": 0,
        "n_iter_no_change": 99,
        "tol": 0,
    }
    factors = {"weights": 0.1, "biases": 0.1}
    plain = MLPClassifier(learning_rate_init=0.01, **params)
    scaled = MLPClassifier(
        learning_rate_init=0.1, learning_rate_factors=factors, **params
    )
    for model in (plain, scaled):
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
    for ours, theirs in zip(scaled.coefs_, plain.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def test_tiny_factor_keeps_a_group_at_its_initial_values(digits64):
    X, y = digits64
    params = {"hidden_layer_sizes": 7, "max_iter": 2, "random_state": 0}
    model = MLPClassifier(
        learning_rate_factors={"biases": 1e-12}, init="he_normal", **params
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert all(abs(biases).max() < 1e-10 for biases in model.intercepts_)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"weight": 1.0}, "the key 'weight'"),
        ({"weights": 0.0}, "must be a number above 0"),
        ({"biases": "fan_in"}, "must be a number above 0"),
    ],
)
def test_wrong_factors_raise(factors, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(learning_rate_factors=factors).fit([[0.0], [1.0]], [0.0, 1.0])


def test_other_solvers_raise():
    model = MLPRegressor(learning_rate_factors={"biases": 2.0}, solver="lbfgs")
    with pytest.raises(ValueError, match="learning_rate_factors needs one of"):
        model.fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.fixture(scope="module")
def digits64():
    """A few samples in float64."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(60, 5, generator=generator, dtype=torch.float64).numpy()
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
