from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.result_store.first_layer_images import decode, encode


def network(*shape):
    return SimpleNamespace(coefs_=[np.random.default_rng(0).normal(size=shape)])


@pytest.mark.parametrize(
    ("shape", "image_shape", "kind", "stored_shape"),
    [
        ((784, 10), (28, 28), "weights", [10, 28, 28, 1]),
        ((12, 5), (2, 2, 3), "weights", [5, 2, 2, 3]),
        ((5, 5, 1, 10), (28, 28), "filters", [10, 5, 5, 1]),
        ((3, 3, 3, 64), (32, 32, 3), "filters", [50, 3, 3, 3]),
        ((784, 200), (28, 28), "weights", [50, 28, 28, 1]),
        ((3072, 512), (32, 32, 3), "weights", [12, 32, 32, 3]),
    ],
)
def test_decoded_images_are_within_half_a_level(shape, image_shape, kind, stored_shape):
    net = network(*shape)
    stored = encode(net, image_shape)
    assert (stored["kind"], stored["shape"]) == (kind, stored_shape)
    assert stored["units"] == shape[-1]
    n = stored_shape[0]
    wanted = np.moveaxis(net.coefs_[0], -1, 0)[:n].reshape(stored_shape)
    assert stored["limit"] == np.abs(wanted).max()
    read = decode(stored) * stored["limit"] / 127
    np.testing.assert_allclose(read, wanted, atol=stored["limit"] / 254 * 1.0001)


def test_largest_first_layer_fits_in_a_short_line():
    assert len(encode(network(784, 1000), (28, 28))["values"]) < 53_000


def test_ensemble_is_represented_by_its_first_member():
    members = [network(4, 2), network(4, 3)]
    stored = encode(SimpleNamespace(estimators_=members), (2, 2))
    assert stored["shape"] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((4, 3), None),
        ((4, 3), (3, 3)),
        ((2, 2, 4, 8), (4, 4, 4)),
        ((300 * 300, 2), (300, 300)),
    ],
)
def test_layers_that_are_not_images_or_too_large_are_omitted(shape, image_shape):
    assert encode(network(*shape), image_shape) is None


def test_layers_missing_or_not_finite_are_omitted():
    assert encode(SimpleNamespace(), (2, 2)) is None
    spoilt = network(4, 3)
    spoilt.coefs_[0][0, 0] = np.nan
    assert encode(spoilt, (2, 2)) is None


def test_all_zero_weights_are_stored_as_zeros():
    zeros = SimpleNamespace(coefs_=[np.zeros((4, 3))])
    stored = encode(zeros, (2, 2))
    assert stored["limit"] == 0
    assert not decode(stored).any()
