"""An optimizer of the user, Muon, and gradient descent as torch has it."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OPTIMIZERS = {
    "Adam": (torch.optim.Adam, {"betas": (0.8, 0.9)}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1}),
    "SGD": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "RMSprop": (torch.optim.RMSprop, {"alpha": 0.9}),
    # Its update depends on the shape of each parameter.
    "Adafactor": (torch.optim.Adafactor, {}),
}


class Signs(torch.optim.Optimizer):
    """Moves each parameter by the learning rate against the sign of its gradient."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad.sign())
                self.state[p]["n"] = self.state[p].get("n", 0) + 1


def cross_entropy(z, y):
    return F.cross_entropy(z, y, reduction="none")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_class_of_torch_matches_plain_torch_loop(
    name, digits, make_model, train_with_torch
):
    X, y = digits[0][:200], digits[1][:200]
    cls, params = OPTIMIZERS[name]
    model = make_model(solver=cls, optimizer_params=params).fit(X, y)
    (w1, b1, w2, b2), curve = train_with_torch(
        X, y, cross_entropy, 10, optimizer=lambda p: cls(p, lr=0.05, **params)
    )
    if name != "Adafactor":  # the plain loop has transposed matrices
        for actual, expected in zip(model.coefs_, (w1, w2), strict=True):
            assert_allclose(actual, expected, atol=1e-10)
        for actual, expected in zip(model.intercepts_, (b1, b2), strict=True):
            assert_allclose(actual, expected, atol=1e-10)
    assert_allclose(model.loss_curve_, curve, rtol=1e-8)


def test_own_optimizer_updates_every_parameter(digits, mlp):
    model = mlp(solver=Signs, learning_rate_init=0.01, alpha=0.0)
    start = clone(model).set_params(max_iter=1, batch_size=300).fit(*digits)
    model.fit(*digits)
    assert model.score(*digits) > start.score(*digits)
    assert not hasattr(model.net_, "flat_")


def test_partial_fit_continues_state_of_own_optimizer(
    digits, mlp, assert_equal_weights
):
    params = {"solver": torch.optim.Adam, "shuffle": False}
    at_once = mlp(max_iter=4, tol=0, **params).fit(*digits)
    stepwise = mlp(**params)
    copies = (lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)))
    for between in (*copies, lambda m: m):
        stepwise.partial_fit(*digits, classes=np.arange(10))
        stepwise = between(stepwise)
    assert_equal_weights(stepwise, at_once)


def test_model_file_keeps_class_of_torch(digits, mlp, tmp_path):
    model = mlp(solver=torch.optim.Adam, activation=torch.nn.ELU).fit(*digits)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.solver is torch.optim.Adam
    assert_array_equal(loaded.predict_proba(digits[0]), model.predict_proba(digits[0]))


def test_model_file_refuses_own_optimizer(digits, mlp, tmp_path):
    model = mlp(solver=Signs).fit(*digits)
    with pytest.raises(TypeError, match="Signs, which is code; predictions do not dep"):
        save_model(model, tmp_path / "model")
    save_model(model.set_params(solver="adam"), tmp_path / "model")


def test_packed_search_trains_own_optimizers_alone(digits, mlp, capsys):
    grid = {"solver": ["adam", "torch_sgd", torch.optim.Adam]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, verbose=1).fit(*digits)
    assert "one by one" in capsys.readouterr().out
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# Named solvers


def test_torch_sgd_follows_torch_when_learning_rate_changes(
    digits, make_model, train_with_torch, assert_matches
):
    X, y = digits[0][:200], digits[1][:200]
    n_steps = 6 * 7
    model = make_model(solver="torch_sgd", momentum=0.9, learning_rate="cosine")
    model.fit(X, y)
    reference = train_with_torch(
        X,
        y,
        cross_entropy,
        10,
        optimizer=lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True),
        scheduler=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, n_steps),
    )
    assert_matches(model, reference)
    sklearn_rule = make_model(momentum=0.9, learning_rate="cosine").fit(X, y)
    assert not np.allclose(sklearn_rule.coefs_[0], model.coefs_[0])


