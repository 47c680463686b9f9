"""Image sets to train on, and the files they come in.

The fetchers return NumPy arrays or pandas frames as scikit-learn's do, verified
against the published files: from a data home, the system's folders, or a download.
"""

from skmlp.datasets._cifar10 import fetch_cifar10
from skmlp.datasets._data_home import get_data_home
from skmlp.datasets._idx import read_idx, write_idx
from skmlp.datasets._image_folder import load_image_folder
from skmlp.datasets._mnist import fetch_fashion_mnist, fetch_mnist

__all__ = [
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "get_data_home",
    "load_image_folder",
    "read_idx",
    "write_idx",
]
