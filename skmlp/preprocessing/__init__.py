"""Transformers that bring pixels to the scale a network learns from."""

from skmlp.preprocessing._pixel_scaler import PixelScaler
from skmlp.preprocessing._pixel_standardizer import PixelStandardizer

__all__ = ["PixelScaler", "PixelStandardizer"]
