"""Images with true and predicted labels in PredictionImageDisplay."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.naive_bayes import GaussianNB

from skmlp.inspection import PredictionImageDisplay
from skmlp.inspection._plotting import BLUE, RED
from skmlp.neural_network import CNNClassifier

IMAGES = np.arange(5 * 4).reshape(5, 2, 2) / 20
Y_TRUE = np.array(["a", "b", "b", "a", "a"])
PROBA = np.array([[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.6, 0.4], [0.3, 0.7]])


def test_worst_mistakes_come_before_uncertain_correct_predictions():
    display = PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, IMAGES)
    assert display.indices.tolist() == [2, 1, 4, 3, 0]
    assert display.y_pred.tolist() == ["a", "a", "b", "a", "a"]
    assert display.probabilities.tolist() == [0.95, 0.8, 0.7, 0.6, 0.9]
    np.testing.assert_array_equal(display.images[0, ..., 0], IMAGES[2])


def test_uncertain_correct_prediction_comes_after_a_milder_mistake():
    y_proba = np.array([[0.34, 0.33, 0.33], [0.40, 0.39, 0.21]])
    display = PredictionImageDisplay.from_predictions(
        ["a", "b"], y_proba, IMAGES[:2], labels=list("abc")
    )
    assert display.indices.tolist() == [1, 0]


def test_equal_mistakes_keep_their_order():
    display = PredictionImageDisplay.from_predictions(
        ["b"] * 5, np.tile([0.9, 0.1], (5, 1)), IMAGES, labels=["a", "b"]
    )
    assert display.indices.tolist() == [0, 1, 2, 3, 4]


def test_titles_name_predicted_and_true_labels():
    display = PredictionImageDisplay.from_predictions(
        Y_TRUE, PROBA, IMAGES, display_labels=["ant", "bee"]
    )
    titles = [ax.get_title() for ax in display.axes_]
    assert titles[0] == "✗ ant (95%)\ntrue: bee"
    assert titles[4] == "ant (90%)"
    colors = [ax.title.get_color() for ax in display.axes_]
    assert all(map(same_color, colors, [RED] * 3 + [BLUE] * 2))
    assert display.figure_.get_suptitle() == "3 of 5 predictions wrong, worst first"


def test_given_order_draws_the_first_images():
    display = PredictionImageDisplay.from_predictions(
        Y_TRUE, PROBA, IMAGES, order="given", n_images=3
    )
    assert display.indices.tolist() == [0, 1, 2]
    assert display.figure_.get_suptitle() == "3 of 5 predictions wrong"
    drawn = display.axes_[1].images[0].get_array()
    np.testing.assert_allclose(drawn, IMAGES[1])


def test_any_classifier_with_predict_proba_is_drawn(digits, mlp):
    X, y = digits
    X = X.reshape(300, -1)
    for model in (mlp, GaussianNB().fit(X[:50], y[:50])):
        display = PredictionImageDisplay.from_estimator(model, X, y, n_images=300)
        np.testing.assert_array_equal(model.predict(X)[display.indices], display.y_pred)
        np.testing.assert_array_equal(y[display.indices], display.y_true)
        wrong = display.y_pred != display.y_true
        assert (np.diff(wrong.astype(int)) <= 0).all()


def test_color_images_are_drawn_in_color():
    images = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
    display = PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, images)
    drawn = display.axes_[0].images[0].get_array()
    np.testing.assert_allclose(drawn, images[2] / 255)


def test_label_without_a_column_has_probability_zero():
    display = PredictionImageDisplay.from_predictions(
        ["a", "b", "z"], PROBA[:3], IMAGES[:3], labels=["a", "b"]
    )
    assert display.indices[0] == 2


def test_invalid_arguments_raise():
    with pytest.raises(ValueError, match=r"y_proba has shape \(5, 2\).*the 3 labels"):
        PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, IMAGES, labels=[0, 1, 2])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        PredictionImageDisplay.from_predictions(Y_TRUE[:4], PROBA, IMAGES)
    with pytest.raises(ValueError, match="n_images=0 must be at least 1"):
        PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, IMAGES, n_images=0)
    with pytest.raises(ValueError, match="order='best' must be"):
        PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, IMAGES, order="best")
    with pytest.raises(ValueError, match="3 names for 2 labels"):
        PredictionImageDisplay.from_predictions(
            Y_TRUE, PROBA, IMAGES, display_labels=list("xyz")
        )
    with pytest.raises(ValueError, match="2 channels; 1 or 3"):
        PredictionImageDisplay.from_predictions(Y_TRUE, PROBA, np.ones((5, 2, 2, 2)))


def test_signals_are_drawn_with_a_row_for_each_channel():
    X = np.random.default_rng(0).normal(size=(20, 12, 2))
    y = np.arange(20) % 2
    model = CNNClassifier(2, conv_dims=1, solver="lbfgs", tol=1, random_state=0)
    model.fit(X, y)
    display = PredictionImageDisplay.from_estimator(model, X, y, order="given")
    np.testing.assert_array_equal(display.images[3, ..., 0], X[3].T)