def test_pack_of_torch_sgd_equals_single_fits(digits, mlp):
    grid = {"learning_rate_init": [0.01, 0.1], "learning_rate": ["cosine"]}
    model = mlp(solver="torch_sgd")
    search = PackedGridSearchCV(model, grid, cv=2, refit=False, return_train_score=True)
    search.fit(*digits)
    for i, params in enumerate(search.cv_results_["params"]):
        alone = PackedGridSearchCV(
            model, {k: [v] for k, v in params.items()}, cv=2, return_train_score=True
        ).fit(*digits)
        for name in ("mean_test_score", "mean_train_score"):
            assert_allclose(search.cv_results_[name][i], alone.cv_results_[name][0])


def test_muon_orthogonalizes_hidden_matrix_and_adam_moves_the_rest(digits, mlp):
    params = {
        "shuffle": False,
        "batch_size": 300,
        "alpha": 0.0,
        "learning_rate_init": 0.01,
    }
    start = mlp(solver="torch_sgd", learning_rate=lambda p: 0.0, **params).fit(*digits)
    model = mlp(solver="muon", max_iter=1, **params).fit(*digits)
    adam = mlp(solver="adamw", max_iter=1, **params).fit(*digits)
    update = model.coefs_[0] - start.coefs_[0]
    values = np.linalg.svd(update, compute_uv=False)
    values = values[values > 1e-6]  # a unit that is never active does not move
    assert len(values) > 5
    assert values.max() < 2.0 * values.min()  # all directions move alike
    assert_array_equal(model.coefs_[1], adam.coefs_[1])
    for actual, expected in zip(model.intercepts_, adam.intercepts_, strict=True):
        assert_array_equal(actual, expected)


def test_muon_trains_convolutions_and_residual_blocks(digits):
    params = {"max_iter": 3, "random_state": 0, "solver": "muon"}
    for block in ("plain", "residual"):
        model = CNNClassifier((4, 4), block=block, learning_rate_init=0.01, **params)
        assert model.fit(*digits).loss_curve_[-1] < model.loss_curve_[0]


def test_alpha_of_muon_is_decoupled_weight_decay(digits, mlp):
    small, large = (
        mlp(solver="muon", alpha=alpha, learning_rate_init=0.01).fit(*digits)
        for alpha in (0.0, 10.0)
    )
    for weights, decayed in zip(small.coefs_, large.coefs_, strict=True):
        assert np.linalg.norm(decayed) < np.linalg.norm(weights)


# Bad input


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"solver": torch.optim.LBFGS}, ValueError, "LBFGS needs a closure"),
        ({"solver": torch.optim.SparseAdam}, ValueError, "SparseAdam failed"),
        ({"solver": torch.optim.Muon}, ValueError, "cannot update the network: Muon"),
        ({"solver": torch.nn.ReLU}, TypeError, r"subclass of torch\.optim\.Optimizer"),
        ({"solver": print}, TypeError, r"subclass of torch\.optim\.Optimizer"),
        (
            {"solver": torch.optim.Adam, "optimizer_params": {"beta": 1}},
            ValueError,
            "optimizer_params={'beta': 1} cannot update the network",
        ),
        (
            {"solver": torch.optim.Adam, "optimizer_params": {"lr": 1}},
            ValueError,
            "set learning_rate_init instead",
        ),
        ({"solver": "muon", "hidden_layer_sizes": ()}, ValueError, "no hidden layer"),
        (
            {"solver": "muon", "optimizer_params": {"steps": 1}},
            ValueError,
            r"solver='muon': .*steps",
        ),
        ({"solver": "sgdd"}, ValueError, "The 'solver' parameter"),
    ],
)
def test_unusable_solver_is_refused(params, error, text, digits, mlp):
    with pytest.raises(error, match=text):
        mlp(**params).fit(*digits)


def test_muon_without_torchs_class_is_refused(digits, mlp, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"needs torch 2\.9 or later"):
        mlp(solver="muon").fit(*digits)


def test_linear_model_refuses_muon(iris):
    with pytest.raises(ValueError, match="no hidden layer to train"):
        SoftmaxRegression(solver="muon").fit(*iris)


def test_user_class_is_shown_and_cloned():
    model = MLPClassifier(solver=Signs)
    assert clone(model).get_params()["solver"] is Signs
    assert "Signs" in repr(model)
