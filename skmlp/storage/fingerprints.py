"""What a checkpoint is of, in words that are the same in every process.

A fact is a name with a text: a parameter as it was written, or a digest of rows.
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

_LONGEST = 100  # characters of a fact that people are to read
_BYTES_AT_ONCE = 2**24
_DEPTH = 12


def check_fingerprints(
    parameter: str, path: Path, found: Mapping[str, str], now: Mapping[str, str]
) -> None:
    """Refuse a checkpoint of something else.

    Raises
    ------
    ValueError
        If a fact in the file is not what it is now; the message names the first.
    """
    for name in [*now, *found]:
        if found.get(name) != now.get(name):
            raise ValueError(
                f"{parameter}={os.fspath(path)!r} is of another fit: {name} was "
                f"{found.get(name, 'unknown')} and is {now.get(name, 'unknown')}; "
                "delete it to start anew, or give another path."
            )


def fingerprint(value: Any) -> str:
    """Return a text that equal values have in common, and few others.

    Functions are known by their names; objects by their class and attributes, or by
    what pickle makes of them where they show none.

    Raises
    ------
    TypeError
        If an object shows nothing by which it can be known.
    """
    text = _describe(value, _DEPTH)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:20]}... #{_hash(text.encode()).hexdigest()}"


def digest(X: Any) -> str:
    """Return dtype, shape and a hash of an array's values, read in blocks of rows.

    Anything with ``shape``, ``dtype`` and slices will do, a `numpy.memmap` too, and
    what NumPy or pandas makes an array of.
    """
    if scipy.sparse.issparse(X):
        parts = (X.data, X.indices, X.indptr)
        return f"{X.format} {X.shape} " + " ".join(map(digest, parts))
    if hasattr(X, "iloc") or not hasattr(X, "shape") or not hasattr(X, "dtype"):
        X = np.asarray(X)
    shape, dtype = tuple(X.shape), X.dtype
    hashed = _hash()
    row = int(np.prod(shape[1:], dtype=np.int64)) * getattr(dtype, "itemsize", 8)
    size = max(1, _BYTES_AT_ONCE // max(1, row))
    starts = range(0, shape[0] if shape else 1, size)
    for start in starts:
        block = np.asarray(X[start : start + size] if shape else X)
        if block.dtype.kind == "O":
            hashed.update(_describe(block.tolist(), _DEPTH).encode())
        else:
            hashed.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return f"{dtype} {shape} #{hashed.hexdigest()}"


def _hash(content: bytes = b"") -> Any:
    return hashlib.blake2b(content, digest_size=16)


def _describe(value: Any, depth: int) -> str:
    """Return the whole text of a value, however long."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, slice)):
        return repr(value)
    if isinstance(value, (os.PathLike, torch.device, torch.dtype, np.dtype)):
        return repr(str(value))
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        known = f"{getattr(value, '__module__', '')}.{value.__qualname__}"
        owner = getattr(value, "__self__", None)
        bound = owner is not None and not isinstance(owner, (type, ModuleType))
        return f"{known} of {_describe(owner, depth - 1)}" if bound else known
    if hasattr(value, "iloc") or (hasattr(value, "dtype") and hasattr(value, "shape")):
        return digest(value)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if depth == 0:
        return name

    def inner(values: Any) -> list[str]:
        return [_describe(item, depth - 1) for item in values]

    if isinstance(value, (list, tuple, range)):
        return f"({', '.join(inner(value))})"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(inner(value)))}}}"
    if isinstance(value, Mapping):
        pairs = zip(inner(value), inner(value.values()), strict=True)
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
        held = value.get_params(deep=False)
    elif hasattr(value, "dist") and hasattr(value, "kwds"):
        # A distribution of SciPy's, whose other attributes change as it is used.
        held = {"name": value.dist.name, "args": value.args, "kwds": value.kwds}
    elif getattr(value, "__dict__", {}):
        held = vars(value)
    else:
        return f"{name} #{_hash(_pickled(value)).hexdigest()}"
    arguments = (f"{k}={_describe(v, depth - 1)}" for k, v in sorted(held.items()))
    return f"{name}({', '.join(arguments)})"


def _pickled(value: Any) -> bytes:
    """Return bytes that equal dates, decimals and the like have in common."""
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"A checkpoint cannot tell {value!r} from another "
            f"{type(value).__qualname__}; give something that pickle knows."
        ) from error
