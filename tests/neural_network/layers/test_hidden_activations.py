"""Activations of hidden layers."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def images(digits):
    """60 images of 8x8 pixels, and their labels."""
    X, y = digits
    return X[:60].reshape(60, 8, 8), y[:60]


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "identity": lambda z: z,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_perceptron_activations_equal_numpy_results(kind, activation, iris):
    X, y = iris
    model = kind(
        hidden_layer_sizes=(7, 5), activation=activation, max_iter=5, random_state=0
    ).fit(X, y)
    (w1, w2, w3), (b1, b2, b3) = model.coefs_, model.intercepts_
    first = ACTIVATIONS[activation](X @ w1 + b1)
    second = ACTIVATIONS[activation](first @ w2 + b2)
    assert_allclose(model.hidden_activations(X, layer=0), first)
    assert_allclose(model.hidden_activations(X, layer=1), second)
    assert_allclose(model.hidden_activations(X, layer=-2), second)
    assert_allclose(model.hidden_activations(X), second)
    assert_allclose(model.hidden_activations(X, layer="dense1"), X @ w1 + b1)
    assert_allclose(model.hidden_activations(X, layer=2), second @ w3 + b3)


def test_output_layer_gives_the_logits(iris):
    X, y = iris
    model = MLPClassifier(5, max_iter=5, random_state=0).fit(X, y)
    logits = model.hidden_activations(X, layer=-1)
    assert_array_equal(model.hidden_activations(X, layer="output"), logits)
    assert_allclose(softmax(logits, axis=1), model.predict_proba(X))


def test_dropout_and_batch_norm_are_in_evaluation_mode(iris):
    X, y = iris
    model = MLPClassifier(
        (7, 5), dropout=0.5, batch_norm=True, max_iter=5, random_state=0
    ).fit(X, y)
    first = model.hidden_activations(X, layer=0)
    assert_array_equal(model.hidden_activations(X, layer=0), first)
    assert_array_equal(model.hidden_activations(X, layer="dense1_dropout"), first)
    normalized = model.hidden_activations(X, layer="dense1_norm")
    assert_array_equal(first, np.maximum(normalized, 0))


@pytest.mark.parametrize("pool", ["max", "avg", None])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_convolution_activations_are_channels_last_and_unpooled(
    pool, activation, images
):
    X, y = images
    model = CNNClassifier(
        (3, 4),
        hidden_layer_sizes=5,
        pool=pool,
        activation=activation,
        max_iter=2,
        random_state=0,
    ).fit(X, y)
    first = model.hidden_activations(X, layer=0)
    assert first.shape == (60, 8, 8, 3)
    kernel = torch.from_numpy(model.coefs_[0]).permute(3, 2, 0, 1)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(X)[:, None],
        kernel,
        torch.from_numpy(model.intercepts_[0]),
        padding=1,
    )
    expected = getattr(torch.nn.functional, activation)(expected)
    assert_allclose(first, expected.permute(0, 2, 3, 1).numpy(), atol=1e-12)
    side = 8 if pool is None else 4
    assert model.hidden_activations(X, layer=1).shape == (60, side, side, 4)
    assert model.hidden_activations(X).shape == (60, 5)


def test_pooled_maps_are_selected_by_name(images):
    X, y = images
    model = CNNClassifier(3, hidden_layer_sizes=5, max_iter=2, random_state=0)
    model.fit(X, y)
    assert model.hidden_activations(X, layer="conv1_pool").shape == (60, 4, 4, 3)
    before = model.hidden_activations(X, layer=0)
    pooled = before.reshape(60, 4, 2, 4, 2, 3).max(axis=(2, 4))
    assert_allclose(model.hidden_activations(X, layer="conv1_activation"), pooled)


def test_residual_blocks_are_selected_by_name(images):
    X, y = images
    model = CNNClassifier(
        (3, 4),
        block="residual",
        head="global_average",
        hidden_layer_sizes=(),
        max_iter=2,
        random_state=0,
    ).fit(X, y)
    assert model.hidden_activations(X).shape == (60, 4)
    maps = model.hidden_activations(X, layer="block2_activation")
    assert maps.shape[-1] == 4
    assert_allclose(model.hidden_activations(X), maps.mean(axis=(1, 2)))
    with pytest.raises(ValueError, match="layer='block2_activation'"):
        model.hidden_activations(X, layer=1)


@pytest.mark.parametrize(
    "form",
    [
        scipy.sparse.csr_matrix,
        lambda rows: pd.DataFrame(rows, columns=list("abcd")),
        lambda rows: rows.tolist(),
    ],
    ids=["csr", "frame", "list"],
)
def test_sparse_frame_and_list_inputs_give_equal_activations(form, iris):
    X, y = iris
    model = MLPClassifier(5, max_iter=5, random_state=0).fit(form(X), y)
    hidden = model.hidden_activations(form(X))
    assert type(hidden) is np.ndarray
    assert hidden.shape == (150, 5)
    assert_allclose(model.hidden_activations(form(X[:1])), hidden[:1])


def test_activations_have_the_dtype_of_training(iris):
    X, y = iris
    for dtype in (np.float32, np.float64):
        model = MLPClassifier(5, max_iter=5).fit(X.astype(dtype), y)
        assert model.hidden_activations(X.astype(dtype)).dtype == dtype


def test_activations_are_useful_features_for_another_model(iris):
    X, y = iris
    model = MLPClassifier(20, solver="lbfgs", random_state=0).fit(X[::2], y[::2])
    hidden = model.hidden_activations(X)
    linear = LogisticRegression(max_iter=1000).fit(hidden[::2], y[::2])
    assert linear.score(hidden[1::2], y[1::2]) > 0.9


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (2, ValueError, "layer=2, but there are 2 layers, counted from 0"),
        (-3, ValueError, "layer=-3, but there are 2 layers"),
        ("dense2", ValueError, "has dense1, dense1_activation, output"),
        (1.0, TypeError, "layer=1.0 has to be the number of a layer"),
        (True, TypeError, "layer=True has to be"),
    ],
)
def test_unknown_layers_raise(layer, error, message, iris):
    X, y = iris
    model = MLPClassifier(5, max_iter=2).fit(X, y)
    with pytest.raises(error, match=message):
        model.hidden_activations(X, layer=layer)


def test_views_of_the_input_are_not_layers(images):
    X, y = images
    model = CNNClassifier(2, hidden_layer_sizes=3, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="layer='image' is no module"):
        model.hidden_activations(X, layer="image")


def test_networks_without_hidden_layers_raise(iris):
    X, y = iris
    for model in (SoftmaxRegression(), MLPClassifier(())):
        model.set_params(max_iter=2).fit(X, y)
        with pytest.raises(ValueError, match="has no hidden layer"):
            model.hidden_activations(X)


def test_unfitted_estimators_and_wrong_features_raise(iris):
    X, y = iris
    with pytest.raises(NotFittedError):
        MLPClassifier().hidden_activations(X)
    model = MLPClassifier(5, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier"):
        model.hidden_activations(X[:, :3])
