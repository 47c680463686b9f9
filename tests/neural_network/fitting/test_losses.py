"""Losses, class weights, schedules, solvers and clipping match a loop in plain torch.

The loop (`train`) uses nothing of skmlp. It draws initial weights as scikit-learn does,
then trains with autograd and torch's optimizers and learning-rate schedulers.
"""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skmlp.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

HIDDEN, BATCH, EPOCHS, RATE = 9, 32, 6, 0.05

X, digit = load_digits(return_X_y=True)
X, digit = X[:200] / 16, digit[:200]
parity = digit % 2
labels = np.column_stack([digit % 2, digit > 4, digit == 0])
soft = np.random.RandomState(0).dirichlet(np.ones(4), len(X))

D, number = load_diabetes(return_X_y=True)
D, number = scale(D)[:200], scale(number)[:200]
numbers = np.column_stack([number, np.abs(number)])


def draw_parameters(n_in, n_out):
    """Return weights and biases as scikit-learn draws them with random_state=0."""
    random_state = np.random.RandomState(0)
    drawn = []
    for fan_in, fan_out in ((n_in, HIDDEN), (HIDDEN, n_out)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        drawn.append(random_state.uniform(-bound, bound, (fan_in, fan_out)))
        drawn.append(random_state.uniform(-bound, bound, fan_out))
    return [torch.tensor(array, requires_grad=True) for array in drawn]


def train(
    features,
    target,
    loss,
    n_out,
    weight=None,
    optimizer=lambda p: torch.optim.SGD(p, lr=RATE),
    scheduler=None,
    clip=None,
    alpha=0.0,
):
    """Train with per-sample losses of `loss`. Return the parameters and loss curve."""
    parameters = draw_parameters(features.shape[1], n_out)
    w1, b1, w2, b2 = parameters
    optimizer = optimizer(parameters)
    scheduler = scheduler and scheduler(optimizer)
    features, target = torch.tensor(features), torch.as_tensor(target)
    n_samples = len(features)
    weight = torch.ones(n_samples) if weight is None else torch.tensor(weight)
    curve = []
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, n_samples, BATCH):
            batch = slice(start, start + BATCH)
            logits = torch.relu(features[batch] @ w1 + b1) @ w2 + b2
            normalized = weight[batch] / weight[batch].sum()
            value = loss(logits, target[batch]) @ normalized.double()
            penalty = 0.5 * alpha * (w1.square().sum() + w2.square().sum())
            value = value + penalty / weight[batch].sum()
            optimizer.zero_grad()
            value.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += value.item() * len(features[batch])
        curve.append(total / n_samples)
    return [p.detach().numpy() for p in parameters], curve


def assert_matches(model, reference, curve=True):
    parameters, losses = reference
    for name, expected in (
        ("coefs_", parameters[::2]),
        ("intercepts_", parameters[1::2]),
    ):
        for a, b in zip(getattr(model, name), expected, strict=True):
            assert_allclose(a, b, rtol=1e-8, atol=1e-11)
    if curve:
        assert_allclose(model.loss_curve_, losses, rtol=1e-8)


def make_model(kind=MLPClassifier, **params):
    common = {
        "hidden_layer_sizes": HIDDEN,
        "solver": "sgd",
        "momentum": 0.0,
        "learning_rate_init": RATE,
        "batch_size": BATCH,
        "max_iter": EPOCHS,
        "shuffle": False,
        "alpha": 0.0,
        "random_state": 0,
    }
    return kind(**common | params)


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
def test_classification_losses_match_torch(case, weight):
    y, params, loss, n_out = case
    model = make_model(**params).fit(X, y, weight)
    assert_matches(model, train(X, y, loss, n_out, weight))


def test_kullback_leibler_of_labels_is_cross_entropy():
    hard = make_model(loss="kullback_leibler").fit(X, digit)
    assert_matches(hard, train(X, digit, cross_entropy(), 10))


def test_kullback_leibler_of_binary_labels_is_binary_cross_entropy():
    model, same = (
        make_model(loss="kullback_leibler").fit(X, parity),
        make_model().fit(X, parity),
    )
    assert model.loss_curve_ == same.loss_curve_
    assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert model.decision_function(X).shape == (len(X),)


def test_one_hot_probabilities_train_as_labels():
    certain = np.eye(10)[digit]
    model = make_model(loss="kullback_leibler").fit(X, certain)
    assert_matches(model, train(X, digit, cross_entropy(), 10))
    assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))


def test_multilabel_targets_are_refused_as_probabilities():
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        make_model(loss="kullback_leibler").fit(X, labels)


