"""Transformers that read image files, and scale pixels for the training of networks."""

from skmlp.preprocessing._image_reader import ImageReader
from skmlp.preprocessing._pixel_scaler import PixelScaler
from skmlp.preprocessing._pixel_standardizer import PixelStandardizer

__all__ = ["ImageReader", "PixelScaler", "PixelStandardizer"]
