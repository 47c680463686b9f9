"""Layers that are given by number or by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmlp.neural_network._layers.names import (
    is_layer_number,
    layer_index,
    layer_name,
)
from skmlp.training.modules.convolution import build_cnn

NETWORK = build_cnn((6, 6, 1), 2, conv_channels=(3, 4), hidden_layer_sizes=5)
NAMES = ["conv1", "conv2", "dense1", "output"]


@given(st.integers(1, 9), st.data())
def test_layer_index_equals_the_index_of_a_list(n_layers, data):
    number = data.draw(st.integers(-n_layers, n_layers - 1))
    assert layer_index(number, n_layers) == range(n_layers)[number]


@pytest.mark.parametrize("number", [4, -5, np.int64(7)])
def test_number_without_layer_raises_with_the_prefix(number):
    message = f"layers: layer {int(number)}, but there are 4 layers, counted from 0"
    with pytest.raises(ValueError, match=message):
        layer_index(number, 4, prefix="layers: layer ")


@pytest.mark.parametrize("number", range(-4, 4))
def test_layer_number_gives_the_name_in_the_network(number):
    assert layer_name(NETWORK, number, known=[]) == NAMES[number]


def test_known_name_is_returned_and_another_raises():
    assert layer_name(NETWORK, "conv2", known=["conv1", "conv2"]) == "conv2"
    with pytest.raises(ValueError, match=r"layer='conv2' is no module .* has conv1"):
        layer_name(NETWORK, "conv2", known=["conv1"])


def test_integers_are_layer_numbers_but_booleans_are_not():
    values = [0, np.int32(1), True, np.True_, 1.0, "conv1", None]
    assert list(map(is_layer_number, values)) == [True, True] + [False] * 5
