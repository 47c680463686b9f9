"""Transformers that scale pixels for the training of networks."""

from skmlp.preprocessing._pixel_scaler import PixelScaler
from skmlp.preprocessing._pixel_standardizer import PixelStandardizer

__all__ = ["PixelScaler", "PixelStandardizer"]
