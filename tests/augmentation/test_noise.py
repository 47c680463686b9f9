"""GaussianNoise: independence, standard deviation and clipping."""

import pytest
import torch
from scipy import stats

from skmlp.augmentation import GaussianNoise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sigma", [0.05, 3.0])
def test_noise_is_normal_with_deviation_sigma(sigma, dtype):
    images = torch.full((20, 3, 10, 10), 0.5, dtype=dtype)
    noise = (GaussianNoise(sigma)(images, 0) - images).flatten().numpy()
    assert stats.kstest(noise, "norm", args=(0, sigma)).pvalue > 1e-3


def test_noise_of_pixels_and_channels_is_independent():
    noise = GaussianNoise(1)(torch.zeros(3000, 2, 2, 2), 0).flatten(1)
    correlation = torch.corrcoef(noise.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / 3000**0.5


def test_sigma_scales_the_same_noise():
    images = torch.zeros(2, 1, 5, 5)
    one, two = GaussianNoise(1)(images, 0), GaussianNoise(2)(images, 0)
    torch.testing.assert_close(2 * one, two)


def test_uint8_noise_is_rounded_and_clipped():
    gray = torch.full((10, 1, 30, 30), 128, dtype=torch.uint8)
    noise = GaussianNoise(10)(gray, 0).double() - 128
    # Rounding adds the variance 1/12 of a uniform distribution.
    assert abs(noise.std() - (100 + 1 / 12) ** 0.5) < 5 * 10 / (2 * 9000) ** 0.5
    for level in (0, 255):
        edge = torch.full((10, 1, 30, 30), level, dtype=torch.uint8)
        result = GaussianNoise(10)(edge, 0).long()
        assert (result - level).abs().max() < 60  # no value wraps around


def test_clip_bounds_the_result():
    images = torch.rand(5, 1, 9, 9)
    free, bound = GaussianNoise(1)(images, 0), GaussianNoise(1, clip=(0, 1))(images, 0)
    assert free.min() < 0
    assert free.max() > 1
    assert torch.equal(bound, free.clamp(0, 1))
