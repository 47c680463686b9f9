"""Short texts that identify values.

Equal values have equal fingerprints, in every process. The fingerprint of a short value
is readable, such as ``0.1``. The fingerprint of a long value or of an array ends in a
hash. A checkpoint stores the fingerprints of parameters and data by name, so that it is
used only for the fit that wrote it.
"""

import copyreg
import hashlib
import os
import pickle
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import scipy.sparse
import torch

from skmlp.storage.function_fingerprints import (
    Variable,
    class_parts,
    function_parts,
    is_installed,
    name_of,
)

_MAX_CHARACTERS = 100  # a longer text is replaced by its beginning and a hash
_BYTES_PER_BLOCK = 2**24
_MAX_DEPTH = 12

# Objects of these modules are in another state in every process.
_OPAQUE_MODULES = frozenset(
    {"_io", "_thread", "io", "logging", "queue", "socket", "subprocess", "threading"}
)


def check_fingerprints(
    parameter: str, path: Path, stored: Mapping[str, str], current: Mapping[str, str]
) -> None:
    """Raise a ValueError if a checkpoint belongs to another fit.

    Parameters
    ----------
    parameter : str
        Name of the parameter that holds the path, for the error message.
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
                f"{stored.get(name, 'unknown')} and is "
                f"{current.get(name, 'unknown')}; delete it to start from the "
                "beginning, or give another path."
            )


def fingerprint(value: Any) -> str:
    """Return a short text that is equal for equal values.

    - A function of an installed package is identified by its name. Any other function
      is identified by its name, its code, its defaults, and the values of enclosing
      functions and of global variables that it reads.
    - An object is identified by its class and its parameters or attributes. If its
      class is of no installed package, the code of the methods counts as well.
    - An object without attributes is identified by its pickle.
    - Global variables that are neither data nor callable, such as a logger, are
      identified by their class.

    Raises
    ------
    TypeError
        If an object has no attributes and cannot be pickled.

    Examples
    --------
    >>> fingerprint({"alpha": 0.1, "sizes": (3, 4)})
    "{'alpha': 0.1, 'sizes': (3, 4)}"
    """
    text = _Describer().describe(value, _MAX_DEPTH)
    if len(text) <= _MAX_CHARACTERS:
        return text
    return f"{text[:20]}... #{_hash(text.encode()).hexdigest()}"


def fingerprint_class(cls: type) -> str:
    """Return the name of a class, with a hash of its code if it is the user's."""
    return cls.__name__ if is_installed(cls) else fingerprint(cls)


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
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
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
            text = _Describer().describe(block.tolist(), _MAX_DEPTH)
            hashed.update(text.encode())
        else:
            hashed.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return f"{dtype} {shape} #{hashed.hexdigest()}"


