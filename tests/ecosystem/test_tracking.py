"""Experiment trackers, reports and services around our networks."""

import threading

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import MlflowLogger, TensorBoard

from skmlp.neural_network import MLPClassifier

FAST = {"hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with a store in a folder of its own."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield mlflow
    mlflow.sklearn.autolog(disable=True)


def test_mlflow_logger_records_every_epoch(mlflow, iris):
    X, _, y, _ = iris
    logger = MlflowLogger(create_artifact=False, terminate_after_train=False)
    with mlflow.start_run() as run:
        model = MLPClassifier(**FAST, callbacks=[logger]).fit(X, y)
        mlflow.log_params({"alpha": model.alpha})
    client = mlflow.tracking.MlflowClient()
    logged = client.get_metric_history(run.info.run_id, "train_loss")
    assert [metric.value for metric in logged] == pytest.approx(model.loss_curve_)


def test_autolog_of_mlflow_records_a_pipeline(mlflow, iris):
    X, _, y, _ = iris
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    with mlflow.start_run() as run:
        model = make_pipeline(StandardScaler(), MLPClassifier(**FAST)).fit(X, y)
    data = mlflow.tracking.MlflowClient().get_run(run.info.run_id).data
    assert data.metrics["training_accuracy_score"] == pytest.approx(model.score(X, y))
    assert data.params["mlpclassifier__max_iter"] == "5"


def test_tensorboard_gets_the_losses(iris, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    X, _, y, _ = iris
    writer = SummaryWriter(str(tmp_path))
    model = MLPClassifier(**FAST, callbacks=[TensorBoard(writer)]).fit(X, y)
    events = EventAccumulator(str(tmp_path)).Reload()
    logged = [event.value for event in events.Scalars("Loss/train_loss")]
    assert logged == pytest.approx(model.loss_curve_)


def test_skore_reports_the_accuracy(iris):
    skore = pytest.importorskip("skore", reason="skore is not installed")
    X, X_test, y, y_test = iris
    model = MLPClassifier(**FAST).fit(X, y)
    report = skore.EstimatorReport(model, X_test=X_test, y_test=y_test)
    assert report.metrics.accuracy() == pytest.approx(model.score(X_test, y_test))


def test_fastapi_serves_predictions_from_threads(iris):
    fastapi = pytest.importorskip("fastapi", reason="fastapi is not installed")
    testclient = pytest.importorskip(
        "fastapi.testclient", reason="httpx is not installed"
    )
    X, X_test, y, _ = iris
    model = MLPClassifier(**FAST).fit(X, y)
    app = fastapi.FastAPI()

    @app.post("/predict")
    def predict(rows: list[list[float]]) -> list[int]:  # runs in a thread of a pool
        return model.predict(np.array(rows)).tolist()

    expected, answers = model.predict(X_test).tolist(), []
    with testclient.TestClient(app) as client:

        def ask():
            answers.append(client.post("/predict", json=X_test.tolist()).json())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [expected] * 4
