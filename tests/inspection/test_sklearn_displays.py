"""scikit-learn's own displays take our estimators."""

import numpy as np
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix
from sklearn.pipeline import make_pipeline

from skmlp.neural_network import EnsembleClassifier, MLPClassifier
from skmlp.preprocessing import PixelScaler


def test_confusion_matrix_display_takes_our_classifier(digits, mlp):
    X, y = digits
    X = X.reshape(300, -1)
    display = ConfusionMatrixDisplay.from_estimator(mlp, X, y)
    expected = confusion_matrix(y, mlp.predict(X))
    np.testing.assert_array_equal(display.confusion_matrix, expected)
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == list("0123456789")


def test_calibration_display_takes_our_classifier(digits):
    X, y = digits
    X, y = X.reshape(300, -1), y % 2
    model = MLPClassifier(4, solver="lbfgs", tol=0.1, random_state=0)
    model.fit(X[:200], y[:200])
    display = CalibrationDisplay.from_estimator(model, X, y, n_bins=4)
    expected = calibration_curve(y, model.predict_proba(X)[:, 1], n_bins=4)
    np.testing.assert_allclose((display.prob_true, display.prob_pred), expected)


def test_displays_take_images_ensembles_and_pipelines(digits, cnn):
    X, y = digits
    display = ConfusionMatrixDisplay.from_estimator(cnn, X, y, normalize="true")
    np.testing.assert_allclose(display.confusion_matrix.sum(axis=1), 1)
    names = np.where(y < 5, "low", "high")
    network = MLPClassifier(4, solver="lbfgs", tol=0.1)
    ensemble = make_pipeline(
        PixelScaler(pixel_max=1), EnsembleClassifier(network, 2, random_state=0)
    ).fit(X.reshape(300, -1), names)
    display = ConfusionMatrixDisplay.from_estimator(ensemble, X.reshape(300, -1), names)
    assert list(display.display_labels) == ["high", "low"]
    curve = CalibrationDisplay.from_estimator(
        ensemble, X.reshape(300, -1), names, n_bins=3, pos_label="low"
    )
    expected = calibration_curve(
        names,
        ensemble.predict_proba(X.reshape(300, -1))[:, 1],
        n_bins=3,
        pos_label="low",
    )
    np.testing.assert_allclose((curve.prob_true, curve.prob_pred), expected)
    assert curve.estimator_name == "Pipeline"
