"""Transformers: image files, pixels, and the numeric columns of tables."""

from skmlp.preprocessing._image_reader import ImageReader
from skmlp.preprocessing._piecewise_linear_encoder import PiecewiseLinearEncoder
from skmlp.preprocessing._pixel_scaler import PixelScaler
from skmlp.preprocessing._pixel_standardizer import PixelStandardizer
from skmlp.preprocessing._smooth_clip_scaler import SmoothClipScaler

__all__ = [
    "ImageReader",
    "PiecewiseLinearEncoder",
    "PixelScaler",
    "PixelStandardizer",
    "SmoothClipScaler",
]
