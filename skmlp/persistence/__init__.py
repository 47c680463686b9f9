"""Models as files without code, and on their way from and to other libraries."""

from skmlp.persistence._export import to_onnx, to_torch
from skmlp.persistence._from_sklearn import from_sklearn
from skmlp.persistence._model import load_model, save_model
from skmlp.storage.container import ModelFileError

__all__ = [
    "ModelFileError",
    "from_sklearn",
    "load_model",
    "save_model",
    "to_onnx",
    "to_torch",
]
