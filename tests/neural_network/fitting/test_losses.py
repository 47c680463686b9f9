"""Losses and class weights match a training loop in plain torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale

from skmlp.neural_network import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, digit = load_digits(return_X_y=True)
X, digit = X[:200] / 16, digit[:200]
parity = digit % 2
labels = np.column_stack([digit % 2, digit > 4, digit == 0])
soft = np.random.RandomState(0).dirichlet(np.ones(4), len(X))

D, number = load_diabetes(return_X_y=True)
D, number = scale(D)[:200], scale(number)[:200]
numbers = np.column_stack([number, np.abs(number)])


# Losses of classifiers


def cross_entropy(smoothing=0.0):
    return lambda z, y: F.cross_entropy(
        z, y, reduction="none", label_smoothing=smoothing
    )


def binary_cross_entropy(smoothing=0.0):
    def loss(z, y):
        y = y.reshape(len(z), -1).double() * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(-1)

    return loss


def hinge(power):
    def loss(z, y):
        correct = z.gather(1, y[:, None])[:, 0]
        others = z.masked_fill(F.one_hot(y, z.shape[1]).bool(), -torch.inf)
        return F.relu(1 + others.max(1).values - correct) ** power

    return loss


def binary_hinge(power):
    def loss(z, y):
        sign = 2.0 * y.reshape(len(z), -1) - 1
        return (F.relu(1 - sign * z) ** power).sum(-1)

    return loss


def divergence(z, t):
    return F.kl_div(F.log_softmax(z, -1), t, reduction="none").sum(-1)


CLASSIFICATION = {
    "log_loss": (digit, {}, cross_entropy(), 10),
    "log_loss, smoothed": (digit, {"label_smoothing": 0.2}, cross_entropy(0.2), 10),
    "binary log_loss": (parity, {}, binary_cross_entropy(), 1),
    "binary log_loss, smoothed": (
        parity,
        {"label_smoothing": 0.2},
        binary_cross_entropy(0.2),
        1,
    ),
    "multilabel log_loss": (labels, {}, binary_cross_entropy(), 3),
    "hinge": (digit, {"loss": "hinge"}, hinge(1), 10),
    "squared_hinge": (digit, {"loss": "squared_hinge"}, hinge(2), 10),
    "binary hinge": (parity, {"loss": "hinge"}, binary_hinge(1), 1),
    "multilabel squared_hinge": (
        labels,
        {"loss": "squared_hinge"},
        binary_hinge(2),
        3,
    ),
    "kullback_leibler": (soft, {"loss": "kullback_leibler"}, divergence, 4),
}
weights = pytest.mark.parametrize(
    "weight", [None, np.linspace(0.2, 2, 200)], ids=["unweighted", "weighted"]
)


@weights
@pytest.mark.parametrize("case", CLASSIFICATION.values(), ids=list(CLASSIFICATION))
def test_classification_losses_match_torch(
    case, weight, make_model, train_with_torch, assert_matches
):
    y, params, loss, n_out = case
    model = make_model(**params).fit(X, y, weight)
    assert_matches(model, train_with_torch(X, y, loss, n_out, weight))


def test_kullback_leibler_of_labels_is_cross_entropy(
    make_model, train_with_torch, assert_matches
):
    hard = make_model(loss="kullback_leibler").fit(X, digit)
    assert_matches(hard, train_with_torch(X, digit, cross_entropy(), 10))


def test_kullback_leibler_of_binary_labels_is_binary_cross_entropy(make_model):
    model, same = (
        make_model(loss="kullback_leibler").fit(X, parity),
        make_model().fit(X, parity),
    )
    assert model.loss_curve_ == same.loss_curve_
    assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert model.hidden_activations(X, layer="output").shape == (len(X), 1)


def test_one_hot_probabilities_train_as_labels(
    make_model, train_with_torch, assert_matches
):
    certain = np.eye(10)[digit]
    model = make_model(loss="kullback_leibler").fit(X, certain)
    assert_matches(model, train_with_torch(X, digit, cross_entropy(), 10))
    assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))


def test_multilabel_targets_are_refused_as_probabilities(make_model):
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        make_model(loss="kullback_leibler").fit(X, labels)


def test_class_weight_is_refused_for_probability_targets(make_model):
    model = make_model(loss="kullback_leibler", class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight needs labels"):
        model.fit(X, soft)


def test_lbfgs_approximates_soft_targets(make_model):
    model = make_model(
        loss="kullback_leibler", solver="lbfgs", hidden_layer_sizes=40, max_iter=500
    ).fit(X, soft)
    assert np.abs(model.predict_proba(X) - soft).mean() < np.abs(0.25 - soft).mean() / 2


def test_class_weights_equal_sample_weights(
    make_model, train_with_torch, assert_matches
):
    class_weight = {c: 1.0 + c for c in range(10)}
    given = make_model(class_weight=class_weight).fit(X, digit)
    assert_matches(given, train_with_torch(X, digit, cross_entropy(), 10, 1.0 + digit))
    balanced = make_model(class_weight="balanced").fit(X, digit)
    counts = np.bincount(digit)
    assert_matches(
        balanced,
        train_with_torch(X, digit, cross_entropy(), 10, len(X) / (10 * counts[digit])),
    )


def test_class_and_sample_weights_multiply(
    make_model, train_with_torch, assert_matches
):
    weight = np.linspace(0.2, 2, 200)
    model = make_model(class_weight={0: 3.0, 1: 1.0}).fit(X, parity, weight)
    product = weight * np.where(parity == 0, 3.0, 1.0)
    assert_matches(
        model, train_with_torch(X, parity, binary_cross_entropy(), 1, product)
    )


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_classes_missing_from_class_weight_have_weight_one(
    shape, make_model, train_with_torch, assert_matches
):
    model = make_model(class_weight={3: 2.0}).fit(X, digit.reshape(shape))
    assert_matches(
        model,
        train_with_torch(X, digit, cross_entropy(), 10, np.where(digit == 3, 2.0, 1.0)),
    )


def test_class_weight_may_name_classes_missing_from_data(make_model):
    others = digit != 3
    model = make_model(class_weight={3: 2.0}, max_iter=1)
    validated = model.fit(X, digit, X_val=X[others], y_val=digit[others])
    assert len(validated.validation_scores_) == 1
    model = make_model(class_weight={3: 2.0}).partial_fit(X, digit, classes=range(10))
    model.partial_fit(X[others], digit[others])
    plain = make_model().partial_fit(
        X, digit, np.where(digit == 3, 2.0, 1.0), range(10)
    )
    plain.partial_fit(X[others], digit[others])
    assert_array_equal(model.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], "class_weight=.* none of them negative"),
        ([1.0, np.nan], "class_weight=.* finite"),
        ([np.inf, 1.0], "class_weight=.* finite"),
        ([0.0, 0.0], "class_weight leaves no row a weight"),
    ],
)
def test_invalid_class_weights_are_refused(weights, message, make_model):
    model = make_model(class_weight=dict(enumerate(weights)))
    with pytest.raises(ValueError, match=message):
        model.fit(X, parity)


# Losses of regressors

REGRESSION = {
    "absolute_error": lambda z, y: F.l1_loss(z, y, reduction="none").sum(-1),
    "huber": lambda z, y: F.huber_loss(z, y, reduction="none").sum(-1),
    "log_cosh": lambda z, y: torch.log(torch.cosh(z - y)).sum(-1),
    "squared_error": lambda z, y: 0.5 * F.mse_loss(z, y, reduction="none").sum(-1),
    "poisson": lambda z, y: (
        F.poisson_nll_loss(z, y, log_input=True, reduction="none")
        + torch.xlogy(y, y)
        - y
    ).sum(-1),
}


@weights
@pytest.mark.parametrize("outputs", [number, numbers], ids=["one", "two"])
@pytest.mark.parametrize("loss", REGRESSION)
def test_regression_losses_match_torch(
    loss, outputs, weight, make_model, train_with_torch, assert_matches
):
    y = np.abs(outputs) if loss == "poisson" else outputs
    model = make_model(MLPRegressor, loss=loss).fit(D, y, weight)
    target = y.reshape(len(y), -1)
    n_out = target.shape[1]
    reference = train_with_torch(D, target, REGRESSION[loss], n_out, weight)
    # With several outputs, scikit-learn reports the mean squared error but minimizes
    # the sum. The weights match this loop, the curve does not.
    assert_matches(model, reference, curve=loss != "squared_error" or n_out == 1)
