"""scikit-learn's callback protocol, where the installed version has it."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
import skorch.callbacks
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import CNNClassifier, MLPClassifier, MLPRegressor

callback = pytest.importorskip(
    "sklearn.callback", reason="this scikit-learn has no callbacks"
)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)


class EpochRecorder:
    """Record every call; stop training after `stop_after` epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []
        self.models = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(
        self,
        estimator,
        context,
        *,
        X=None,
        y=None,
        metadata=None,
        fitted_estimator=None,
    ):
        self.calls.append(("end", context.task_name, context.task_id))
        self.models.append((fitted_estimator, X, y, metadata))
        return context.task_id + 1 == self.stop_after


class NoOpCallback:
    """A callback that asks for no arguments."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass


def test_fit_is_task_with_one_subtask_per_epoch():
    recorder = EpochRecorder()
    model = MLPClassifier(5, max_iter=2).set_callbacks(recorder)
    model.fit(X, y)
    assert recorder.calls == [
        "setup",
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 0),
        ("begin", "epoch", 1),
        ("end", "epoch", 1),
        ("end", "fit", 0),
        "teardown",
    ]


def test_lbfgs_fit_is_single_task():
    recorder = EpochRecorder()
    model = MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", max_iter=20)
    model.set_callbacks(recorder).fit(X, y)
    assert recorder.calls == [
        "setup",
        ("begin", "fit", 0),
        ("end", "fit", 0),
        "teardown",
    ]


def test_callback_receives_estimator_as_if_fit_ended_at_epoch():
    recorder = EpochRecorder()
    params = {"hidden_layer_sizes": 5, "dropout": 0.2, "random_state": 0}
    frame = pd.DataFrame(X, columns=list("abcd"))
    weight = np.linspace(1, 2, len(y))
    model = MLPClassifier(max_iter=3, **params).set_callbacks(recorder)
    model.fit(frame, y, weight)
    for epochs, (fitted, X_seen, y_seen, metadata) in enumerate(recorder.models[:3], 1):
        shorter = MLPClassifier(max_iter=epochs, **params).fit(frame, y, weight)
        assert fitted.n_iter_ == epochs
        assert fitted.loss_curve_ == shorter.loss_curve_
        assert_array_equal(fitted.predict_proba(X_seen), shorter.predict_proba(frame))
        assert X_seen is frame
        assert y_seen is y
        assert metadata["sample_weight"] is weight
    final = recorder.models[3][0]
    assert_array_equal(final.predict_proba(frame), model.predict_proba(frame))


@pytest.mark.on_cuda_too
def test_callbacks_do_not_change_results():
    params = {"hidden_layer_sizes": 5, "random_state": 0, "early_stopping": True}
    alone = MLPClassifier(max_iter=5, **params).fit(X, y)
    observed = MLPClassifier(max_iter=5, **params).set_callbacks(EpochRecorder())
    observed.fit(X, y)
    assert observed.loss_curve_ == alone.loss_curve_
    assert_array_equal(observed.predict_proba(X), alone.predict_proba(X))
    assert observed.callbacks_ == alone.callbacks_ == []


@pytest.mark.filterwarnings("error")
def test_callback_stops_training():
    model = MLPClassifier(5).set_callbacks(EpochRecorder(stop_after=3)).fit(X, y)
    assert model.n_iter_ == 3


def test_failed_fit_calls_teardown():
    recorder = EpochRecorder()
    model = MLPRegressor(solver="sgd", learning_rate_init=1e9)
    with pytest.raises(ValueError, match="non-finite"):
        model.set_callbacks(recorder).fit(X * 1e9, y)
    assert recorder.calls[-1] == "teardown"
    assert not hasattr(model, "_callback_fit_ctx")


def test_partial_fit_calls_no_callback():
    recorder = EpochRecorder()
    model = MLPClassifier(5).set_callbacks(recorder)
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert recorder.calls == []


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(5, max_iter=3),
        MLPRegressor(hidden_layer_sizes=5, max_iter=3),
        CNNClassifier(2, hidden_layer_sizes=3, image_shape=(2, 2), max_iter=3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_scoring_monitor_scores_every_epoch(model):
    if is_classifier(model):
        data, scoring = (X, y), "accuracy"
    else:
        data, scoring = load_diabetes(return_X_y=True), "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    model = clone(model).set_callbacks(monitor).fit(*data)
    logs = monitor.get_logs().data
    scores = [log[scoring] for log in logs if log["task_name"] == "epoch"]
    assert len(scores) == model.n_iter_ == 3
    assert scores[-1] == pytest.approx(model.score(*data))


def test_progress_bar_shows_epochs(capsys):
    MLPClassifier(5, max_iter=3).set_callbacks(callback.ProgressBar()).fit(X, y)
    printed = capsys.readouterr().out
    assert "MLPClassifier - fit" in printed
    assert "100%" in printed


def test_search_over_pipeline_propagates_callbacks_to_every_fit(capsys):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(), MLPClassifier(5, max_iter=2).set_callbacks(monitor)
        ),
        {"mlpclassifier__alpha": [0.0, 1.0]},
        cv=2,
    )
    # The search passes this callback on to its candidates.
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    epochs = [log for log in monitor.get_logs().data if log["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 2
    assert "MLPClassifier - fit" in capsys.readouterr().out


@pytest.mark.on_cuda_too
def test_sklearn_and_skorch_callbacks_work_together():
    class Counter(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            self.epochs = getattr(self, "epochs", 0) + 1

    recorder = EpochRecorder()
    model = MLPClassifier(5, max_iter=3, callbacks=[Counter()]).set_callbacks(recorder)
    model.fit(X, y)
    assert model.callbacks_[0].epochs == 3
    assert ("end", "epoch", 2) in recorder.calls


def test_fitted_model_does_not_store_training_data():
    model = MLPClassifier(5, max_iter=2, random_state=0)
    many = np.tile(X, (50, 1))
    model.set_callbacks(NoOpCallback()).fit(many, np.tile(y, 50))
    file = io.BytesIO()
    pickle.dump(model, file)
    assert file.tell() < many.nbytes / 2


def test_set_callbacks_refuses_non_callback():
    with pytest.raises(TypeError, match="FitCallback protocol"):
        MLPClassifier().set_callbacks(EpochRecorder)
