"""The choice of the best epoch, and the validation set that decides it."""

import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression
from skmlp.neural_network._base import training_data

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Convolutions are fitted to tables of two and four columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

ESTIMATORS = [
    SoftmaxRegression(early_stopping=True, random_state=0),
    CNNClassifier(
        early_stopping=True, random_state=0, conv_channels=4, hidden_layer_sizes=8
    ),
    MLPClassifier(8, early_stopping=True, random_state=0, class_weight="balanced"),
]
NAMES = ["softmax", "cnn", "mlp with class weights"]


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(n_samples=200, centers=2, random_state=0)
    return StandardScaler().fit_transform(X), y


def expected_best_epoch(model):
    """Return the epoch of the lowest loss among the epochs of the best score."""
    scores = model.validation_scores_
    losses = model.history_[:, "valid_loss"]
    best = 0
    for epoch, (score, loss) in enumerate(zip(scores, losses, strict=True)):
        if score > scores[best] or (score == scores[best] and loss < losses[best]):
            best = epoch
    return best + 1


@pytest.mark.parametrize("model", ESTIMATORS, ids=NAMES)
def test_lower_loss_breaks_ties_between_accuracies(model, blobs):
    model = clone(model).fit(*blobs)
    first = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_epoch_ == expected_best_epoch(model) > first
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("model", ESTIMATORS, ids=NAMES)
def test_scorer_alone_decides_best_epoch(model, blobs):
    model = clone(model).set_params(scoring="accuracy").fit(*blobs)
    first = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_epoch_ == first
    assert model.n_iter_ == first + model.n_iter_no_change + 1


def test_falling_loss_continues_training_on_accuracy_plateau(blobs):
    start = {"init": "glorot_uniform", "random_state": 0}
    model = SoftmaxRegression(early_stopping=True, **start)
    assert model.fit(*blobs).score(*blobs) > 0.9
    # Accuracy alone ends training on the plateau.
    model.set_params(scoring="accuracy").fit(*blobs)
    assert model.score(*blobs) < 0.6


@pytest.mark.parametrize("model", ESTIMATORS, ids=NAMES)
def test_validation_split_is_stratified(model):
    y = np.repeat([0, 1, 2], [150, 40, 10])
    X = np.random.RandomState(0).normal(size=(200, 4)) + y[:, np.newaxis]
    class_counts = {}

    def scorer(estimator, X, y):
        class_counts.update(zip(*np.unique(y, return_counts=True), strict=True))
        return 0.0

    clone(model).set_params(scoring=scorer).fit(X, y)
    assert class_counts == {0: 15, 1: 4, 2: 1}


@pytest.mark.parametrize(
    ("n_classes", "class_size", "fraction"),
    [(60, 3, 0.1), (100, 2, 0.1), (50, 10, 0.95)],
)
def test_validation_fraction_takes_precedence_over_stratification(
    n_classes, class_size, fraction
):
    y = np.repeat(np.arange(n_classes), class_size)
    X = np.random.RandomState(0).normal(size=(len(y), 3))
    model = SoftmaxRegression(
        early_stopping=True, validation_fraction=fraction, max_iter=2, random_state=0
    )
    assert model.fit(X, y).t_ == 2 * (len(y) - math.ceil(fraction * len(y)))


def test_validation_loss_does_not_depend_on_chunk_size(monkeypatch):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(90, 4)), np.repeat([0, 1, 2], [60, 20, 10])
    model = SoftmaxRegression(
        early_stopping=True, class_weight="balanced", max_iter=3, random_state=0
    )
    given = {"X_val": X[::-1], "y_val": y[::-1]}
    in_one_chunk = clone(model).fit(X, y, **given).history_[:, "valid_loss"]
    monkeypatch.setattr(training_data, "samples_per_chunk", lambda widest, device: 7)
    in_chunks = clone(model).fit(X, y, **given).history_[:, "valid_loss"]
    np.testing.assert_allclose(in_chunks, in_one_chunk, rtol=1e-12)


def test_class_with_one_sample_can_be_fitted():
    X = np.random.RandomState(0).normal(size=(41, 4))
    y = np.repeat([0, 1, 2], [20, 20, 1])
    for model in ESTIMATORS:
        assert len(clone(model).fit(X, y).classes_) == 3


@pytest.mark.parametrize("model", ESTIMATORS, ids=NAMES)
def test_binary_class_with_one_sample_can_be_fitted(model):
    X = np.random.RandomState(0).normal(size=(41, 4))
    assert clone(model).fit(X, np.arange(41) == 40).validation_scores_


@pytest.mark.parametrize("early_stopping", [False, True])
def test_worse_warm_start_restores_best_weights(blobs, early_stopping):
    given = dict(zip(("X_val", "y_val"), blobs, strict=True))
    model = MLPClassifier(5, learning_rate_init=0.05, max_iter=20, random_state=0)
    model.set_params(warm_start=True, early_stopping=early_stopping)
    best = [coef.copy() for coef in model.fit(*blobs, **given).coefs_]
    score, epoch = model.best_validation_score_, model.best_epoch_
    model.set_params(solver="sgd", learning_rate_init=50.0, max_iter=3)
    model.fit(*blobs, **given)
    assert max(model.validation_scores_[-3:]) < score  # further training is worse
    assert (model.best_validation_score_, model.best_epoch_) == (score, epoch)
    assert model.score(*blobs) == score
    for coef, best_coef in zip(model.coefs_, best, strict=True):
        np.testing.assert_array_equal(coef, best_coef)


def test_partial_fit_discards_earlier_best_weights(blobs):
    given = dict(zip(("X_val", "y_val"), blobs, strict=True))
    model = MLPClassifier(5, max_iter=20, warm_start=True, random_state=0)
    model.fit(*blobs, **given)
    model.set_params(solver="sgd", learning_rate_init=50.0, max_iter=1)
    X, y = blobs
    after_partial_fit = model.partial_fit(X, 1 - y).coefs_[0].copy()
    model.set_params(learning_rate_init=1e-12).fit(*blobs, **given)
    np.testing.assert_allclose(model.coefs_[0], after_partial_fit)
