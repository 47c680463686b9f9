"""An activation of the user: a class, a module or a function."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPRegressor
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def swish(x):
    return x * torch.sigmoid(x)


class Scaled(nn.Module):
    """An activation with a parameter, whose first value is random."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1))

    def forward(self, x):
        return torch.tanh(self.scale * x)


OWN = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": swish,
    "softplus": F.softplus,
    "leaky_relu": partial(nn.LeakyReLU, 0.01),
    "gelu": nn.GELU(),
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", OWN)
def test_own_activation_gives_weights_of_named_one(
    name, digits, mlp, assert_equal_weights
):
    named, own = mlp(activation=name), mlp(activation=OWN[name])
    assert_equal_weights(own.fit(*digits), named.fit(*digits), atol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_own_activation_trains_convolutions(
    solver, batch_norm, digits, assert_equal_weights
):
    params = {"conv_channels": 3, "max_iter": 3, "random_state": 0, "solver": solver}
    named, own = (
        CNNClassifier(activation=activation, batch_norm=batch_norm, **params)
        for activation in ("relu", F.relu)
    )
    assert_equal_weights(own.fit(*digits), named.fit(*digits), atol=1e-8)


def test_every_layer_has_its_own_copy_of_a_module(digits, mlp):
    module = nn.PReLU()
    model = mlp(activation=module, hidden_layer_sizes=(8, 8)).fit(*digits)
    slopes = [m.weight.item() for m in model.net_.module_ if isinstance(m, nn.PReLU)]
    assert slopes[0] != slopes[1]
    assert module.weight.item() == 0.25


def test_parameters_of_activation_are_trained_and_repeatable(digits, mlp):
    state = torch.get_rng_state()
    one, two = (mlp(activation=Scaled).fit(*digits) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.loss_curve_ == two.loss_curve_
    loaded = pickle.loads(pickle.dumps(one))
    assert_array_equal(loaded.predict_proba(digits[0]), one.predict_proba(digits[0]))
    assert "dense1_activation.scale" in loaded.net_.module_.state_dict()


def test_own_activation_survives_pickle_and_clone(digits, mlp):
    model = mlp(activation=swish).fit(*digits)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(digits[0]), model.predict_proba(digits[0]))
    assert clone(model).fit(*digits).loss_curve_ == model.loss_curve_
    assert "swish" in repr(model)


def test_model_file_keeps_torchs_classes_and_refuses_functions(digits, mlp, tmp_path):
    path = tmp_path / "model"
    model = mlp(activation=nn.PReLU).fit(*digits)
    save_model(model, path)
    assert_array_equal(load_model(path).predict(digits[0]), model.predict(digits[0]))
    model = mlp(activation=swish).fit(*digits)
    with pytest.raises(TypeError, match=r"swish, which is code; use joblib\.dump"):
        save_model(model, path)


def test_checkpoint_of_another_activation_is_refused(digits, mlp, tmp_path):
    path = tmp_path / "fit"
    mlp(activation=swish, checkpoint=path).fit(*digits)
    with pytest.raises(ValueError, match="another fit: activation was"):
        mlp(activation=F.softplus, checkpoint=path).fit(*digits)


def test_class_with_formula_trains_in_packs(digits, mlp):
    grid = {"alpha": [0.1, 0.01], "activation": [nn.Tanh, "tanh"]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, refit=False).fit(*digits)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert_array_equal(scores[0], scores[1])


def test_regressor_accepts_own_activation(diabetes, assert_equal_weights):
    params = {"hidden_layer_sizes": 5, "max_iter": 3, "random_state": 0}
    named, own = (
        MLPRegressor(activation=activation, **params).fit(*diabetes)
        for activation in ("tanh", torch.tanh)
    )
    assert_equal_weights(own, named, atol=1e-10)


@pytest.mark.parametrize(
    ("activation", "error", "text"),
    [
        (nn.GLU, ValueError, r"GLU changes the shape \(2, 6\) to \(2, 3\)"),
        (lambda x: x.sum(1), ValueError, "changes the shape"),
        (lambda x: x.double(), ValueError, "changes the dtype float32"),
        (torch.log, ValueError, "values that are not finite"),
        (lambda x: (x > 0).float(), ValueError, "has no gradient"),
        (lambda x: 1.0, ValueError, "returns float"),
        (lambda x: x.detach().numpy().no, ValueError, "failed for a tensor of shape"),
        (nn.Threshold, ValueError, "Threshold failed for a tensor"),
        (dict, TypeError, r"dict is a class, but no subclass of nn\.Module"),
        ("rely", ValueError, "The 'activation' parameter"),
    ],
)
def test_unusable_activation_is_refused_before_training(
    activation, error, text, digits, mlp
):
    with pytest.raises(error, match=text):
        mlp(activation=activation).fit(*digits)


def test_activation_that_fails_for_images_is_refused(digits):
    def of_rows(x):
        return x.relu() if x.dim() == 2 else x.relu()[:1]

    with pytest.raises(ValueError, match=r"changes the shape \(2, 4, 6, 6\)"):
        CNNClassifier(activation=of_rows).fit(*digits)
    assert np.isfinite(
        CNNClassifier(2, activation=F.relu, max_iter=1).fit(*digits).loss_
    )
