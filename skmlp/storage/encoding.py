"""From values to JSON and arrays.

None, booleans, strings, integers, finite floats and lists are themselves in JSON. All
else is an object with one key, which says what it is:

======================  =========================================================
``float``               'inf', '-inf' or 'nan'
``tuple``               its items
``dict``                its items by their keys, which are strings
``pairs``               keys and values of a dict with other keys
``table``               keys, and the rows of values, of a list of dicts with these
                        keys in this order
``scalar``              name of the dtype, and the value, of a NumPy scalar
``array``               name of an array in the file
``text``                name of an array of code points, one string a row
``objects``             shape and items of an array of Python objects
``device``              name of a torch device
``path``                a path
``random_state``        what ``RandomState.get_state`` returns
======================  =========================================================
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

MAX_DEPTH = 64

ARRAY_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def to_json(encoded: Any) -> str:
    """Return what an `Encoder` made as JSON in ASCII."""
    return json.dumps(encoded, allow_nan=False, separators=(",", ":"))


class Encoder:
    """Encodes values, and collects the arrays among them.

    `owner` says in errors where a value stands, `place` names its arrays.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def encode(self, value: Any, owner: str, place: str, depth: int = 0) -> Any:
        """Return what stands for `value` in JSON."""
        if depth > MAX_DEPTH:
            raise TypeError(f"{owner} cannot be stored: it is nested too deeply.")
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if type(value) is list:
            if _is_table(value):
                rows = [list(row.values()) for row in value]
                content = [list(value[0]), rows]
                return {"table": self._items(content, owner, place, depth)}
            return self._items(value, owner, place, depth)
        if type(value) is tuple:
            return {"tuple": self._items(value, owner, place, depth)}
        if type(value) is dict:
            return self._dict(value, owner, place, depth)
        if isinstance(value, np.generic):
            return self._scalar(value, owner)
        if type(value) is np.ndarray:
            return self._array(value, owner, place, depth)
        if type(value) is torch.device:
            return {"device": str(value)}
        if isinstance(value, Path):
            return {"path": str(value)}
        if type(value) is np.random.RandomState:
            state = value.get_state(legacy=True)
            return {"random_state": self._items(state, owner, place, depth)}
        return self.encode_other(value, owner, place, depth)

    def encode_other(self, value: Any, owner: str, place: str, depth: int) -> Any:
        """Return what stands for a value of none of these types, or refuse it."""
        raise self.refusal(value, owner)

    def refusal(self, value: Any, owner: str) -> TypeError:
        """Return the error for a value that has no place in a file."""
        return TypeError(f"{owner} cannot be stored: it holds {kind_of(value)}.")

    def _items(self, values: Any, owner: str, place: str, depth: int) -> list[Any]:
        return [
            self.encode(value, owner, join(place, str(i)), depth + 1)
            for i, value in enumerate(values)
        ]

    def _dict(self, value: dict[Any, Any], owner: str, place: str, depth: int) -> Any:
        items = self._items(value.values(), owner, place, depth)
        if all(type(key) is str for key in value):
            return {"dict": dict(zip(value, items, strict=True))}
        keys = self._items(value, owner, join(place, "keys"), depth)
        return {"pairs": [list(pair) for pair in zip(keys, items, strict=True)]}

    def _scalar(self, value: np.generic, owner: str) -> Any:
        if isinstance(value, np.str_):
            return {"scalar": ["str", str(value)]}
        if value.dtype.name not in ARRAY_DTYPES:
            raise self.refusal(value, owner)
        return {"scalar": [value.dtype.name, self.encode(value.item(), owner, "", 0)]}

    def _array(self, value: np.ndarray, owner: str, place: str, depth: int) -> Any:
        if value.dtype.kind == "O":
            items = self._items(value.ravel().tolist(), owner, place, depth)
            return {"objects": [list(value.shape), items]}
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        if value.dtype.kind == "U" and value.dtype.itemsize:
            points = np.ascontiguousarray(native).reshape(-1).view(np.uint32)
            self.arrays[place] = points.reshape(*value.shape, value.dtype.itemsize // 4)
            return {"text": place}
        if native.dtype.name not in ARRAY_DTYPES:
            raise self.refusal(value, owner)
        self.arrays[place] = native
        return {"array": place}


def _is_table(values: list[Any]) -> bool:
    """Tell whether there are several dicts with the same names in the same order."""
    if len(values) < 2 or not all(type(value) is dict for value in values):
        return False
    keys = list(values[0])
    return all(type(key) is str for key in keys) and all(
        list(value) == keys for value in values
    )


def join(place: str, name: str) -> str:
    """Return the name of what is `name` in `place`, in ASCII."""
    name = name.encode("ascii", "backslashreplace").decode("ascii")
    return f"{place}.{name}" if place else name


def kind_of(value: Any) -> str:
    """Return in words what a value is."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype} values"
    what = type(value).__name__
    if callable(value):
        return f"{what} {getattr(value, '__name__', '')}".rstrip() + ", which is code"
    return what
