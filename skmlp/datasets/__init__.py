"""Load image sets and image files, and read and write the files of image sets.

The fetchers return NumPy arrays or pandas frames, as scikit-learn's fetchers do. They
look for the files of an image set in the data home and in the data folders of the
system, and download them if they are in neither. Every file is verified by its
published hash.
"""

from skmlp.datasets._cifar10 import fetch_cifar10
from skmlp.datasets._data_home import get_data_home
from skmlp.datasets._idx import read_idx, write_idx
from skmlp.datasets._image_folder import load_image_folder
from skmlp.datasets._image_list import load_images
from skmlp.datasets._image_paths import ImageFolderWarning
from skmlp.datasets._mnist import fetch_fashion_mnist, fetch_mnist

__all__ = [
    "ImageFolderWarning",
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "get_data_home",
    "load_image_folder",
    "load_images",
    "read_idx",
    "write_idx",
]
