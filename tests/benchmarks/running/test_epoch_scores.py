import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks.running import epoch_scores
from skmlp.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}"
)


@pytest.fixture(scope="module")
def rows():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    return {"train": (X[:300], y[:300]), "test": (X[300:400], y[300:400])}


def fitted(rows, monitor, example=None, **params):
    X, y = rows["train"]
    callbacks = epoch_scores.make_callbacks(monitor, rows, np.unique(y), example)
    model = MLPClassifier(20, random_state=0, callbacks=callbacks, **params)
    return model.fit(X, y)


def test_last_epoch_scores_equal_the_fitted_networks_scores(rows):
    model = fitted(rows, ("train", "test"), max_iter=4)
    curves = epoch_scores.read_curves(model.history_)
    for part, (X, y) in rows.items():
        scores = curves[f"{part}_score"]
        assert len(scores) == 4
        assert scores[-1] == pytest.approx(model.score(X, y))
        proba = model.predict_proba(X)[np.arange(len(y)), y]
        loss = -np.log(proba).mean()
        assert curves[f"{part}_loss"][-1] == pytest.approx(loss, rel=1e-5)


def test_two_classes_are_scored_correctly():
    X, y = load_breast_cancer(return_X_y=True)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    labels = np.array(["benign", "malign"])[y]
    rows = {"train": (X[:300], labels[:300]), "test": (X[300:], labels[300:])}
    model = fitted(rows, ("test", "running"), max_iter=3)
    curves = epoch_scores.read_curves(model.history_)
    assert curves["test_score"][-1] == pytest.approx(model.score(*rows["test"]))
    assert 0.3 < curves["running_score"][0] <= curves["running_score"][-1] <= 1


def test_monitoring_does_not_change_the_fit(rows):
    plain = fitted(rows, (), dropout=0.2, max_iter=3)
    watched = fitted(rows, ("train", "test", "running"), dropout=0.2, max_iter=3)
    for ours, theirs in zip(plain.coefs_, watched.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_running_accuracy_uses_the_weights_before_each_step(rows):
    # The accuracy of a single batch of all samples is that before the step.
    monitor = ("train", "running")
    model = fitted(rows, monitor, batch_size=300, max_iter=6, learning_rate_init=0.01)
    curves = epoch_scores.read_curves(model.history_)
    np.testing.assert_allclose(curves["running_score"][1:], curves["train_score"][:-1])


def test_example_is_predicted_with_the_initial_weights(rows):
    X, y = rows["train"]
    example = rows["test"][0][5]
    model = fitted(rows, (), example, max_iter=2)
    before = [epoch.get(epoch_scores.LABEL_BEFORE) for epoch in model.history_]
    hardly = MLPClassifier(20, random_state=0, learning_rate_init=1e-12, max_iter=1)
    assert before == [hardly.fit(X, y).predict([example])[0], None]


def test_cloned_callback_does_not_copy_samples(rows):
    (callback,) = epoch_scores.make_callbacks(("train",), rows, np.arange(10), None)
    for again in (clone(callback, safe=False), copy.deepcopy(callback)):
        assert again.parts.value["train"][0] is rows["train"][0]


def test_no_monitoring_gives_no_callback(rows):
    assert epoch_scores.make_callbacks((), rows, np.arange(10), None) == []
    assert epoch_scores.read_curves(()) == {}
