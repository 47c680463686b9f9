"""RandomHorizontalFlip: images are flipped or unchanged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skmlp.augmentation import RandomHorizontalFlip


@given(
    shape=st.tuples(*(st.integers(1, 5) for _ in range(4))),
    p=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_image_is_flipped_or_unchanged(shape, p, seed):
    images = torch.rand(shape)
    results = RandomHorizontalFlip(p)(images, seed)
    for image, result in zip(images, results, strict=True):
        assert torch.equal(result, image) or torch.equal(result, image.flip(2))


def test_p_one_flips_all_images_and_p_zero_none():
    images = torch.rand(100, 3, 4, 5)
    assert torch.equal(RandomHorizontalFlip(p=1)(images), images.flip(3))
    assert torch.equal(RandomHorizontalFlip(p=0)(images), images)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_p_is_the_fraction_of_flipped_images(p):
    images = torch.tensor([0.0, 1.0]).expand(10_000, 1, 1, 2)
    fraction = RandomHorizontalFlip(p)(images, 0)[..., 0].mean().item()
    assert abs(fraction - p) < 5 * (p * (1 - p) / 10_000) ** 0.5