def test_class_weight_is_refused_for_probability_targets():
    model = make_model(loss="kullback_leibler", class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight needs labels"):
        model.fit(X, soft)


def test_lbfgs_approximates_soft_targets():
    model = make_model(
        loss="kullback_leibler", solver="lbfgs", hidden_layer_sizes=40, max_iter=500
    ).fit(X, soft)
    assert np.abs(model.predict_proba(X) - soft).mean() < np.abs(0.25 - soft).mean() / 2


def test_class_weights_equal_sample_weights():
    class_weight = {c: 1.0 + c for c in range(10)}
    given = make_model(class_weight=class_weight).fit(X, digit)
    assert_matches(given, train(X, digit, cross_entropy(), 10, 1.0 + digit))
    balanced = make_model(class_weight="balanced").fit(X, digit)
    counts = np.bincount(digit)
    assert_matches(
        balanced,
        train(X, digit, cross_entropy(), 10, len(X) / (10 * counts[digit])),
    )


def test_class_and_sample_weights_multiply():
    weight = np.linspace(0.2, 2, 200)
    model = make_model(class_weight={0: 3.0, 1: 1.0}).fit(X, parity, weight)
    product = weight * np.where(parity == 0, 3.0, 1.0)
    assert_matches(model, train(X, parity, binary_cross_entropy(), 1, product))


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_classes_missing_from_class_weight_have_weight_one(shape):
    model = make_model(class_weight={3: 2.0}).fit(X, digit.reshape(shape))
    assert_matches(
        model, train(X, digit, cross_entropy(), 10, np.where(digit == 3, 2.0, 1.0))
    )


def test_class_weight_may_name_classes_missing_from_data():
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
def test_invalid_class_weights_are_refused(weights, message):
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
def test_regression_losses_match_torch(loss, outputs, weight):
    y = np.abs(outputs) if loss == "poisson" else outputs
    model = make_model(MLPRegressor, loss=loss).fit(D, y, weight)
    target = y.reshape(len(y), -1)
    n_out = target.shape[1]
    reference = train(D, target, REGRESSION[loss], n_out, weight)
    # With several outputs, scikit-learn reports the mean squared error but minimizes
    # the sum. The weights match this loop, the curve does not.
    assert_matches(model, reference, curve=loss != "squared_error" or n_out == 1)


# Learning-rate schedules

PER_EPOCH = -(-len(X) // BATCH)
STEPS = EPOCHS * PER_EPOCH


def step_per_epoch(make):
    """Return a scheduler that is called for every batch and steps after each epoch."""

    class Stepper:
        def __init__(self, optimizer):
            self.scheduler, self.calls = make(optimizer), 0

        def step(self):
            self.calls += 1
            if self.calls % PER_EPOCH == 0:
                self.scheduler.step()

    return Stepper


def warm_up(then, n_steps):
    """Return a linear rise to the learning rate, followed by another schedule."""

    def make(optimizer):
        rise = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: (step + 1) / (n_steps + 1)
        )
        return torch.optim.lr_scheduler.SequentialLR(
            optimizer, [rise, then(optimizer)], milestones=[n_steps]
        )

    return make


SCHEDULES = {
    "cosine": (
        {"learning_rate": "cosine"},
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS),
    ),
    "onecycle": (
        {"learning_rate": "onecycle"},
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, RATE, total_steps=STEPS, cycle_momentum=False
        ),
    ),
    "step": (
        {"learning_rate": "step", "step_size": 2, "gamma": 0.3},
        step_per_epoch(
            lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.3)
        ),
    ),
    "warm-up": (
        {"warmup_epochs": 2},
        warm_up(
            lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0), 2 * PER_EPOCH
        ),
    ),
    "warm-up, then cosine": (
        {"warmup_epochs": 2, "learning_rate": "cosine"},
        warm_up(
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(
                o, STEPS - 2 * PER_EPOCH
            ),
            2 * PER_EPOCH,
        ),
    ),
}


@pytest.mark.parametrize("case", SCHEDULES.values(), ids=list(SCHEDULES))
def test_schedules_match_torch(case):
    params, scheduler = case
    model = make_model(**params).fit(X, digit)
    assert_matches(model, train(X, digit, cross_entropy(), 10, scheduler=scheduler))


@pytest.mark.parametrize("case", SCHEDULES.values(), ids=list(SCHEDULES))
def test_schedules_match_torch_with_rmsprop(case):
    params, scheduler = case
    model = make_model(solver="rmsprop", learning_rate_init=RATE, **params).fit(
        X, digit
    )
    reference = train(
        X,
        digit,
        cross_entropy(),
        10,
        optimizer=lambda p: torch.optim.RMSprop(p, lr=RATE),
        scheduler=scheduler,
    )
    assert_matches(model, reference)


# Solvers that scikit-learn does not have

SOLVERS = {
    "nadam": lambda p: torch.optim.NAdam(p, lr=RATE),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=RATE / 10),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=RATE),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=RATE),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_match_torch(solver):
    rate = SOLVERS[solver]([torch.zeros(1)]).param_groups[0]["lr"]
    model = make_model(solver=solver, alpha=0.5, learning_rate_init=rate).fit(X, digit)
    reference = train(
        X, digit, cross_entropy(), 10, optimizer=SOLVERS[solver], alpha=0.5
    )
    assert_matches(model, reference)


def test_optimizer_params_reach_torch_optimizer():
    given = {"alpha": 0.9, "momentum": 0.5}
    model = make_model(solver="rmsprop", optimizer_params=given).fit(X, digit)
    reference = train(
        X,
        digit,
        cross_entropy(),
        10,
        optimizer=lambda p: torch.optim.RMSprop(p, lr=RATE, **given),
    )
    assert_matches(model, reference)


# Clipping


@pytest.mark.parametrize("norm", [0.05, 0.3, 1e6])
def test_gradient_clipping_matches_torch(norm):
    model = make_model(max_grad_norm=norm).fit(X, digit)
    assert_matches(model, train(X, digit, cross_entropy(), 10, clip=norm))


def test_gradient_clipping_keeps_training_finite():
    model = make_model(MLPRegressor, learning_rate_init=0.5, max_grad_norm=0.1)
    assert np.isfinite(model.fit(D * 1000, number).loss_curve_).all()
    with pytest.raises(ValueError, match="lower learning_rate_init or scale X"):
        model.set_params(max_grad_norm=None).fit(D * 1000, number)


@pytest.mark.parametrize(
    ("schedule", "warns"),
    [("constant", True), ("step", True), ("cosine", False), ("onecycle", False)],
)
def test_finished_schedule_does_not_warn_about_convergence(schedule, warns):
    model = MLPClassifier(4, learning_rate=schedule, max_iter=2, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[:50], digit[:50])
    assert any(w.category is ConvergenceWarning for w in caught) is warns
