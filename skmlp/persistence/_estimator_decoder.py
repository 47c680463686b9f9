"""Decode JSON and arrays to the estimator that `encode_estimator` encoded."""

from collections.abc import Iterator, Mapping
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import torch

from skmlp.persistence._allowed_classes import ALLOWED_CLASSES
from skmlp.storage.value_decoder import ValueDecoder, parse_json


def decode_estimator(
    description: str, arrays: Mapping[str, np.ndarray], device: str | torch.device
) -> Any:
    """Return the estimator that a description and arrays represent.

    Raises
    ------
    Exception
        If `encode_estimator` did not write the description. The type of the error
        depends on what is wrong with it.
    """
    parsed = parse_json(description)
    decoder = _EstimatorDecoder(arrays, device)
    if type(parsed) is not dict or parsed.keys() != {"object"}:
        raise ValueError("it does not describe an estimator")
    estimator = decoder.decode(parsed)
    decoder.check_all_arrays_used()
    return estimator


class _EstimatorDecoder(ValueDecoder):
    """Decodes estimators and values; networks will predict on `device`."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], device: str | torch.device
    ) -> None:
        super().__init__(arrays)
        self.device = device

    def decode_unknown_form(self, form: str, content: Any, depth: int) -> Any:
        """Decode an estimator, or raise the error for an unknown form."""
        if form != "object":
            return super().decode_unknown_form(form, content, depth)
        return self._decode_estimator(content, depth)

    def _decode_estimator(self, content: dict[str, Any], depth: int) -> Any:
        """Return an estimator of one of the allowed classes."""
        cls = ALLOWED_CLASSES.get(content["class"])
        if cls is None:
            raise ValueError(
                f"it names {short_repr(content['class'])}, which is no class"
            )
        params = self.decode_dict(content["params"], depth)
        attributes = self.decode_dict(content["attributes"], depth)
        estimator = cls(**params)
        for name in attributes:
            if name in params or hasattr(cls, name) or not name.isidentifier():
                raise ValueError(f"{cls.__name__} has no attribute {short_repr(name)}")
        prefix = content.get("network")
        if type(prefix) is not str:
            vars(estimator).update(attributes)
            return estimator
        network = _PrefixedArrays(self.arrays, prefix)
        for name in network:
            self.mark_used(prefix + name)
        estimator.__skmlp_restore__(attributes, network, self.device)
        return estimator


class _PrefixedArrays(Mapping[str, np.ndarray]):
    """The arrays whose names have a prefix, by the names without it."""

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str) -> None:
        self._arrays = arrays
        self._prefix = prefix
        self._names = [k.removeprefix(prefix) for k in arrays if k.startswith(prefix)]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
