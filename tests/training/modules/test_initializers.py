"""Initializers draw weights with the variances of their publications."""

import numpy as np
import pytest
from scipy import stats

from skmlp.training.modules.initializers import NAMES, Fan, draw_layer

SHAPE = (300, 200)
FAN = Fan(*SHAPE)


def draw(init, shape=SHAPE, fan=FAN, activation="relu", seed=0):
    return draw_layer(init, activation, shape, fan, np.random.RandomState(seed))


VARIANCES = {
    "glorot": 2 / (300 + 200),
    "he": 2 / 300,
    "lecun": 1 / 300,
}


@pytest.mark.parametrize("law", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize("family", VARIANCES)
def test_drawn_variance_matches_the_published_formula(family, law):
    weights, biases = draw(f"{family}_{law}")
    variance = VARIANCES[family]
    # 99.99% bounds (chi-squared) of the variance of 60,000 normal draws. The others
    # vary less.
    low, high = stats.chi2.ppf([5e-5, 1 - 5e-5], weights.size) / weights.size
    assert low * variance < weights.var() < high * variance
    assert abs(weights.mean()) < 4 * np.sqrt(variance / weights.size)
    assert not biases.any()


@pytest.mark.parametrize("family", VARIANCES)
def test_draws_follow_the_named_distribution(family):
    deviation = np.sqrt(VARIANCES[family])
    uniform, _ = draw(f"{family}_uniform")
    bound = np.sqrt(3) * deviation
    assert stats.kstest(uniform.ravel(), stats.uniform(-bound, 2 * bound).cdf)[1] > 1e-4
    normal, _ = draw(f"{family}_normal")
    assert stats.kstest(normal.ravel(), stats.norm(0, deviation).cdf)[1] > 1e-4


@pytest.mark.parametrize("family", VARIANCES)
def test_truncated_normal_keeps_the_variance_of_the_untruncated_one(family):
    standard = stats.truncnorm(-2, 2)
    deviation = np.sqrt(VARIANCES[family]) / standard.std()
    weights, _ = draw(f"{family}_truncated_normal")
    distribution = stats.truncnorm(-2, 2, scale=deviation)
    assert distribution.std() == pytest.approx(np.sqrt(VARIANCES[family]), rel=1e-12)
    assert np.abs(weights).max() <= 2 * deviation
    assert stats.kstest(weights.ravel(), distribution.cdf)[1] > 1e-4


@pytest.mark.parametrize(("activation", "factor"), [("relu", 6), ("logistic", 2)])
def test_auto_draws_weights_and_biases_as_scikit_learn(activation, factor):
    weights, biases = draw("auto", activation=activation)
    bound = np.sqrt(factor / (300 + 200))
    random_state = np.random.RandomState(0)
    np.testing.assert_array_equal(weights, random_state.uniform(-bound, bound, SHAPE))
    np.testing.assert_array_equal(biases, random_state.uniform(-bound, bound, 200))


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (3, 3, 4, 8), (1, 1, 4, 8)])
def test_orthogonal_draws_are_orthonormal_in_the_smaller_dimension(shape):
    weights, _ = draw("orthogonal", shape)
    matrix = weights.reshape(-1, shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(
        matrix.T @ matrix, np.eye(matrix.shape[1]), rtol=0, atol=1e-12
    )


def test_orthogonal_draws_do_not_have_the_signs_of_qr():
    corners = [draw("orthogonal", (3, 3), seed=seed)[0][0, 0] for seed in range(200)]
    assert 60 < np.sum(np.array(corners) > 0) < 140


def test_truncated_normal_has_no_tails():
    weights, _ = draw("truncated_normal")
    assert np.abs(weights).max() <= 0.1
    law = stats.truncnorm(-2, 2, scale=0.05)
    assert stats.kstest(weights.ravel(), law.cdf)[1] > 1e-4


def test_identity_passes_the_first_inputs_through():
    weights, _ = draw("identity", (4, 3))
    np.testing.assert_array_equal(np.arange(4) @ weights, np.arange(3))


def test_zeros_initializer_gives_zeros():
    weights, biases = draw("zeros")
    assert not weights.any()
    assert not biases.any()


@pytest.mark.parametrize("init", NAMES)
@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 4), (1, 1)])
def test_every_initializer_draws_any_shape_from_the_given_state(init, shape):
    before = np.random.get_state()[1].copy()
    first, second = draw(init, shape), draw(init, shape)
    assert first[0].shape == shape
    assert first[1].shape == shape[-1:]
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
