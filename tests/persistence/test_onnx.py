"""Estimators in the ONNX format predict in onnxruntime as they predict in Python."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from skmlp import neural_network
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    EnsembleClassifier,
    EnsembleRegressor,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
    TorchClassifier,
    TorchRegressor,
)
from skmlp.persistence import register_onnx_converters, to_onnx
from skmlp.preprocessing import PixelScaler, PixelStandardizer

X, DIGITS = load_digits(return_X_y=True)
X, DIGITS = X[:100], DIGITS[:100]
WORDS = np.array(list("abcdefghij"))[DIGITS]
SEVERAL = np.c_[DIGITS > 3, DIGITS > 6, DIGITS > 8].astype(int)
FEW = {"max_iter": 2, "random_state": 0}


class Perceptron(nn.Module):
    """A user's module with a layer that no other network here has."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.dense = nn.Linear(n_features, 6)
        self.norm = nn.LayerNorm(6)
        self.output = nn.Linear(6, n_outputs)

    def forward(self, x):
        return self.output(self.norm(self.dense(x)).relu())


# Name: estimator and targets.
MODELS = {
    "softmax regression": (SoftmaxRegression(**FEW), DIGITS),
    "words": (MLPClassifier((8, 5), activation="elu", batch_norm=True, **FEW), WORDS),
    "two classes": (MLPClassifier(5, temperature=3.0, **FEW), DIGITS > 4),
    "one class": (MLPClassifier(5, **FEW), np.ones(100, int)),
    "several labels": (MLPClassifier(5, **FEW), SEVERAL),
    "floats as labels": (MLPClassifier(5, **FEW), DIGITS / 1.0),
    "convolutions": (
        CNNClassifier((3, 4), kernel_size=2, batch_norm=True, **FEW),
        DIGITS,
    ),
    "residual blocks": (
        CNNClassifier((3, 4), kernel_size=3, block="residual", **FEW),
        DIGITS,
    ),
    "one target": (MLPRegressor(hidden_layer_sizes=5, **FEW), DIGITS / 10),
    "two targets": (
        MLPRegressor(hidden_layer_sizes=5, activation="gelu", **FEW),
        np.c_[DIGITS, -DIGITS] / 10,
    ),
    "counts": (MLPRegressor("poisson", hidden_layer_sizes=5, **FEW), DIGITS),
    "ensemble": (EnsembleClassifier(MLPClassifier(5, **FEW), 2), WORDS),
    "ensemble of several labels": (
        EnsembleClassifier(MLPClassifier(5, **FEW), 2),
        SEVERAL,
    ),
    "ensemble of Pipelines": (
        EnsembleClassifier(make_pipeline(StandardScaler(), MLPClassifier(5, **FEW)), 2),
        DIGITS,
    ),
    "convolutions for a number": (CNNRegressor((3,), **FEW), DIGITS / 10),
    "signals": (CNNClassifier((3,), conv_dims=1, **FEW), DIGITS),
    "own module": (TorchClassifier(Perceptron, **FEW), WORDS),
    "own module for a number": (TorchRegressor(Perceptron, **FEW), DIGITS / 10),
    "ensemble of regressors": (
        EnsembleRegressor(MLPRegressor(hidden_layer_sizes=5, **FEW), 2),
        DIGITS / 10,
    ),
    "Pipeline": (
        make_pipeline(
            PixelScaler(pixel_max=16, feature_range=(-1, 1)),
            StandardScaler(),
            MLPClassifier(5, **FEW),
        ),
        WORDS,
    ),
    "standardized images": (
        make_pipeline(PixelStandardizer(scope="image"), MLPClassifier(5, **FEW)),
        DIGITS,
    ),
    "standardized channels": (
        make_pipeline(PixelStandardizer(scope="channel"), MLPClassifier(5, **FEW)),
        DIGITS,
    ),
    "search": (
        PackedGridSearchCV(
            MLPClassifier(5, **FEW), {"learning_rate_init": [0.01, 0.001]}, cv=2
        ),
        WORDS,
    ),
    "search in a Pipeline": (
        make_pipeline(
            StandardScaler(),
            PackedGridSearchCV(MLPClassifier(5, **FEW), {"alpha": [0.1, 1]}, cv=2),
        ),
        DIGITS,
    ),
}
needs_packages = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # torch's exporter warns about its own code.
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
)


