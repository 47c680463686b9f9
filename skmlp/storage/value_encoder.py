"""Encode Python values as JSON and arrays.

None, booleans, strings, integers, finite floats and lists are JSON already. Every other
value becomes an object with one key, which names the form of the value:

======================  =========================================================
``float``               'inf', '-inf' or 'nan'
``tuple``               a list of its items
``dict``                an object with its items, if all keys are strings
``pairs``               pairs of key and value, for a dict with other keys
``table``               a list of dicts that have the same keys in the same order:
                        the keys, then a list of values for every dict
``scalar``              dtype name and value of a NumPy scalar
``array``               name of an array in the file
``transposed``          name of the transpose of an array in Fortran's order, on which
                        the last bits of a matrix product depend
``text``                name of a uint32 array of code points; each string is a row
``dates``               dtype and name of an array of integers, for an array of
                        datetime64 or timedelta64
``objects``             shape and items of an array of Python objects
``device``              name of a torch device
``dtype``               name of a NumPy dtype
``type``                name of a Python or NumPy type that means a dtype
``slice``               start, stop and step
``path``                a path
``random_state``        the value of ``RandomState.get_state``
======================  =========================================================
"""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

MAX_DEPTH = 64

ARRAY_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)

DATE_DTYPES = frozenset(
    f"{kind}64[{unit}]"
    for kind in ("datetime", "timedelta")
    for unit in ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
)

# Types that transformers take as a dtype.
TYPES: dict[str, type] = {
    **{f"numpy.{name}": np.dtype(name).type for name in ARRAY_DTYPES},
    **{
        f"numpy.{cls.__name__}": cls
        for cls in (np.number, np.floating, np.integer, np.object_, np.str_)
    },
    **{cls.__name__: cls for cls in (bool, float, int, object, str)},
}
_TYPE_NAMES = {cls: name for name, cls in TYPES.items()}


def is_dtype_name(name: str) -> bool:
    """Return whether a dtype with this name can be stored."""
    is_known = name in ARRAY_DTYPES or name == "object"
    return is_known or re.fullmatch(r"str[1-9]\d{0,4}", name) is not None


def format_json(encoded: Any) -> str:
    """Return the result of `ValueEncoder.encode` as JSON in ASCII."""
    return json.dumps(encoded, allow_nan=False, separators=(",", ":"))


class ValueEncoder:
    """Encodes values and collects the arrays among them in `arrays`.

    Most methods take two names for a value. `owner` describes the value in error
    messages, such as "alpha of MLPClassifier". `array_name` is the name of its array in
    the file, such as "mlpclassifier.alpha".
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, owner: str, array_name: str, depth: int = 0) -> Any:
        """Return the JSON value that represents `value`."""
        if depth > MAX_DEPTH:
            raise TypeError(f"{owner} cannot be stored: it is nested too deeply.")
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if type(value) is list:
            if _is_table(value):
                values = [list(item.values()) for item in value]
                content = [list(value[0]), values]
                return {"table": self._encode_items(content, owner, array_name, depth)}
            return self._encode_items(value, owner, array_name, depth)
        if type(value) is tuple:
            return {"tuple": self._encode_items(value, owner, array_name, depth)}
        if type(value) is dict:
            return self._encode_dict(value, owner, array_name, depth)
        if isinstance(value, np.generic):
            return self._encode_scalar(value, owner)
        if type(value) is np.ndarray:
            return self._encode_array(value, owner, array_name, depth)
        if type(value) is torch.device:
            return {"device": str(value)}
        if type(value) is slice:
            bounds = [value.start, value.stop, value.step]
            return {"slice": self._encode_items(bounds, owner, array_name, depth)}
        if isinstance(value, type) and value in _TYPE_NAMES:
            return {"type": _TYPE_NAMES[value]}
        if isinstance(value, np.dtype) and is_dtype_name(value.name):
            return {"dtype": value.name}
        if isinstance(value, Path):
            return {"path": str(value)}
        if type(value) is np.random.RandomState:
            state = value.get_state(legacy=True)
            return {"random_state": self._encode_items(state, owner, array_name, depth)}
        return self.encode_other_type(value, owner, array_name, depth)

    def encode_other_type(
        self, value: Any, owner: str, array_name: str, depth: int
    ) -> Any:
        """Encode a value of another type; subclasses support further types here."""
        raise self.unsupported_error(value, owner)

    def unsupported_error(self, value: Any, owner: str) -> TypeError:
        """Return the error for a value that cannot be stored."""
        return TypeError(f"{owner} cannot be stored: it holds {describe_kind(value)}.")

    def _encode_items(
        self, values: Any, owner: str, array_name: str, depth: int
    ) -> list[Any]:
        """Encode the items of a sequence."""
        return [
            self.encode(value, owner, join_names(array_name, str(i)), depth + 1)
            for i, value in enumerate(values)
        ]

    def _encode_dict(
        self, value: dict[Any, Any], owner: str, array_name: str, depth: int
    ) -> Any:
        """Encode a dict, with keys of any type."""
        items = self._encode_items(value.values(), owner, array_name, depth)
        if all(type(key) is str for key in value):
            return {"dict": dict(zip(value, items, strict=True))}
        keys = self._encode_items(value, owner, join_names(array_name, "keys"), depth)
        return {"pairs": [list(pair) for pair in zip(keys, items, strict=True)]}

    def _encode_scalar(self, value: np.generic, owner: str) -> Any:
        """Encode a NumPy scalar."""
        if isinstance(value, np.str_):
            return {"scalar": ["str", str(value)]}
        if value.dtype.name not in ARRAY_DTYPES:
            raise self.unsupported_error(value, owner)
        return {"scalar": [value.dtype.name, self.encode(value.item(), owner, "", 0)]}

    def _encode_array(
        self, value: np.ndarray, owner: str, array_name: str, depth: int
    ) -> Any:
        """Encode an array of numbers, strings or objects."""
        if value.dtype.kind == "O":
            items = self._encode_items(value.ravel().tolist(), owner, array_name, depth)
            return {"objects": [list(value.shape), items]}
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        if value.dtype.kind == "U" and value.dtype.itemsize:
            points = np.ascontiguousarray(native).reshape(-1).view(np.uint32)
            self.arrays[array_name] = points.reshape(
                *value.shape, value.dtype.itemsize // 4
            )
            return {"text": array_name}
        if native.dtype.name in DATE_DTYPES:
            self.arrays[array_name] = native.view(np.int64)
            return {"dates": [native.dtype.name, array_name]}
        if native.dtype.name not in ARRAY_DTYPES:
            raise self.unsupported_error(value, owner)
        if native.flags.f_contiguous and not native.flags.c_contiguous:
            self.arrays[array_name] = native.T
            return {"transposed": array_name}
        self.arrays[array_name] = native
        return {"array": array_name}


def _is_table(values: list[Any]) -> bool:
    """Return whether these are several dicts with the same keys in the same order."""
    if len(values) < 2 or not all(type(value) is dict for value in values):
        return False
    keys = list(values[0])
    return all(type(key) is str for key in keys) and all(
        list(value) == keys for value in values
    )


def join_names(prefix: str, name: str) -> str:
    """Return "prefix.name" in ASCII, or the name alone without a prefix."""
    name = name.encode("ascii", "backslashreplace").decode("ascii")
    return f"{prefix}.{name}" if prefix else name


def describe_kind(value: Any) -> str:
    """Return the type of a value, as error messages name it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype} values"
    what = type(value).__name__
    if callable(value):
        return f"{what} {getattr(value, '__name__', '')}".rstrip() + ", which is code"
    return what
