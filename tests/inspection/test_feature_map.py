"""Outputs of all layers in FeatureMapDisplay."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from skmlp.inspection import FeatureMapDisplay
from skmlp.neural_network import CNNClassifier, MLPClassifier, MLPRegressor
from skmlp.preprocessing import PixelScaler


def test_maps_equal_the_outputs_of_the_layers(digits, cnn):
    image = digits[0][7]
    display = FeatureMapDisplay.from_estimator(cnn, image)
    assert list(display.maps) == ["input", "conv1", "conv2", "dense1", "output"]
    network = cnn.net_.module_
    x = torch.tensor(image.reshape(1, 64))
    with torch.no_grad():
        x = network.conv1(network.image(x))
        x = network.conv1_activation(network.conv1_pool(x))
    np.testing.assert_allclose(display.maps["conv1"], x[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(display.maps["input"][..., 0], image)
    np.testing.assert_allclose(
        display.maps["output"], cnn.decision_function(image[None])[0], rtol=1e-6
    )


def test_picture_shows_maps_side_by_side(digits, cnn):
    display = FeatureMapDisplay.from_estimator(cnn, digits[0][7])
    picture = display.axes_[1].images[0].get_array()
    assert picture.shape == (4, 4 * 4 + 3)
    for i in range(4):
        tile = picture[:, 5 * i : 5 * i + 4]
        np.testing.assert_array_equal(tile, display.maps["conv1"][..., i])
    assert display.axes_[1].get_title(loc="left") == "conv1: 4 maps of 4 x 4"


def test_output_is_drawn_as_bars_with_class_labels(digits, cnn):
    display = FeatureMapDisplay.from_estimator(cnn, digits[0][7])
    ax = display.axes_[-1]
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, display.maps["output"])
    assert [text.get_text() for text in ax.get_xticklabels()] == list("0123456789")


@pytest.mark.parametrize(
    ("values", "low"), [([0.0, 1, 2], 0), ([-1.0, 0, 2], -2)], ids=["relu", "tanh"]
)
def test_color_scale_starts_at_zero_or_is_symmetric(values, low):
    maps = {"dense1": np.array(values)}
    display = FeatureMapDisplay(maps=maps).plot()
    assert display.axes_[0].images[0].get_clim() == (low, 2)


def test_mlp_input_is_drawn_as_an_image(digits, mlp):
    display = FeatureMapDisplay.from_estimator(mlp, digits[0][0].ravel())
    assert display.maps["input"].shape == (8, 8, 1)
    assert display.maps["dense1"].shape == (12,)
    assert (display.maps["dense1"] >= 0).all()


def test_pipeline_transforms_the_image(digits):
    X, y = digits
    model = make_pipeline(
        PixelScaler(), CNNClassifier((3,), solver="lbfgs", tol=10, random_state=0)
    )
    pixels = np.round(X * 255).astype(np.uint8)
    display = FeatureMapDisplay.from_estimator(model.fit(pixels, y), pixels[3])
    np.testing.assert_allclose(
        display.maps["input"][..., 0], pixels[3] / 255, rtol=1e-6
    )


def test_residual_blocks_are_drawn_as_layers(digits):
    X, y = digits
    model = CNNClassifier(
        (3, 4), block="residual", head="global_average", solver="lbfgs", tol=10
    ).fit(X, y)
    display = FeatureMapDisplay.from_estimator(model, X[0])
    shapes = {name: values.shape for name, values in display.maps.items()}
    assert shapes["block2"] == (2, 2, 4)
    assert shapes["global_average"] == (4,)


def test_samples_without_image_shape_are_drawn_as_a_line():
    rng = np.random.default_rng(0)
    X = rng.random((40, 5))
    model = MLPRegressor(hidden_layer_sizes=3, solver="lbfgs", tol=1).fit(X, X[:, 0])
    display = FeatureMapDisplay.from_estimator(model, X[0])
    np.testing.assert_allclose(display.maps["input"], X[0])
    assert display.output_names is None
    assert display.axes_[-1].get_title(loc="left") == "output: 1 unit"


def test_max_maps_limits_the_maps_that_are_drawn(digits, cnn):
    display = FeatureMapDisplay.from_estimator(cnn, digits[0][0], max_maps=2)
    assert display.axes_[1].images[0].get_array().shape == (4, 2 * 4 + 1)
    assert "first 2 drawn" in display.axes_[1].get_title(loc="left")


def test_feature_maps_leave_no_hooks_in_the_network(digits, cnn):
    FeatureMapDisplay.from_estimator(cnn, digits[0][0])
    assert not any(layer._forward_hooks for layer in cnn.net_.module_.modules())


def test_several_images_and_unfitted_estimators_raise(digits, cnn):
    with pytest.raises(ValueError, match=r"192 features, .* takes 64; give one image"):
        FeatureMapDisplay.from_estimator(cnn, digits[0][:3])
    with pytest.raises(ValueError, match="not fitted"):
        FeatureMapDisplay.from_estimator(MLPClassifier(), digits[0][0])


@pytest.fixture(scope="module")
def signals():
    """30 signals of 20 steps and 3 channels, and a network that is fitted to them."""
    X = np.random.default_rng(0).normal(size=(30, 20, 3))
    model = CNNClassifier((4, 6), conv_dims=1, solver="lbfgs", tol=1, random_state=0)
    return X, model.fit(X, np.arange(30) % 2)


def test_maps_of_signals_have_a_row_for_each_channel(signals):
    X, model = signals
    display = FeatureMapDisplay.from_estimator(model, X[0], max_maps=5)
    shapes = {name: values.shape for name, values in display.maps.items()}
    assert shapes["input"] == (20, 3)
    assert (shapes["conv1"], shapes["conv2"]) == ((10, 4), (5, 6))
    picture = display.axes_[2].images[0].get_array()
    np.testing.assert_array_equal(picture, display.maps["conv2"].T[:5])
    titles = [ax.get_title(loc="left") for ax in display.axes_[:3]]
    assert titles == [
        "input: 20 steps x 3",
        "conv1: 4 maps of 10 steps",
        "conv2: 6 maps of 5 steps, first 5 drawn",
    ]


def test_input_signal_is_drawn_as_a_line_for_each_channel(signals):
    X, model = signals
    display = FeatureMapDisplay.from_estimator(model, X[0].ravel())
    lines = [line.get_ydata() for line in display.axes_[0].lines]
    np.testing.assert_array_equal(lines, X[0].T)
