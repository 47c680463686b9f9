"""Losses and scores over epochs in TrainingCurveDisplay."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline

from skmlp.inspection import TrainingCurve, TrainingCurveDisplay
from skmlp.neural_network import MLPClassifier
from skmlp.preprocessing import PixelScaler


def vertical_lines(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]


def test_lines_show_recorded_losses_and_scores(mlp):
    display = TrainingCurveDisplay.from_estimator(mlp)
    lines = display.lines_["MLPClassifier"]
    epochs = np.arange(1, mlp.n_iter_ + 1)
    for name, values in {
        "train_loss": mlp.loss_curve_,
        "valid_loss": [record["valid_loss"] for record in mlp.history_],
        "valid_score": mlp.validation_scores_,
    }.items():
        np.testing.assert_array_equal(lines[name].get_xdata(), epochs)
        np.testing.assert_allclose(lines[name].get_ydata(), values)
    assert lines["train_loss"].get_linestyle() == "-"
    assert lines["valid_loss"].get_linestyle() == "--"


def test_best_epoch_is_marked_on_both_panels(mlp):
    display = TrainingCurveDisplay.from_estimator(mlp, score_name="Accuracy")
    for ax in display.axes_:
        assert vertical_lines(ax) == [mlp.best_epoch_]
    (star,) = [line for line in display.axes_[1].lines if line.get_marker() == "*"]
    best = max(mlp.validation_scores_)
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (mlp.best_epoch_, best)
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["Loss", "Accuracy"]
    assert [ax.get_xlabel() for ax in display.axes_] == ["Epoch", "Epoch"]


def test_models_differ_in_color_and_legend_name(mlp):
    display = TrainingCurveDisplay.from_estimator({"one": mlp, "two": mlp})
    one, two = (display.lines_[name]["train_loss"] for name in ("one", "two"))
    assert one.get_color() != two.get_color()
    assert one.get_color() == display.lines_["one"]["valid_score"].get_color()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[0] == "one, training"
    assert f"two, best epoch ({mlp.best_epoch_})" in texts


def test_fit_without_validation_shows_the_loss_alone(digits, cnn):
    display = TrainingCurveDisplay.from_estimator(cnn)
    assert len(display.axes_) == 1
    assert list(display.lines_["CNNClassifier"]) == ["train_loss"]
    assert vertical_lines(display.ax_) == []


def test_one_ax_given_shows_the_loss(mlp):
    _, ax = plt.subplots()
    display = TrainingCurveDisplay.from_estimator(mlp, ax=ax)
    assert display.ax_ is ax
    assert set(display.lines_["MLPClassifier"]) == {"train_loss", "valid_loss"}


def test_training_scores_of_a_callback_are_drawn():
    scores = np.array([0.5, 0.7])
    curve = TrainingCurve(np.array([2.0, 1.0]), train_score=scores)
    display = TrainingCurveDisplay(curves={"a": curve}).plot()
    np.testing.assert_array_equal(
        display.lines_["a"]["train_score"].get_ydata(), scores
    )


def test_history_of_a_later_fit_is_drawn_at_its_epochs(digits):
    X, y = digits
    model = MLPClassifier(5, max_iter=2, warm_start=True, random_state=0)
    X_val, y_val = X[:50], y[:50]
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, y).fit(X, y, X_val=X_val, y_val=y_val)
    curve = TrainingCurveDisplay.from_estimator(model).curves["MLPClassifier"]
    assert len(curve.train_loss) == 4
    np.testing.assert_array_equal(
        np.isnan(curve.valid_loss), [True, True, False, False]
    )


def test_sklearn_networks_and_pipelines_are_drawn(digits):
    X, y = digits
    X = X.reshape(300, -1)
    reference = SklearnMLPClassifier(5, early_stopping=True, max_iter=3, random_state=0)
    ours = make_pipeline(PixelScaler(pixel_max=1), MLPClassifier(5, max_iter=3))
    with warnings.catch_warnings(action="ignore"):
        display = TrainingCurveDisplay.from_estimator(
            {"sklearn": reference.fit(X, y), "ours": ours.fit(X, y)}
        )
    scores = reference.validation_scores_
    assert display.curves["sklearn"].best_epoch == np.argmax(scores) + 1
    assert "valid_score" not in display.lines_["ours"]


def test_estimators_without_a_curve_raise(digits):
    X, y = digits
    lbfgs = MLPClassifier(3, solver="lbfgs", tol=1e3).fit(X, y)
    for model in (LogisticRegression(), MLPClassifier(), lbfgs):
        with pytest.raises(ValueError, match="has no loss_curve_ to draw"):
            TrainingCurveDisplay.from_estimator(model)
    with pytest.raises(ValueError, match="names of its own"):
        TrainingCurveDisplay.from_estimator({"a": lbfgs}, name="b")


def test_training_and_validation_scores_share_one_panel(digits):
    X, y = digits
    model = MLPClassifier(
        5, max_iter=3, early_stopping=True, record_train_score=True, random_state=0
    )
    with warnings.catch_warnings(action="ignore"):
        model.fit(X.reshape(300, -1), y)
    display = TrainingCurveDisplay.from_estimator(model)
    lines = display.lines_["MLPClassifier"]
    for name, values in {
        "train_score": [record["train_score"] for record in model.history_],
        "valid_score": model.validation_scores_,
    }.items():
        np.testing.assert_array_equal(lines[name].get_ydata(), values)
        assert lines[name].axes is display.axes_[1]
    assert lines["train_score"].get_linestyle() == "-"
    assert lines["valid_score"].get_linestyle() == "--"