@pytest.fixture
def converter_packages():
    """Skip a test without the packages that convert."""
    for package in ("skl2onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture
def run(converter_packages):
    """Function that runs an ONNX file on samples; skip without the packages."""
    onnxruntime = pytest.importorskip(
        "onnxruntime", reason="onnxruntime is not installed"
    )

    def run(path, inputs):
        session = onnxruntime.InferenceSession(path)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, inputs), strict=True))

    return run


def assert_predicts_equally(outputs, model, samples, atol=1e-5):
    """Compare the outputs of a session with the predictions of a model."""
    if hasattr(model, "predict_proba"):
        assert list(outputs) == ["label", "probabilities"]
        assert_array_equal(outputs["label"], model.predict(samples))
        expected = model.predict_proba(samples)
        assert_allclose(outputs["probabilities"], expected, rtol=0, atol=atol)
    else:
        assert list(outputs) == ["variable"]
        expected = model.predict(samples).reshape(len(samples), -1)
        assert_allclose(outputs["variable"], expected, rtol=atol, atol=atol)


@needs_packages
@pytest.mark.parametrize("name", MODELS)
def test_onnxruntime_predicts_as_the_estimator(name, run, tmp_path):
    model, y = MODELS[name]
    is_image = "standardized" in name
    samples = X.reshape(-1, 8, 8) if is_image else X
    model.fit(samples, y)
    to_onnx(model, tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", {"X": X.astype(np.float32)})
    assert_predicts_equally(outputs, model, samples)
    single = run(tmp_path / "model.onnx", {"X": X[:1].astype(np.float32)})
    assert_predicts_equally(single, model, samples[:1])


@needs_packages
def test_calibrated_ensemble_keeps_its_temperature(run, tmp_path):
    model = EnsembleClassifier(MLPClassifier(5, **FEW), 2).fit(X, WORDS)
    model.calibrate_temperature(X, WORDS)
    assert model.temperature_ != 1
    to_onnx(model, tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", {"X": X.astype(np.float32)})
    assert_predicts_equally(outputs, model, X)


@needs_packages
def test_autoencoder_gives_codes_before_a_classifier(run, tmp_path):
    encoder = MLPAutoencoder(3, **FEW)
    model = make_pipeline(StandardScaler(), encoder, MLPClassifier(5, **FEW))
    model.fit(X, DIGITS)
    to_onnx(model, tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", {"X": X.astype(np.float32)})
    assert_predicts_equally(outputs, model, X)
    to_onnx(model[:2], tmp_path / "codes.onnx")
    (codes,) = run(tmp_path / "codes.onnx", {"X": X.astype(np.float32)}).values()
    assert_allclose(codes, model[:2].transform(X), rtol=1e-5, atol=1e-5)


# They encode frames of texts, dates and gaps, for which ONNX has no operators.
NOT_CONVERTED = {"TabularClassifier", "TabularRegressor"}


def test_every_estimator_is_converted_here():
    text = Path(__file__).read_text(encoding="utf-8")
    absent = {name for name in neural_network.__all__ if f"{name}(" not in text}
    assert absent == NOT_CONVERTED


@needs_packages
@pytest.mark.usefixtures("converter_packages")
@pytest.mark.parametrize("name", sorted(NOT_CONVERTED))
def test_estimator_without_onnx_form_is_refused(name, tmp_path):
    model = getattr(neural_network, name)(n_estimators=2, max_iter=2, random_state=0)
    with warnings.catch_warnings(action="ignore"):  # few epochs
        model.fit(X[:, 20:24], DIGITS % 2)
    with pytest.raises(TypeError, match=f"{name} has no ONNX form"):
        to_onnx(model, tmp_path / "model.onnx", X[:, 20:24])


@needs_packages
def test_float64_is_computed_in_float64(run, tmp_path):
    model = MLPRegressor(hidden_layer_sizes=5, **FEW).fit(X, DIGITS / 10)
    to_onnx(model, tmp_path / "model.onnx", dtype="float64")
    outputs = run(tmp_path / "model.onnx", {"X": X})
    assert outputs["variable"].dtype == np.float64
    assert_predicts_equally(outputs, model, X, atol=1e-12)


@needs_packages
def test_columns_of_a_table_are_inputs_of_their_own(run, tmp_path):
    table = pd.DataFrame({"size": X[:, 2], "kind": np.array(["a", "b"])[DIGITS % 2]})
    encoder = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["kind"])
    )
    model = make_pipeline(encoder, MLPClassifier(4, **FEW)).fit(table, DIGITS)
    to_onnx(model, tmp_path / "model.onnx", table)
    inputs = {
        "size": table[["size"]].to_numpy(),
        "kind": table[["kind"]].to_numpy(object),
    }
    outputs = run(tmp_path / "model.onnx", inputs)
    assert_predicts_equally(outputs, model, table)


@needs_packages
def test_skl2onnx_converts_after_registration(run, tmp_path):
    import skl2onnx

    register_onnx_converters()
    model = make_pipeline(StandardScaler(), MLPClassifier(5, **FEW)).fit(X, DIGITS)
    onnx = skl2onnx.to_onnx(model, X[:1].astype(np.float32))
    (tmp_path / "model.onnx").write_bytes(onnx.SerializeToString())
    outputs = run(tmp_path / "model.onnx", {"X": X[:5].astype(np.float32)})
    expected = model.predict_proba(X[:5])
    for probabilities, row in zip(outputs["output_probability"], expected, strict=True):
        assert list(probabilities) == list(range(10))
        assert list(probabilities.values()) == pytest.approx(row, abs=1e-5)


class Renamed(MLPClassifier):
    """A subclass in another module than skmlp's."""


@needs_packages
def test_subclass_is_converted_after_registration(run, tmp_path):
    model = Renamed(5, **FEW).fit(X, DIGITS)
    with pytest.raises(TypeError, match="Renamed has no ONNX form"):
        to_onnx(model, tmp_path / "model.onnx")
    register_onnx_converters(Renamed)
    to_onnx(model, tmp_path / "model.onnx")
    outputs = run(tmp_path / "model.onnx", {"X": X.astype(np.float32)})
    assert_predicts_equally(outputs, model, X)
    with pytest.raises(TypeError, match="str is not derived from a network"):
        register_onnx_converters(str)


@needs_packages
def test_labels_that_onnx_lacks_are_refused(run, tmp_path):
    model = MLPClassifier(5, **FEW).fit(X, DIGITS)
    model.classes_ = model.classes_ / 3  # `fit` refuses such labels
    with pytest.raises(TypeError, match="encode y before fit"):
        to_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_other_dtypes_and_unfitted_estimators_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="'float16' must be 'float32' or 'float64'"):
        to_onnx(MLPClassifier(), tmp_path / "model.onnx", dtype="float16")
    with pytest.raises(NotFittedError):
        to_onnx(MLPClassifier(), tmp_path / "model.onnx")


@pytest.mark.parametrize("missing", ["skl2onnx", "onnx", "onnxscript"])
def test_missing_package_is_named(missing, monkeypatch, tmp_path):
    for package in ("skl2onnx", "onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, package, sys)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"needs {missing}, which is not installed"):
        to_onnx(MLPClassifier(), tmp_path / "model.onnx")
