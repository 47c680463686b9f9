"""Which epoch is the best where accuracies are equal, and on which rows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OF_OUR_OWN = [
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


def best_by_hand(model):
    """Number the epoch of the lowest loss among those that tie with the best."""
    scores = model.validation_scores_
    losses = model.history_[:, "valid_loss"]
    best = 0
    for epoch, (score, loss) in enumerate(zip(scores, losses, strict=True)):
        if score > scores[best] or (score == scores[best] and loss < losses[best]):
            best = epoch
    return best + 1


@pytest.mark.parametrize("model", OF_OUR_OWN, ids=NAMES)
def test_of_equal_accuracies_the_lower_loss_is_better(model, blobs):
    model = clone(model).fit(*blobs)
    first = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_epoch_ == best_by_hand(model) > first
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("model", OF_OUR_OWN, ids=NAMES)
def test_a_scorer_is_all_that_counts(model, blobs):
    model = clone(model).set_params(scoring="accuracy").fit(*blobs)
    first = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_epoch_ == first
    assert model.n_iter_ == first + model.n_iter_no_change + 1


def test_a_plateau_of_the_accuracy_does_not_end_training_that_still_learns(blobs):
    model = SoftmaxRegression(early_stopping=True, random_state=0)
    assert model.fit(*blobs).score(*blobs) > 0.9
    # By its accuracy alone this start never leaves the plateau.
    model.set_params(scoring="accuracy").fit(*blobs)
    assert model.score(*blobs) < 0.6


@pytest.mark.parametrize("model", OF_OUR_OWN, ids=NAMES)
def test_validation_rows_keep_the_shares_of_many_classes(model):
    y = np.repeat([0, 1, 2], [150, 40, 10])
    X = np.random.RandomState(0).normal(size=(200, 4)) + y[:, np.newaxis]
    seen = {}

    def scorer(estimator, X, y):
        seen.update(zip(*np.unique(y, return_counts=True), strict=True))
        return 0.0

    clone(model).set_params(scoring=scorer).fit(X, y)
    assert seen == {0: 15, 1: 4, 2: 1}


def test_a_class_of_one_row_is_no_obstacle():
    X = np.random.RandomState(0).normal(size=(41, 4))
    y = np.repeat([0, 1, 2], [20, 20, 1])
    for model in OF_OUR_OWN:
        assert len(clone(model).fit(X, y).classes_) == 3