def _hash(content: bytes = b"") -> Any:
    """Return a hash object; its 128 bits give 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16)


class _Describer:
    """Makes the full texts of values, which may be long.

    Functions and classes are described once: a function may call itself.
    """

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}  # of functions and classes, by their ids
        self._alive: list[Any] = []  # so that no id is used again
        self._n_open = 0  # functions and classes whose parts are being described

    def describe(self, value: Any, depth: int) -> str:
        """Return the text of a value."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str, bytes, slice)):
            return repr(value)
        if isinstance(value, (os.PathLike, torch.device, torch.dtype, np.dtype)):
            return repr(str(value))
        if isinstance(value, type):
            return self._describe_class(value)
        if hasattr(value, "__qualname__"):
            return self._describe_function(value, depth)
        if hasattr(value, "iloc") or (
            hasattr(value, "dtype") and hasattr(value, "shape")
        ):
            return fingerprint_array(value)
        if depth == 0:
            return self._describe_class(type(value))

        def describe_items(values: Any) -> list[str]:
            return [self.describe(item, depth - 1) for item in values]

        if isinstance(value, (list, tuple, range)):
            return f"({', '.join(describe_items(value))})"
        if isinstance(value, (set, frozenset)):
            return f"{{{', '.join(sorted(describe_items(value)))}}}"
        if isinstance(value, Mapping):
            keys, values = describe_items(value), describe_items(value.values())
            pairs = (f"{k}: {v}" for k, v in zip(keys, values, strict=True))
            return f"{{{', '.join(sorted(pairs))}}}"
        if isinstance(value, np.random.RandomState):
            _, words, *rest = value.get_state(legacy=True)
            state = np.asarray(words).tobytes() + repr(rest).encode()
            return f"RandomState #{_hash(state).hexdigest()}"
        if isinstance(value, np.random.Generator):
            state = repr(value.bit_generator.state).encode()
            return f"Generator #{_hash(state).hexdigest()}"
        if isinstance(value, partial):
            parts = (value.func, value.args, value.keywords)
            return f"partial{self.describe(parts, depth - 1)}"
        if isinstance(value, ModuleType):
            return value.__name__
        name = self._describe_class(type(value))
        if hasattr(value, "get_params"):
            attributes = value.get_params(deep=False)
        elif hasattr(value, "dist") and hasattr(value, "kwds"):
            # A distribution of SciPy. Its other attributes change when it is used.
            attributes = {
                "name": value.dist.name,
                "args": value.args,
                "kwds": value.kwds,
            }
        elif getattr(value, "__dict__", {}):
            attributes = vars(value)
        else:
            return self._describe_by_pickle(value, name)
        arguments = (
            f"{k}={self.describe(v, depth - 1)}" for k, v in sorted(attributes.items())
        )
        return f"{name}({', '.join(arguments)})"

    def _describe_by_pickle(self, value: Any, name: str) -> str:
        """Return the text of an object without attributes."""
        if not is_installed(type(value)) and _is_without_state(value):
            return f"{name}()"
        try:
            return f"{name} #{_hash(_pickled(value)).hexdigest()}"
        except TypeError:
            if self._n_open:  # any object may stand in a variable
                return name
            raise

    def _describe_class(self, cls: type) -> str:
        """Return the name of a class, with a hash of its code if it is the user's."""
        if is_installed(cls):
            return name_of(cls)
        return self._name_and_hash(cls, class_parts)

    def _describe_function(self, function: Any, depth: int) -> str:
        """Return the name of a function or method, with a hash of its code."""
        if isinstance(function, MethodType):
            text = self._describe_function(function.__func__, depth)
        elif is_installed(function):
            text = name_of(function)
        elif isinstance(function, FunctionType):
            text = self._name_and_hash(function, function_parts)
        else:
            text = name_of(function)
            if hasattr(function, "__wrapped__"):  # such as a function with a cache
                text += f" of {self.describe(function.__wrapped__, depth)}"
        owner = getattr(function, "__self__", None)
        if owner is None or isinstance(owner, ModuleType):
            return text
        if isinstance(owner, type):
            return f"{text} of {self._describe_class(owner)}" if depth else text
        return f"{text} of {self.describe(owner, depth - 1)}" if depth else text

    def _name_and_hash(self, value: Any, parts: Callable[[Any], Iterable[Any]]) -> str:
        """Return the name of a function or class, and a hash of its parts."""
        name = name_of(value)
        if id(value) not in self._texts:
            self._texts[id(value)] = name  # where the function calls itself
            self._alive.append(value)
            hashed = _hash()
            self._n_open += 1
            for part in parts(value):
                hashed.update(self._describe_part(part).encode() + b"\n")
            self._n_open -= 1
            self._texts[id(value)] = f"{name} #{hashed.hexdigest()}"
        return self._texts[id(value)]

    def _describe_part(self, part: Any) -> str:
        """Return the text of a part of a function or class; never raise an error."""
        if isinstance(part, Variable):
            if part.is_enclosed:
                is_known = type(part.value).__module__ not in _OPAQUE_MODULES
            else:
                is_known = _is_data(part.value) or callable(part.value)
            value = part.value if is_known else type(part.value)
            return f"{part.name}={self._describe_part(value)}"
        try:
            return self.describe(part, _MAX_DEPTH)
        except Exception:  # noqa: BLE001 - any object may stand in a variable
            return self._describe_class(type(part))


def _is_data(value: Any) -> bool:
    """Return whether a value is plain, an array, a container or an estimator."""
    if isinstance(value, (type(None), bool, int, float, complex, str, bytes, slice)):
        return True
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return all(map(_is_data, value))
    if isinstance(value, dict):
        return all(map(_is_data, value)) and all(map(_is_data, value.values()))
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor, np.dtype, torch.dtype)):
        return True
    if isinstance(value, (os.PathLike, partial, ModuleType, type(Ellipsis))):
        return True
    return scipy.sparse.issparse(value) or any(
        hasattr(value, name) for name in ("iloc", "get_params")
    )


def _is_without_state(value: Any) -> bool:
    """Return whether a class is all that identifies its object."""
    try:
        reduced: Any = value.__reduce_ex__(2)
    except Exception:  # noqa: BLE001 - the method is the user's
        return False
    plain = (copyreg.__newobj__, (type(value),))  # type: ignore[attr-defined]
    return reduced[:2] == plain and not any(reduced[2:])


def _pickled(value: Any) -> bytes:
    """Return the pickle of a value without attributes, such as a date."""
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"A checkpoint cannot tell {value!r} from another "
            f"{type(value).__qualname__}; use an object that can be pickled."
        ) from error
