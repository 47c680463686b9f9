"""Models as files without code, and on their way from and to other libraries."""

from skmlp.storage.container import ModelFileError

from ._export import to_onnx, to_torch
from ._from_sklearn import from_sklearn
from ._model import load_model, save_model

__all__ = [
    "ModelFileError",
    "from_sklearn",
    "load_model",
    "save_model",
    "to_onnx",
    "to_torch",
]
