"""RandomCrop: the windows of the padded image, all equally likely."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skmlp.augmentation import RandomCrop

MODES = ["constant", "edge", "reflect", "symmetric"]


def all_windows(image, across, down, mode, fill):
    """Return all windows of an image that NumPy pads, as a list of arrays."""
    height, width = image.shape[-2:]
    more = {"constant_values": fill} if mode == "constant" else {}
    frame = [(0, 0), (down, down), (across, across)]
    padded = np.pad(image, frame, mode=mode, **more)
    return [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * down + 1)
        for left in range(2 * across + 1)
    ]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    across=st.integers(0, 8),
    down=st.integers(0, 8),
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64]),
    seed=st.integers(0, 2**32),
)
def test_crop_is_a_window_of_the_padded_image(shape, across, down, mode, dtype, seed):
    image = (1 + np.arange(np.prod(shape))).reshape(shape).astype(dtype)
    batch = torch.from_numpy(image).expand(5, *shape)
    crops = RandomCrop((across, down), padding_mode=mode, fill=7)(batch, seed)
    windows = all_windows(image, across, down, mode, 7)
    for crop in crops.numpy():
        assert any(np.array_equal(crop, window) for window in windows)


@pytest.mark.parametrize("mode", MODES)
def test_all_windows_are_equally_likely(mode):
    image = np.random.default_rng(0).random((1, 3, 4))
    batch = torch.from_numpy(image).expand(15_000, 1, 3, 4)
    crops = RandomCrop((2, 1), padding_mode=mode)(batch, 0).numpy()
    windows = all_windows(image, 2, 1, mode, 0)
    counts = [(crops == window).all(axis=(1, 2, 3)).sum() for window in windows]
    assert len(counts) == 15
    assert sum(counts) == 15_000
    # Each count is binomial with mean 1000 and standard deviation 30.6.
    assert max(abs(count - 1000) for count in counts) < 5 * 30.6


def test_one_number_pads_all_sides():
    images = torch.rand(50, 1, 5, 5)
    one, two = RandomCrop(2)(images, 0), RandomCrop(padding=(2, 2))(images, 0)
    assert torch.equal(one, two)


def test_fill_may_differ_between_channels():
    batch = torch.full((100, 2, 3, 3), 9, dtype=torch.uint8)
    crops = RandomCrop(3, fill=(1, 300))(batch, 0)
    assert crops[:, 0].unique().tolist() == [1, 9]
    assert crops[:, 1].unique().tolist() == [9, 255]  # the maximum of uint8


def test_fill_with_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match=r"fill has 2 values.* have 1 channels"):
        RandomCrop(fill=(0, 1))(torch.rand(1, 1, 4, 4))
