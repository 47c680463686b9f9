"""The temperature of logits, and probabilities as logits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

from skmlp.neural_network._temperature import (
    fit_temperature,
    logits_of_probabilities,
    temper_probabilities,
)

LOGITS = arrays(np.float64, (5, 3), elements=st.floats(-8, 8))


@given(LOGITS, st.floats(0.2, 5))
def test_tempered_probabilities_are_those_of_divided_logits(logits, temperature):
    assert_allclose(
        temper_probabilities(softmax(logits, axis=1), temperature, False),
        softmax(logits / temperature, axis=1),
        atol=1e-9,
    )
    assert_allclose(
        temper_probabilities(expit(logits), temperature, True),
        expit(logits / temperature),
        atol=1e-9,
    )


def test_temperature_of_one_returns_the_same_array():
    probabilities = np.array([[0.3, 0.7]])
    assert temper_probabilities(probabilities, 1.0, False) is probabilities


@pytest.mark.parametrize("true", [0.5, 2.0])
@pytest.mark.parametrize("logistic", [False, True])
def test_temperature_of_drawn_labels_is_found(true, logistic):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(40_000, 3))
    if logistic:
        targets = rng.random(logits.shape) < expit(logits / true)
        encoded = torch.from_numpy(targets.astype(np.float32))
    else:
        noise = rng.gumbel(size=logits.shape)
        encoded = torch.from_numpy((logits / true + noise).argmax(axis=1))
    found = fit_temperature(torch.from_numpy(logits), encoded, logistic=logistic)
    assert found == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_probabilities_have_finite_logits(dtype):
    probabilities = np.array([[0.0, 1.0]], dtype)
    for logistic in (False, True):
        assert np.isfinite(logits_of_probabilities(probabilities, logistic)).all()
        tempered = temper_probabilities(probabilities, 2.0, logistic)
        assert tempered.dtype == dtype
        assert_allclose(tempered, probabilities, atol=1e-9)
