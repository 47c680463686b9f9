"""Decode JSON and arrays to the values that a `ValueEncoder` encoded."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import torch

from skmlp.storage.value_encoder import (
    ARRAY_DTYPES,
    DATE_DTYPES,
    MAX_DEPTH,
    TYPES,
    is_dtype_name,
)

_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_LAST_CODE_POINT = 0x10FFFF
_MERSENNE_TWISTER_WORDS = 624


def parse_json(description: str) -> Any:
    """Parse JSON; NaN and Infinity, which are not JSON, are errors."""
    return json.loads(description, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> float:
    """Raise the error for NaN and Infinity."""
    raise ValueError(f"{name} is not JSON")


class ValueDecoder:
    """Decodes values.

    Every array may be used only once. A small file therefore cannot make a large model
    by using one array many times.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.used_names: set[str] = set()

    def decode(self, value: Any, depth: int = 0) -> Any:
        """Return the value that JSON represents; lists are changed in place."""
        if depth > 2 * MAX_DEPTH:  # one value may need two levels of JSON
            raise ValueError("its description is nested too deeply")
        if type(value) is list:
            for i, item in enumerate(value):
                value[i] = self.decode(item, depth + 1)
            return value
        if type(value) is not dict:
            return value
        if len(value) != 1:
            raise ValueError(f"{short_repr(list(value))} is no form of a value")
        ((form, content),) = value.items()
        if form == "array":
            return self._decode_array(content)
        if form == "transposed":
            return self._decode_array(content).T
        if form == "text":
            return self._decode_text(content)
        if form == "dates":
            return self._decode_dates(content)
        if form == "dict":
            return self.decode_dict(content, depth)
        if form in _BUILDERS:
            return _BUILDERS[form](self.decode(content, depth + 1))
        return self.decode_other_form(form, content, depth)

    def decode_other_form(self, form: str, content: Any, depth: int) -> Any:
        """Decode a value of another form; subclasses support further forms here."""
        raise ValueError(f"{short_repr(form)} is no form of a value")

    def check_all_arrays_used(self) -> None:
        """Raise a ValueError if no value uses an array."""
        if unused := self.arrays.keys() - self.used_names:
            raise ValueError(f"nothing names its array {min(unused)!r}")

    def decode_dict(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        """Decode the values of a dict in place."""
        if type(values) is not dict:
            raise ValueError(f"{short_repr(values)} has no names")
        for name, value in values.items():
            values[name] = self.decode(value, depth + 1)
        return values

    def mark_used(self, name: str) -> None:
        """Mark an array as used; a second use is an error."""
        if name in self.used_names:
            raise ValueError(f"two values name its array {name!r}")
        self.used_names.add(name)

    def _decode_array(self, name: str) -> np.ndarray:
        """Return the array with this name."""
        self.mark_used(name)
        return self.arrays[name]

    def _decode_text(self, name: str) -> np.ndarray:
        """Return an array of strings from the array of their code points."""
        points = self._decode_array(name)
        *shape, width = points.shape
        if points.dtype != np.uint32 or not width:
            raise ValueError(f"its array {name!r} is no text")
        if points.max(initial=0) > _LAST_CODE_POINT:
            raise ValueError(f"its array {name!r} has code points beyond Unicode")
        return points.reshape(-1).view(f"=U{width}").reshape(shape)

    def _decode_dates(self, content: list[str]) -> np.ndarray:
        """Return an array of dates or durations from the array of its integers."""
        dtype, name = content
        numbers = self._decode_array(name)
        if dtype not in DATE_DTYPES or numbers.dtype != np.int64:
            raise ValueError(f"its array {name!r} holds no dates")
        return numbers.view(dtype)


def _build_dtype(name: str) -> np.dtype:
    """Return a dtype from its name."""
    if not is_dtype_name(name):
        raise ValueError(f"{short_repr(name)} is no dtype")
    if name.startswith("str"):
        return np.dtype(f"U{int(name[3:]) // 32}")  # NumPy's names count bits
    return np.dtype(name)


def _build_slice(bounds: list[Any]) -> slice:
    """Return a slice from start, stop and step."""
    start, stop, step = bounds
    if any(type(bound) not in (int, str, type(None)) for bound in bounds):
        raise ValueError(f"{short_repr(bounds)} is no slice")
    return slice(start, stop, step)


def _build_scalar(content: list[Any]) -> np.generic:
    """Return a NumPy scalar from its dtype name and value."""
    name, value = content
    if name == "str" and type(value) is str:
        return np.str_(value)
    if name not in ARRAY_DTYPES or type(value) not in (bool, int, float):
        raise ValueError(f"{name!r} is no dtype of a scalar")
    with np.errstate(over="ignore"):
        return np.dtype(name).type(value)


def _build_objects(content: list[Any]) -> np.ndarray:
    """Return an array of Python objects from its shape and items."""
    shape, items = content
    if math.prod(shape) != len(items):
        raise ValueError(f"{len(items)} items do not have the shape {shape}")
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def _build_random_state(content: list[Any]) -> np.random.RandomState:
    """Return a RandomState. Its position is checked here, because NumPy does not."""
    name, words, position, has_gauss, gauss = content
    if (
        words.shape != (_MERSENNE_TWISTER_WORDS,)
        or words.dtype != np.uint32
        or not 0 <= position <= _MERSENNE_TWISTER_WORDS
        or has_gauss not in (0, 1)
    ):
        raise ValueError("a random state is out of its range")
    random_state = np.random.RandomState(0)
    random_state.set_state((name, words, position, has_gauss, gauss))
    return random_state


def _build_table(content: list[Any]) -> list[dict[str, Any]]:
    """Return a list of dicts from their common keys and lists of values."""
    keys, items = content
    # In place: a second list would need more memory.
    for i, values in enumerate(items):
        items[i] = dict(zip(keys, values, strict=True))
    return items


_BUILDERS: dict[str, Callable[[Any], Any]] = {
    "device": torch.device,
    "dtype": _build_dtype,
    "float": _FLOATS.__getitem__,
    "objects": _build_objects,
    "pairs": dict,
    "path": Path,
    "random_state": _build_random_state,
    "scalar": _build_scalar,
    "slice": _build_slice,
    "table": _build_table,
    "tuple": tuple,
    "type": TYPES.__getitem__,
}
