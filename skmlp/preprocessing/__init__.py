"""Transformers that bring pixels to the scale a network learns from."""

from ._pixel_scaler import PixelScaler
from ._pixel_standardizer import PixelStandardizer

__all__ = ["PixelScaler", "PixelStandardizer"]
