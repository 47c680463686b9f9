"""Weights as images in WeightImageDisplay."""

import numpy as np
import pytest
from matplotlib.colors import same_color

from skmlp.inspection import WeightImageDisplay
from skmlp.inspection._plotting import GREEN, NEUTRAL, RED
from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression


def spine(ax):
    return ax.spines["left"]


def test_images_show_the_input_weights_of_units(mlp):
    display = WeightImageDisplay.from_estimator(mlp)
    for unit, ax in enumerate(display.axes_):
        expected = mlp.coefs_[0][:, unit].reshape(8, 8)
        np.testing.assert_array_equal(ax.images[0].get_array(), expected)
        assert ax.get_title() == str(unit)


def test_images_share_a_symmetric_color_scale(mlp):
    display = WeightImageDisplay.from_estimator(mlp)
    limit = np.abs(mlp.coefs_[0]).max()
    assert display.limit == pytest.approx(limit)
    for ax in display.axes_:
        assert ax.images[0].get_clim() == pytest.approx((-limit, limit))


def test_frames_need_weights_strictly_beyond_the_threshold():
    display = WeightImageDisplay(
        images=np.ones((5, 2, 2, 1)),
        output_weights=np.array([0.75, 0.76, -0.75, -0.76, 0.0]),
        output_name="3",
    ).plot()
    assert display.frames == [None, "over", None, "under", None]
    for ax, color in zip(
        display.axes_, [NEUTRAL, GREEN, NEUTRAL, RED, NEUTRAL], strict=True
    ):
        assert same_color(spine(ax).get_edgecolor(), color)
    over, under = spine(display.axes_[1]), spine(display.axes_[3])
    assert over.get_linestyle() != under.get_linestyle()
    assert over.get_linewidth() > spine(display.axes_[0]).get_linewidth()


def test_bars_show_output_weights_and_the_threshold():
    weights = np.array([0.5, -0.9, 0.2])
    display = WeightImageDisplay(
        images=np.ones((3, 2, 2, 1)),
        output_weights=weights,
        output_name="cat",
        threshold=0.4,
    ).plot()
    bars = display.bar_ax_.patches
    np.testing.assert_array_equal([bar.get_height() for bar in bars], weights)
    for bar, color in zip(bars, [GREEN, RED, NEUTRAL], strict=True):
        assert same_color(bar.get_facecolor(), color)
    levels = [line.get_ydata()[0] for line in display.bar_ax_.lines]
    assert levels == [0, 0.4, -0.4]
    assert display.bar_ax_.get_ylabel() == "Weight to output cat"


def test_output_is_selected_by_its_label(digits):
    X, y = digits
    names = np.array(list("abcdefghij"))
    model = MLPClassifier(4, solver="lbfgs", tol=1, random_state=0).fit(X, names[y])
    display = WeightImageDisplay.from_estimator(model, output="c")
    np.testing.assert_array_equal(display.output_weights, model.coefs_[1][:, 2])
    with pytest.raises(ValueError, match="output='z' is none of"):
        WeightImageDisplay.from_estimator(model, output="z")


def test_two_classes_share_one_logit(digits):
    X, y = digits
    model = MLPClassifier(4, solver="lbfgs", tol=1, random_state=0).fit(X, y > 4)
    of_class = [
        WeightImageDisplay.from_estimator(model, output=label).output_weights
        for label in (False, True)
    ]
    np.testing.assert_array_equal(of_class[1], model.coefs_[1][:, 0])
    np.testing.assert_array_equal(of_class[0], -of_class[1])


def test_softmax_images_have_class_names_as_titles(digits):
    X, y = digits
    names = np.array(list("abcdefghij"))
    model = SoftmaxRegression(solver="lbfgs", tol=1).fit(X, names[y])
    display = WeightImageDisplay.from_estimator(model)
    assert [ax.get_title() for ax in display.axes_] == list("abcdefghij")
    assert display.bar_ax_ is None


def test_filters_of_one_channel_are_drawn_as_one_image(cnn):
    display = WeightImageDisplay.from_estimator(cnn)
    assert len(display.axes_) == 4
    for i, ax in enumerate(display.axes_):
        np.testing.assert_array_equal(
            ax.images[0].get_array(), cnn.coefs_[0][:, :, 0, i]
        )


def test_filters_of_many_channels_are_drawn_as_one_image_per_channel(cnn):
    display = WeightImageDisplay.from_estimator(cnn, layer=1, max_images=6)
    assert display.images.shape == (6 * 4, 3, 3, 1)
    assert len(display.axes_) == 6
    assert display.axes_[5].get_title() == "1 to 1"
    np.testing.assert_array_equal(
        display.axes_[5].images[0].get_array(), cnn.coefs_[1][:, :, 1, 1]
    )
    assert "first 6 of 24" in display.figure_.get_suptitle()


def test_three_channels_are_not_colors_in_a_later_convolution():
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 8, 8, 1)), np.arange(60) % 3
    model = CNNClassifier((3, 2), solver="lbfgs", tol=1, random_state=0).fit(X, y)
    display = WeightImageDisplay.from_estimator(model, layer=1)
    assert display.images.shape == (3 * 2, 3, 3, 1)
    assert display.unit_names[:3] == ["0 to 0", "1 to 0", "2 to 0"]


def test_weights_of_three_channels_are_drawn_as_colors_around_gray():
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 6, 6, 3)), np.arange(60) % 3
    for model, expected in (
        (CNNClassifier((4,), max_iter=1, random_state=0), (4, 3, 3, 3)),
        (MLPClassifier(5, max_iter=1, random_state=0), (5, 6, 6, 3)),
    ):
        with pytest.warns(match="Maximum iterations"):
            model.fit(X, y)
        display = WeightImageDisplay.from_estimator(model)
        assert display.images.shape == expected
        drawn = display.axes_[0].images[0].get_array()
        np.testing.assert_allclose(
            drawn, 0.5 + display.images[0] / (2 * display.limit), atol=1e-6
        )


def test_layers_without_pixel_inputs_raise(mlp, cnn):
    with pytest.raises(ValueError, match="layer=1 is dense"):
        WeightImageDisplay.from_estimator(mlp, layer=1)
    with pytest.raises(ValueError, match="layer=7, but there are 2 layers"):
        WeightImageDisplay.from_estimator(mlp, layer=7)
    with pytest.raises(ValueError, match="needs the output to come right after"):
        WeightImageDisplay.from_estimator(cnn, output=3)


def test_weights_of_zero_can_be_drawn():
    assert WeightImageDisplay(images=np.zeros((2, 3, 3, 1))).plot().limit == 1


def test_filters_of_signals_have_a_row_for_each_channel():
    X = np.random.default_rng(0).normal(size=(30, 20, 3))
    model = CNNClassifier((4, 6), 5, conv_dims=1, solver="lbfgs", tol=1, random_state=0)
    model.fit(X, np.arange(30) % 2)
    display = WeightImageDisplay.from_estimator(model, layer=1)
    assert display.images.shape == (6, 4, 5, 1)
    np.testing.assert_array_equal(display.images[2, 1, :, 0], model.coefs_[1][:, 1, 2])
