"""Warnings about samples that convolutions take as images, or signals, by mistake."""

from skmlp._warnings import warn
from skmlp.exceptions import DataShapeWarning
from skmlp.neural_network._fit.images import ImageShape

# Flat samples make plausible images if these are squares of at least this side.
_MIN_SIDE = 8

# Gray images look like signals if one side has at most so many pixels, and the other
# side is so long, and so many times as long.
_MAX_CHANNELS = 12
_MIN_LENGTH = 20
_MIN_RATIO = 4


def warn_about_flat_samples(shape: ImageShape) -> None:
    """Warn if flat samples make no plausible images, as the columns of a table."""
    height, width, channels = shape
    if min(height, width) >= _MIN_SIDE:
        return
    pixels = f"{height} x {width} pixels" + (f" x {channels}" if channels > 1 else "")
    warn(
        f"X has {height * width * channels} features, and image_shape='auto' takes "
        f"them as an image of {pixels}. Convolutions expect that neighboring features "
        "are related. Give image_shape for images, conv_dims=1 for signals, or use a "
        "network without convolutions for a table.",
        DataShapeWarning,
    )


def warn_about_narrow_images(shape: ImageShape) -> None:
    """Warn if gray images look like signals with several channels."""
    height, width, channels = shape
    few, many = sorted((height, width))
    is_long = many >= max(_MIN_LENGTH, _MIN_RATIO * few)
    if channels > 1 or not 1 < few <= _MAX_CHANNELS or not is_long:
        return
    change = "" if width == few else "X.transpose(0, 2, 1) and "
    warn(
        f"X holds arrays of {height} x {width}, which are taken as gray images. If "
        f"they are signals of {many} steps and {few} channels, give {change}"
        f"conv_dims=1. If they are images, set image_shape={(height, width)}.",
        DataShapeWarning,
    )


def warn_about_short_signals(shape: ImageShape) -> None:
    """Warn if signals look as if their channels came first."""
    length, channels = shape
    if length <= _MAX_CHANNELS and channels >= max(_MIN_LENGTH, _MIN_RATIO * length):
        warn(
            f"X holds signals of {length} steps and {channels} channels. If they are "
            f"{channels} steps and {length} channels, give X.transpose(0, 2, 1), else "
            f"set image_shape={shape}.",
            DataShapeWarning,
        )
