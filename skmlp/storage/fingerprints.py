"""Fingerprints: short texts that identify values, equal in every process.

The fingerprint of a short value is readable, such as ``0.1``. The fingerprint of a long
value or of an array ends in a hash. A checkpoint stores the fingerprints of parameters
and data by name, so that it is used only for the fit that wrote it.
"""

import hashlib
import os
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse
import torch

_MAX_CHARACTERS = 100  # a longer text is replaced by its beginning and a hash
_BYTES_PER_BLOCK = 2**24
_MAX_DEPTH = 12


def check_fingerprints(
    parameter: str, path: Path, stored: Mapping[str, str], current: Mapping[str, str]
) -> None:
    """Refuse a checkpoint of another fit.

    Parameters
    ----------
    parameter : str
        The parameter that names the checkpoint, for the error message.
    path : Path
        The checkpoint.
    stored : mapping of str to str
        The fingerprints in the checkpoint, by name.
    current : mapping of str to str
        The fingerprints of the fit that is about to start, by name.

    Raises
    ------
    ValueError
        If a fingerprint differs. The message names the first one that does.
    """
    for name in [*current, *stored]:
        if stored.get(name) != current.get(name):
            raise ValueError(
                f"{parameter}={os.fspath(path)!r} is of another fit: {name} was "
                f"{stored.get(name, 'unknown')} and is {current.get(name, 'unknown')}; "
                "delete it to start from the beginning, or give another path."
            )


def fingerprint(value: Any) -> str:
    """Return a short text that is equal for equal values.

    - A function is identified by its name.
    - An object is identified by its class and its parameters or attributes.
    - An object without attributes is identified by its pickle.

    Raises
    ------
    TypeError
        If an object has no attributes and cannot be pickled.

    Examples
    --------
    >>> fingerprint({"alpha": 0.1, "sizes": (3, 4)})
    "{'alpha': 0.1, 'sizes': (3, 4)}"
    """
    text = _describe(value, _MAX_DEPTH)
    if len(text) <= _MAX_CHARACTERS:
        return text
    return f"{text[:20]}... #{_hash(text.encode()).hexdigest()}"


def fingerprint_array(X: Any, *, block_bytes: int = _BYTES_PER_BLOCK) -> str:
    """Return dtype, shape and a hash of the values of an array.

    The values are read in blocks along the first axis, so the array may be larger than
    memory.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix
        Any object with ``shape``, ``dtype`` and slicing is accepted, for example a
        `numpy.memmap`. Other objects are converted by `numpy.asarray`.
    """
    if scipy.sparse.issparse(X):
        parts = (X.data, X.indices, X.indptr)
        return f"{X.format} {X.shape} " + " ".join(map(fingerprint_array, parts))
    if hasattr(X, "iloc") or not hasattr(X, "shape") or not hasattr(X, "dtype"):
        X = np.asarray(X)
    shape, dtype = tuple(X.shape), X.dtype
    hashed = _hash()
    item_bytes = getattr(dtype, "itemsize", 8)
    sample_bytes = int(np.prod(shape[1:], dtype=np.int64)) * item_bytes
    n_per_block = max(1, block_bytes // max(1, sample_bytes))
    for start in range(0, shape[0] if shape else 1, n_per_block):
        block = np.asarray(X[start : start + n_per_block] if shape else X)
        if block.dtype.kind == "O":
            hashed.update(_describe(block.tolist(), _MAX_DEPTH).encode())
        else:
            hashed.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return f"{dtype} {shape} #{hashed.hexdigest()}"


def _hash(content: bytes = b"") -> Any:
    """Return a hash object; its 128 bits give 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16)


def _describe(value: Any, depth: int) -> str:
    """Return the full text of a value, which may be long."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, slice)):
        return repr(value)
    if isinstance(value, (os.PathLike, torch.device, torch.dtype, np.dtype)):
        return repr(str(value))
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        name = f"{getattr(value, '__module__', '')}.{value.__qualname__}"
        owner = getattr(value, "__self__", None)
        is_bound = owner is not None and not isinstance(owner, (type, ModuleType))
        return f"{name} of {_describe(owner, depth - 1)}" if is_bound else name
    if hasattr(value, "iloc") or (hasattr(value, "dtype") and hasattr(value, "shape")):
        return fingerprint_array(value)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if depth == 0:
        return name

    def describe_items(values: Any) -> list[str]:
        return [_describe(item, depth - 1) for item in values]

    if isinstance(value, (list, tuple, range)):
        return f"({', '.join(describe_items(value))})"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(describe_items(value)))}}}"
    if isinstance(value, Mapping):
        pairs = zip(describe_items(value), describe_items(value.values()), strict=True)
        return f"{{{', '.join(sorted(f'{k}: {v}' for k, v in pairs))}}}"
    if isinstance(value, np.random.RandomState):
        _, words, *rest = value.get_state(legacy=True)
        state = np.asarray(words).tobytes() + repr(rest).encode()
        return f"RandomState #{_hash(state).hexdigest()}"
    if isinstance(value, np.random.Generator):
        state = repr(value.bit_generator.state).encode()
        return f"Generator #{_hash(state).hexdigest()}"
    if isinstance(value, partial):
        return (
            f"partial{_describe((value.func, value.args, value.keywords), depth - 1)}"
        )
    if hasattr(value, "get_params"):
        attributes = value.get_params(deep=False)
    elif hasattr(value, "dist") and hasattr(value, "kwds"):
        # A distribution of SciPy. Its other attributes change when it is used.
        attributes = {"name": value.dist.name, "args": value.args, "kwds": value.kwds}
    elif getattr(value, "__dict__", {}):
        attributes = vars(value)
    else:
        return f"{name} #{_hash(_pickled(value)).hexdigest()}"
    arguments = (
        f"{k}={_describe(v, depth - 1)}" for k, v in sorted(attributes.items())
    )
    return f"{name}({', '.join(arguments)})"


def _pickled(value: Any) -> bytes:
    """Return the pickle of a value without attributes, such as a date."""
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"A checkpoint cannot tell {value!r} from another "
            f"{type(value).__qualname__}; give something that pickle knows."
        ) from error
