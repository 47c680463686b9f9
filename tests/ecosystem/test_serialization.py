"""Fitted models go through files of other packages and predict equally to the bit."""

import copy
import io
import pickle
import pickletools

import joblib
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import EnsembleClassifier, MLPClassifier
from skmlp.persistence import TRUSTED_TYPES

FAST = {"hidden_layer_sizes": 8, "max_iter": 10, "random_state": 0}


@pytest.fixture(scope="module")
def model(iris):
    """Fitted Pipeline that ends in a network."""
    X, _, y, _ = iris
    return make_pipeline(StandardScaler(), MLPClassifier(**FAST)).fit(X, y)


def assert_equal_predictions(one, two, X):
    """Compare probabilities to the bit."""
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


def assert_goes_on_equally(model, loaded, iris):
    """Compare the networks after one more epoch."""
    X, X_test, y, _ = iris
    one, two = copy.deepcopy(model[-1]), loaded[-1]
    for network in (one, two):
        network.set_params(solver="adam").partial_fit(X, y)
    assert_equal_predictions(one, two, X_test)


def assert_round_trip_is_exact(pickler, model, iris):
    """Compare predictions, and one more epoch, after a round trip."""
    model = copy.deepcopy(model)
    model[-1].partial_fit(iris[0], iris[2])
    loaded = pickler.loads(pickler.dumps(model))
    assert_equal_predictions(loaded, model, iris[1])
    assert_goes_on_equally(model, loaded, iris)


def test_cloudpickle_keeps_predictions_and_training(model, iris):
    pickler = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    assert_round_trip_is_exact(pickler, model, iris)


def test_dill_keeps_predictions_and_training(model, iris):
    pickler = pytest.importorskip("dill", reason="dill is not installed")
    assert_round_trip_is_exact(pickler, model, iris)


def test_skops_loads_with_the_trusted_types(model, iris):
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    ensemble = EnsembleClassifier(MLPClassifier(**FAST), n_estimators=2)
    ensemble.fit(iris[0], iris[2])
    for fitted in (model, ensemble):
        loaded = skops.loads(skops.dumps(fitted), trusted=TRUSTED_TYPES)
        assert_equal_predictions(loaded, fitted, iris[1])


def test_joblib_files_and_hashes_are_equal_for_equal_fits(model, iris, tmp_path):
    X, X_test, y, _ = iris
    again = make_pipeline(StandardScaler(), MLPClassifier(**FAST)).fit(X, y)
    assert joblib.hash(model) == joblib.hash(again) == joblib.hash(copy.deepcopy(model))
    other = make_pipeline(StandardScaler(), MLPClassifier(**FAST, alpha=0.5)).fit(X, y)
    assert joblib.hash(model) != joblib.hash(other)
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode=None)
    assert_equal_predictions(loaded, model, X_test)


def test_pickle_of_a_network_names_no_class_of_torch(model):
    stored = pickle.dumps(model)
    words = {
        argument
        for _, argument, _ in pickletools.genops(stored)
        if isinstance(argument, str)
    }
    assert not {word for word in words if word.split(".")[0] in {"torch", "skorch"}}


def test_model_of_mlflow_predicts_equally(model, iris, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        skops_trusted_types=TRUSTED_TYPES,
        pip_requirements=[],
    )
    loaded = mlflow.sklearn.load_model(str(tmp_path / "model"))
    assert_equal_predictions(loaded, model, iris[1])
    predictor = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    np.testing.assert_array_equal(predictor.predict(iris[1]), model.predict(iris[1]))


def test_onnxruntime_runs_what_skl2onnx_converted(model, iris):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    onnxruntime = pytest.importorskip(
        "onnxruntime", reason="onnxruntime is not installed"
    )
    from skmlp.persistence import register_onnx_converters

    register_onnx_converters()
    X_test = iris[1].astype(np.float32)
    onnx = skl2onnx.to_onnx(model, X_test[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(onnx.SerializeToString())
    labels, probabilities = session.run(None, {"X": X_test})
    np.testing.assert_array_equal(labels, model.predict(X_test))
    np.testing.assert_allclose(
        probabilities, model.predict_proba(X_test), rtol=0, atol=1e-5
    )


def test_torchscript_of_the_network_predicts_equally(model, iris):
    import torch

    from skmlp.persistence import to_torch

    network = to_torch(model[-1])
    X = torch.from_numpy(model[:-1].transform(iris[1]))
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network, (X,)), buffer)
    buffer.seek(0)
    logits = torch.export.load(buffer).module()(X)
    probabilities = logits.softmax(1).detach().numpy()
    np.testing.assert_allclose(
        probabilities, model.predict_proba(iris[1]), rtol=0, atol=1e-12
    )
