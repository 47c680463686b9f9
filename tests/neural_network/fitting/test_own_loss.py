"""A loss of the user: a callable or a loss of torch."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import save_model
from skmlp.training.losses import UserLoss

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def cross_entropy(z, y):
    return F.cross_entropy(z, y, reduction="none")


def logistic(z, y):
    return F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(-1)


def half_squared_error(z, y):
    return 0.5 * ((z - y) ** 2).sum(-1)


def huber(z, y):
    return F.huber_loss(z, y, reduction="none").sum(-1)


def hinge(z, y):
    correct = z.gather(1, y[:, None])[:, 0]
    others = z.masked_fill(F.one_hot(y, z.shape[1]).bool(), -torch.inf)
    return F.relu(1 + others.max(1).values - correct)


@pytest.fixture
def weight():
    return np.random.RandomState(0).uniform(0.1, 3.0, 300)


TARGETS = {
    "multiclass": lambda y: y,
    "binary": lambda y: np.where(y > 4, "high", "low"),
    "multilabel": lambda y: np.column_stack([y > 4, y % 2, y == 0]).astype(int),
}
OWN = {
    "multiclass": (cross_entropy, nn.CrossEntropyLoss(reduction="none")),
    "binary": (logistic, nn.BCEWithLogitsLoss(reduction="none")),
    "multilabel": (logistic, nn.BCEWithLogitsLoss(reduction="none")),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("number", [0, 1], ids=["function", "module"])
@pytest.mark.parametrize("kind", TARGETS)
def test_own_log_loss_gives_weights_of_named_one(
    kind, number, solver, weighted, digits, weight, mlp, assert_equal_weights
):
    X, y = digits[0], TARGETS[kind](digits[1])
    given = {"sample_weight": weight} if weighted else {}
    params = {"solver": solver, "activation": "tanh"}
    named, own = mlp(**params), mlp(loss=OWN[kind][number], **params)
    named.fit(X, y, **given)
    own.fit(X, y, **given)
    assert_equal_weights(own, named, atol=1e-10)
    assert_allclose(own.predict_proba(X), named.predict_proba(X), atol=1e-9)
    assert own.out_activation_ == named.out_activation_


@pytest.mark.parametrize("class_weight", [{3: 5.0, 4: 0.0}, "balanced"])
def test_class_weights_count_in_own_loss(
    class_weight, digits, weight, mlp, assert_equal_weights
):
    named, own = (
        mlp(class_weight=class_weight),
        mlp(class_weight=class_weight, loss=cross_entropy),
    )
    named.fit(*digits, weight)
    own.fit(*digits, weight)
    assert_equal_weights(own, named, atol=1e-10)


REGRESSION = {
    "squared_error": half_squared_error,
    "huber": huber,
    "absolute_error": nn.L1Loss(reduction="none"),
    "huber of torch": nn.HuberLoss(reduction="none"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("name", REGRESSION)
def test_own_regression_loss_gives_weights_of_named_one(
    name, n_outputs, weighted, diabetes, assert_equal_weights
):
    X, y = diabetes
    y = y if n_outputs == 1 else np.column_stack([y, y**2])
    weight = np.random.RandomState(0).uniform(0.1, 3.0, len(X))
    given = {"sample_weight": weight} if weighted else {}
    params = {"hidden_layer_sizes": 6, "max_iter": 8, "random_state": 0, "tol": 0}
    named = MLPRegressor(name.split()[0], **params).fit(X, y, **given)
    own = MLPRegressor(REGRESSION[name], **params).fit(X, y, **given)
    assert_equal_weights(own, named, atol=1e-10)
    assert_allclose(own.predict(X), named.predict(X), atol=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"dropout": 0.3, "batch_norm": True},
        {"activation": "gelu"},
        {"solver": "sgd", "weight_averaging": 0.9},
    ],
    ids=lambda params: next(iter(params)),
)
def test_own_loss_trains_like_named_one(params, digits, mlp, assert_equal_weights):
    named, own = mlp(**params).fit(*digits), mlp(loss=cross_entropy, **params)
    own.fit(*digits)
    assert_equal_weights(own, named, atol=1e-10)
    assert_allclose(own.loss_curve_, named.loss_curve_)
    assert own.validation_scores_ == named.validation_scores_


def test_own_loss_trains_convolutions_and_linear_models(digits, assert_equal_weights):
    for cls, params in ((CNNClassifier, {"conv_channels": 3}), (SoftmaxRegression, {})):
        params = params | {"max_iter": 3, "random_state": 0, "init": "he_normal"}
        named, own = cls(**params), cls(loss=cross_entropy, **params)
        assert_equal_weights(own.fit(*digits), named.fit(*digits), atol=1e-10)


def test_partial_fit_continues_with_own_loss(digits, mlp, assert_equal_weights):
    named, own = mlp(), mlp(loss=cross_entropy)
    for _ in range(3):
        named.partial_fit(*digits, classes=np.arange(10))
        own.partial_fit(*digits, classes=np.arange(10))
        own = pickle.loads(pickle.dumps(own))
    assert_equal_weights(own, named, atol=1e-10)


def test_own_loss_of_coupled_samples_has_gradient_of_weighted_mean():
    # The loss of a sample depends on the mean logit of the batch.

    loss = UserLoss(lambda z, y: ((z - z.mean(0) - y) ** 2).sum(-1), "identity")
    torch.manual_seed(0)
    z = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    y = torch.randn(5, 2, dtype=torch.float64)
    weight = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25], dtype=torch.float64)
    expected = (((z - z.mean(0) - y) ** 2).sum(-1) * weight).sum()
    (gradient,) = torch.autograd.grad(expected, z)
    terms, actual = loss.loss_terms_and_gradient(z, y, weight)
    assert_allclose(actual, gradient)
    assert float(loss.mean_loss(terms, weight)) == pytest.approx(expected.item())


def test_weights_inside_module_follow_dtype_of_network(digits, mlp):
    X, y = digits
    class_weight = torch.arange(1.0, 11.0)  # float32
    loss = nn.CrossEntropyLoss(weight=class_weight, reduction="none")
    own = mlp(loss=loss).fit(X, y)
    named = mlp().fit(X, y, sample_weight=None)
    assert own.coefs_[0].dtype == np.float64
    assert not np.allclose(own.coefs_[0], named.coefs_[0])
    assert loss.weight.dtype == torch.float32


# Copies, files and searches


def test_own_loss_survives_pickle_clone_and_copy(digits, mlp):
    for loss in (cross_entropy, nn.CrossEntropyLoss(reduction="none")):
        model = mlp(loss=loss).fit(*digits)
        for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert_array_equal(
                copied.predict_proba(digits[0]), model.predict_proba(digits[0])
            )
        assert clone(model).fit(*digits).loss_curve_ == model.loss_curve_
    assert mlp(loss=cross_entropy).get_params()["loss"] is cross_entropy


def test_pickle_of_fit_with_own_loss_holds_plain_state(digits, mlp):
    model = mlp(loss=cross_entropy).fit(*digits)
    assert isinstance(model.__getstate__()["net_"], dict)
    again = pickle.loads(pickle.dumps(model))
    assert isinstance(again.__getstate__()["net_"], dict)


def test_repr_and_html_show_own_loss(digits, mlp):
    model = mlp(loss=cross_entropy)
    assert "cross_entropy" in repr(model)
    assert "cross_entropy" in model.fit(*digits)._repr_html_()


def test_model_file_refuses_own_loss(digits, mlp, tmp_path):
    model = mlp(loss=cross_entropy).fit(*digits)
    with pytest.raises(
        TypeError, match=r"loss of MLPClassifier .* which is code; .*job"
    ):
        save_model(model, tmp_path / "model")


def test_checkpoint_of_another_own_loss_is_refused(digits, mlp, tmp_path):
    path = tmp_path / "fit"
    scale = 2.0
    mlp(loss=lambda z, y: scale * cross_entropy(z, y), checkpoint=path).fit(*digits)
    again = mlp(loss=lambda z, y: scale * cross_entropy(z, y), checkpoint=path)
    again.fit(*digits)
    scale = 3.0
    with pytest.raises(ValueError, match="another fit: loss was"):
        again.fit(*digits)
    module = mlp(loss=nn.CrossEntropyLoss(reduction="none"), checkpoint=path)
    with pytest.raises(ValueError, match="another fit: loss was"):
        module.fit(*digits)


def test_searches_accept_own_losses(digits, mlp, capsys):
    grid = {"loss": ["log_loss", cross_entropy, hinge], "alpha": [1e-4, 1.0]}
    searches = [
        cls(mlp(), grid, cv=2, verbose=verbose).fit(*digits)
        for cls, verbose in ((PackedGridSearchCV, 1), (GridSearchCV, 0))
    ]
    assert "the others one by one" in capsys.readouterr().out
    packed, alone = (s.cv_results_["mean_test_score"] for s in searches)
    assert_allclose(packed, alone)
    assert packed[0] == packed[1]  # the own log_loss equals the named one


def test_ensemble_trains_members_with_own_loss(digits, mlp):
    named, own = (
        EnsembleClassifier(mlp(loss=loss), n_estimators=2, random_state=0).fit(*digits)
        for loss in ("log_loss", cross_entropy)
    )
    X = digits[0]
    assert_allclose(own.predict_proba(X), named.predict_proba(X), atol=1e-9)


def test_mixed_precision_gives_own_loss_float32_logits(digits32, mlp):
    dtypes = set()

    def loss(z, y):
        dtypes.add(z.dtype)
        return cross_entropy(z, y)

    own, named = mlp(loss=loss, amp=True), mlp(amp=True)
    assert own.fit(*digits32).score(*digits32) == named.fit(*digits32).score(*digits32)
    assert dtypes == {torch.float32}


# Bad input


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        (nn.CrossEntropyLoss, TypeError, "loss is the class CrossEntropyLoss"),
        (nn.CrossEntropyLoss(), ValueError, r"reduces .* CrossEntropyLoss\(reduction="),
        (lambda z, y: cross_entropy(z, y).mean(), ValueError, "do not reduce the loss"),
        (lambda z, y: cross_entropy(z, y)[1:], ValueError, r"shape \(2,\) for logits"),
        (lambda z, y: z.T @ z, ValueError, "has to return one loss for each sample"),
        (lambda z, y: 1.0, TypeError, "loss returned float"),
        (lambda z, y: (z.argmax(1) != y).double(), ValueError, "does not depend on"),
        (lambda z, y: z.sum(1) * 0.0, ValueError, "does not depend on the logits"),
        (lambda z: z.sum(1), ValueError, "loss failed for logits of shape"),
        ("focl", ValueError, "The 'loss' parameter"),
    ],
)
def test_unusable_loss_is_refused_before_training(loss, error, text, digits, mlp):
    model = mlp(loss=loss, callbacks=None)
    with pytest.raises(error, match=text):
        model.fit(*digits)
    assert not hasattr(model, "net_")


def test_cross_entropy_of_two_classes_is_refused(digits, mlp):
    X, y = digits
    model = mlp(loss=nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(ValueError, match=r"two classes have one logit.*BCEWithLogits"):
        model.fit(X, y > 4)


def test_loss_with_trainable_parameters_is_refused(digits, mlp):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, z, y):
            return self.scale * cross_entropy(z, y)

    with pytest.raises(ValueError, match="Scaled has parameters to be trained"):
        mlp(loss=Scaled()).fit(*digits)


def test_label_smoothing_with_own_loss_is_refused(digits, mlp):
    with pytest.raises(ValueError, match=r"label_smoothing=0\.1 changes the targets"):
        mlp(loss=cross_entropy, label_smoothing=0.1).fit(*digits)


def test_loss_that_becomes_nan_ends_training_with_error(digits, mlp):
    def loss(z, y):
        losses = cross_entropy(z, y)
        return losses / (len(z) < 4) if len(z) > 3 else losses

    with pytest.raises(ValueError, match="Training loss became non-finite at epoch 1"):
        mlp(loss=loss).fit(*digits)


def test_own_loss_may_be_flat_near_zero(diabetes):
    X, y = diabetes

    def insensitive(z, y):
        return F.relu((z - y).abs() - 100.0).sum(-1)

    model = MLPRegressor(insensitive, max_iter=2, random_state=0).fit(X, y)
    assert model.loss_curve_[0] == pytest.approx(0.0, abs=0.1)


def test_classifier_with_one_sample_accepts_own_loss():
    model = MLPClassifier(2, loss=logistic, max_iter=1, batch_size=1)
    assert model.fit([[0.0, 1.0]], [1]).predict([[0.0, 1.0]]) == [1]
