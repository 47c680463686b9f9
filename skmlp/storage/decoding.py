"""From JSON and arrays back to values: each form of `encoding`, nothing else."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from reprlib import repr as shown
from typing import Any

import numpy as np
import torch

from skmlp.storage.encoding import ARRAY_DTYPES, MAX_DEPTH

_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_LAST_CODE_POINT = 0x10FFFF
_MERSENNE_TWISTER_WORDS = 624


def from_json(description: str) -> Any:
    """Parse what `encoding.to_json` wrote."""
    return json.loads(description, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


class Decoder:
    """Decodes values; each array is used once, so that it takes memory once."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.used: set[str] = set()

    def decode(self, value: Any, depth: int = 0) -> Any:
        """Return what `value` stands for; lists are decoded where they are."""
        if depth > 2 * MAX_DEPTH:
            raise ValueError("its description is nested too deeply")
        if type(value) is list:
            for i, item in enumerate(value):
                value[i] = self.decode(item, depth + 1)
            return value
        if type(value) is not dict:
            return value
        if len(value) != 1:
            raise ValueError(f"{shown(list(value))} is no form of a value")
        ((form, content),) = value.items()
        if form == "array":
            return self._array(content)
        if form == "text":
            return self._text(content)
        if form == "dict":
            return self.named(content, depth)
        if form in _BUILDERS:
            return _BUILDERS[form](self.decode(content, depth + 1))
        return self.decode_other(form, content, depth)

    def decode_other(self, form: str, content: Any, depth: int) -> Any:
        """Return what `content` stands for in none of these forms, or refuse it."""
        raise ValueError(f"{shown(form)} is no form of a value")

    def check_all_used(self) -> None:
        """Refuse arrays that no value has named."""
        if unused := self.arrays.keys() - self.used:
            raise ValueError(f"nothing names its array {min(unused)!r}")

    def named(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        """Decode the values of a dict where they are."""
        if type(values) is not dict:
            raise ValueError(f"{shown(values)} has no names")
        for name, value in values.items():
            values[name] = self.decode(value, depth + 1)
        return values

    def claim(self, name: str) -> None:
        """Note that an array is used, and that nothing else may use it."""
        if name in self.used:
            raise ValueError(f"two values name its array {name!r}")
        self.used.add(name)

    def _array(self, name: str) -> np.ndarray:
        self.claim(name)
        return self.arrays[name]

    def _text(self, name: str) -> np.ndarray:
        points = self._array(name)
        *shape, width = points.shape
        if points.dtype != np.uint32 or not width:
            raise ValueError(f"its array {name!r} is no text")
        if points.max(initial=0) > _LAST_CODE_POINT:
            raise ValueError(f"its array {name!r} has code points beyond Unicode")
        return points.reshape(-1).view(f"=U{width}").reshape(shape)


def _build_scalar(content: list[Any]) -> np.generic:
    """Return a NumPy scalar."""
    name, value = content
    if name == "str" and type(value) is str:
        return np.str_(value)
    if name not in ARRAY_DTYPES or type(value) not in (bool, int, float):
        raise ValueError(f"{name!r} is no dtype of a scalar")
    with np.errstate(over="ignore"):
        return np.dtype(name).type(value)


def _build_objects(content: list[Any]) -> np.ndarray:
    """Return an array of Python objects."""
    shape, items = content
    if math.prod(shape) != len(items):
        raise ValueError(f"{len(items)} items do not have the shape {shape}")
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def _build_random_state(content: list[Any]) -> np.random.RandomState:
    """Return a RandomState; NumPy would read beyond `words` at a bad position."""
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
    """Return a list of dicts with the same keys, where the rows were."""
    keys, rows = content
    for i, row in enumerate(rows):
        rows[i] = dict(zip(keys, row, strict=True))
    return rows


_BUILDERS: dict[str, Callable[[Any], Any]] = {
    "device": torch.device,
    "float": _FLOATS.__getitem__,
    "objects": _build_objects,
    "pairs": dict,
    "path": Path,
    "random_state": _build_random_state,
    "scalar": _build_scalar,
    "table": _build_table,
    "tuple": tuple,
}
