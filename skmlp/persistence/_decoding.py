"""From JSON and arrays back to an estimator."""

from collections.abc import Iterator, Mapping
from reprlib import repr as shown
from typing import Any

import numpy as np
import torch

from skmlp.persistence._classes import CLASSES
from skmlp.storage.decoding import Decoder, from_json


def decode(
    description: str, arrays: Mapping[str, np.ndarray], device: str | torch.device
) -> Any:
    """Return the estimator that `_encoding.encode` described.

    Raises
    ------
    Exception
        Of many kinds, if the description was not made by it.
    """
    parsed = from_json(description)
    decoder = _EstimatorDecoder(arrays, device)
    if type(parsed) is not dict or parsed.keys() != {"object"}:
        raise ValueError("it does not describe an estimator")
    estimator = decoder.decode(parsed)
    decoder.check_all_used()
    return estimator


class _EstimatorDecoder(Decoder):
    """Decodes estimators beside values; networks are to predict on `device`."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], device: str | torch.device
    ) -> None:
        super().__init__(arrays)
        self.device = device

    def decode_other(self, form: str, content: Any, depth: int) -> Any:
        if form != "object":
            return super().decode_other(form, content, depth)
        return self._object(content, depth)

    def _object(self, content: dict[str, Any], depth: int) -> Any:
        cls = CLASSES.get(content["class"])
        if cls is None:
            raise ValueError(f"it names {shown(content['class'])}, which is no class")
        params = self.named(content["params"], depth)
        attributes = self.named(content["attributes"], depth)
        estimator = cls(**params)
        for name in attributes:
            if name in params or hasattr(cls, name) or not name.isidentifier():
                raise ValueError(f"{cls.__name__} has no attribute {shown(name)}")
        prefix = content.get("network")
        if type(prefix) is not str:
            vars(estimator).update(attributes)
            return estimator
        network = _Network(self.arrays, prefix)
        for name in network:
            self.claim(prefix + name)
        estimator.__skmlp_restore__(attributes, network, self.device)
        return estimator


class _Network(Mapping[str, np.ndarray]):
    """The arrays of one network by their names within it."""

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
