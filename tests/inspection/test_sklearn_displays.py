"""scikit-learn's own displays take our estimators."""

import numpy as np
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

from skmlp.neural_network import MLPClassifier


def test_confusion_matrix(digits, mlp):
    X, y = digits
    X = X.reshape(300, -1)
    display = ConfusionMatrixDisplay.from_estimator(mlp, X, y)
    expected = confusion_matrix(y, mlp.predict(X))
    np.testing.assert_array_equal(display.confusion_matrix, expected)
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == list("0123456789")


def test_calibration_curve(digits):
    X, y = digits
    X, y = X.reshape(300, -1), y % 2
    model = MLPClassifier(4, solver="lbfgs", tol=0.1, random_state=0)
    model.fit(X[:200], y[:200])
    display = CalibrationDisplay.from_estimator(model, X, y, n_bins=4)
    expected = calibration_curve(y, model.predict_proba(X)[:, 1], n_bins=4)
    np.testing.assert_allclose((display.prob_true, display.prob_pred), expected)
