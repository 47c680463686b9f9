"""Save models to files without code, and exchange them with other libraries."""

from skmlp.persistence._export import to_torch
from skmlp.persistence._from_sklearn import from_sklearn
from skmlp.persistence._model_files import load_model, save_model
from skmlp.persistence._onnx import register_onnx_converters, to_onnx
from skmlp.persistence._trusted_types import TRUSTED_TYPES
from skmlp.storage.container import ModelFileError

__all__ = [
    "TRUSTED_TYPES",
    "ModelFileError",
    "from_sklearn",
    "load_model",
    "register_onnx_converters",
    "save_model",
    "to_onnx",
    "to_torch",
]
