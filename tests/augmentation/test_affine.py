"""RandomAffine: positions of points, random amounts, and padding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from skmlp.augmentation import RandomAffine
from skmlp.augmentation._affine import _draw_amounts

SCIPY_MODES = {"constant": "grid-constant", "edge": "nearest", "symmetric": "reflect"}
EVERYTHING = {
    "degrees": 60,
    "translate": (0.3, 0.2),
    "scale": (0.7, 1.4, 0.8, 1.3),
    "shear": (-20, 30, -10, 25),
}


def draw_amounts(augmentation, size=2000, seed=0):
    """Return the amounts that a call on `size` images with this seed uses."""
    generator = torch.Generator().manual_seed(seed)
    return _draw_amounts(augmentation._check_parameters(), size, generator)


def scipy_affine(image, amounts, mode, order, fill):
    """Return the image that SciPy computes from explicit matrices."""
    angle, kx, ky = np.radians([amounts.angle, amounts.shear_x, amounts.shear_y])
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    shear_y, shear_x = [[1, 0], [-np.tan(ky), 1]], [[1, -np.tan(kx)], [0, 1]]
    zoom = np.diag([amounts.zoom_x, amounts.zoom_y])
    forward = np.linalg.multi_dot([rotation, shear_y, shear_x, zoom])
    inverse = np.linalg.inv(forward)[::-1, ::-1]  # SciPy counts (row, column)
    size = np.array(image.shape)
    center, shift = (size - 1) / 2, size * [amounts.shift_y, amounts.shift_x]
    offset = center - inverse @ (center + shift)
    return ndimage.affine_transform(
        image, inverse, offset, order=order, mode=SCIPY_MODES[mode], cval=fill
    )


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
@pytest.mark.parametrize("shape", [(9, 9), (7, 12), (16, 5)])
@pytest.mark.parametrize("fill", [0.0, 0.3])
def test_images_equal_those_of_scipy(mode, interpolation, order, shape, fill):
    images = np.random.default_rng(0).random((20, 1, *shape))
    augmentation = RandomAffine(
        **EVERYTHING, interpolation=interpolation, padding_mode=mode, fill=fill
    )
    result = augmentation(torch.from_numpy(images), 1).numpy()
    amounts = [
        column.double().numpy() for column in draw_amounts(augmentation, 20, seed=1)
    ]
    for i, image in enumerate(images[:, 0]):
        one = type(draw_amounts(augmentation, 1))(*(column[i] for column in amounts))
        expected = scipy_affine(image, one, mode, order, fill)
        np.testing.assert_allclose(result[i, 0], expected, atol=1e-12)


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_positive_degrees_turn_clockwise(quarters, interpolation):
    images = torch.rand(3, 2, 6, 6, dtype=torch.float64)
    degrees = (90 * quarters, 90 * quarters)
    turned = RandomAffine(degrees=degrees, interpolation=interpolation)(images)
    torch.testing.assert_close(turned, images.rot90(-quarters, dims=(2, 3)))


def test_scale_above_one_enlarges():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 3:5, 3:5] = 1
    twice = RandomAffine(scale=(2, 2), interpolation="nearest")(image)
    wide = RandomAffine(scale=(2, 2, 1, 1), interpolation="nearest")(image)
    assert torch.equal(twice[0, 0, 2:6, 2:6], torch.ones(4, 4))
    assert twice.sum() == 16
    assert torch.equal(wide[0, 0, 3:5, 2:6], torch.ones(2, 4))
    assert wide.sum() == 8


def test_amounts_are_uniform_in_their_ranges():
    amounts = draw_amounts(RandomAffine(**EVERYTHING), 20_000)._asdict()
    expected = {
        "angle": (-60, 60),
        "shift_x": (-0.3, 0.3),
        "shift_y": (-0.2, 0.2),
        "zoom_x": (0.7, 1.4),
        "zoom_y": (0.8, 1.3),
        "shear_x": (-20, 30),
        "shear_y": (-10, 25),
    }
    assert amounts.keys() == expected.keys()
    for name, (low, high) in expected.items():
        fraction = (amounts[name].double() - low) / (high - low)
        assert -1e-6 <= fraction.min() < 0.001
        assert 0.999 < fraction.max() <= 1 + 1e-6
        counts = torch.histc(fraction, 10, 0, 1)
        # Each count is binomial with standard deviation 42.4.
        assert (counts - 2000).abs().max() < 5 * 42.4
    correlation = torch.corrcoef(torch.stack(list(amounts.values()))) - torch.eye(7)
    assert correlation.abs().max() < 5 / 20_000**0.5


@given(st.integers(0, 2**32), st.floats(0, 45), st.floats(0, 1))
def test_one_number_means_a_symmetric_range(seed, strength, fraction):
    numbers = RandomAffine(degrees=strength, shear=strength, translate=fraction)
    pairs = RandomAffine(
        degrees=(-strength, strength),
        shear=[-strength, strength, 0, 0],
        translate=np.array([fraction, fraction]),
    )
    for one, other in zip(
        draw_amounts(numbers, 5, seed), draw_amounts(pairs, 5, seed), strict=True
    ):
        assert torch.equal(one, other)


def test_two_scales_zoom_both_axes_equally():
    amounts = draw_amounts(RandomAffine(scale=(0.5, 2)))
    assert torch.equal(amounts.zoom_x, amounts.zoom_y)
    assert amounts.zoom_x.unique().numel() > 1900


def test_parameters_do_not_change_the_draws_of_others():
    alone, together = (
        draw_amounts(RandomAffine(shear=10)),
        draw_amounts(
            RandomAffine(
                degrees=10, translate=0.2, scale=(0.9, 1.1, 0.9, 1.1), shear=10
            )
        ),
    )
    assert torch.equal(alone.shear_x, together.shear_x)


def moments(images):
    """Return center of mass (x, y) and direction of the long axis in degrees."""
    weight = images[:, 0].double() / images.double().sum(dim=(1, 2, 3))[:, None, None]
    height, width = images.shape[2:]
    x = torch.arange(width) - (width - 1) / 2
    y = torch.arange(height) - (height - 1) / 2
    mean_x, mean_y = (weight * x).sum((1, 2)), (weight.mT * y).sum((1, 2))
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    xx = (weight * dx[:, None, :] ** 2).sum((1, 2))
    yy = (weight * dy[:, :, None] ** 2).sum((1, 2))
    xy = (weight * dx[:, None, :] * dy[:, :, None]).sum((1, 2))
    return mean_x, mean_y, torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy))


def blob(length, size=41):
    """Return a centered Gaussian with deviation `length` along x and 2 along y."""
    y, x = torch.meshgrid(*2 * [torch.arange(size) - (size - 1) / 2], indexing="ij")
    return torch.exp(-(x**2) / (2 * length**2) - y**2 / 8)[None, None]


def test_blob_turns_by_the_drawn_angle():
    augmentation = RandomAffine(degrees=(-15, 30))
    _, _, angle = moments(augmentation(blob(4).expand(200, 1, -1, -1), 0))
    torch.testing.assert_close(
        angle, draw_amounts(augmentation, 200).angle.double(), atol=0.05, rtol=0
    )
    assert -15.05 < angle.min() < -14
    assert 29 < angle.max() < 30.05


def test_blob_moves_by_the_drawn_fraction_of_each_side():
    images = blob(2)[:, :, 5:-5].expand(200, 1, -1, -1)  # 31 x 41
    augmentation = RandomAffine(translate=(0.2, 0.1))
    x, y, _ = moments(augmentation(images, 0))
    amounts = draw_amounts(augmentation, 200)
    torch.testing.assert_close(x, 41 * amounts.shift_x.double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(y, 31 * amounts.shift_y.double(), atol=1e-4, rtol=0)
    assert 8 < x.abs().max() < 8.21
    assert 2.9 < y.abs().max() < 3.11


def test_mean_of_many_shifts_equals_a_blur():
    width, reach, size = 21, 5.25, 40_000
    image = torch.zeros(1, 1, 1, width)
    image[..., 10] = 1
    augmentation = RandomAffine(translate=(reach / width, 0))
    mean = augmentation(image.expand(size, 1, 1, width), 0).mean(dim=0).flatten()
    # A point shifted by t has the value max(0, 1 - |d - t|) at distance d. The integral
    # over t from -reach to reach is a difference of the primitive of this triangle.
    distance = torch.arange(width) - 10.0

    def primitive(t):
        t = t.clamp(-1, 1)
        return t - t * t.abs() / 2

    expected = primitive(distance + reach) - primitive(distance - reach)
    expected = expected / (2 * reach)
    # No pixel's standard deviation over the shifts exceeds 0.25.
    assert (mean - expected).abs().max() < 5 * 0.25 / size**0.5


def test_fill_may_differ_between_channels():
    images = torch.rand(4, 3, 5, 5)
    fill = (0.1, 0.2, 0.3)
    gone = RandomAffine(degrees=(45, 45), scale=(0.1, 0.1), fill=fill)(images)
    for channel, value in enumerate(fill):
        torch.testing.assert_close(gone[:, channel, 0], torch.full((4, 5), value))


def test_fill_with_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match=r"fill has 2 values.* have 3 channels"):
        RandomAffine(degrees=10, fill=(0, 1))(torch.rand(1, 3, 4, 4))


def test_edge_and_symmetric_padding_keep_a_constant_image():
    images = torch.full((20, 1, 9, 6), 0.7)
    for mode in ("edge", "symmetric"):
        result = RandomAffine(**EVERYTHING, padding_mode=mode)(images, 0)
        torch.testing.assert_close(result, images)
