"""Which storages and generators are on a simulated device."""

from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

CPU = torch.device("cpu")

# Number of new tags after which the tags of freed storages are removed.
_TAGS_BEFORE_CLEANING = 20_000

_real_device = torch._C.TensorBase.device


class MixedDevicesError(RuntimeError):
    """An operation on tensors of different devices."""


class CaptureError(RuntimeError):
    """An operation that CUDA forbids while a graph is captured."""


class DeviceTags:
    """The simulated device of each tagged storage."""

    def __init__(self) -> None:
        # By the address of the storage. The weak reference prevents that the address
        # is used by another storage.
        self._tags: dict[int, tuple[StorageWeakRef, torch.device]] = {}
        self._n_added = 0

    def add(self, storage: Any, device: torch.device) -> None:
        """Tag a storage."""
        self._tags[storage._cdata] = StorageWeakRef(storage), device
        self._n_added += 1
        if self._n_added % _TAGS_BEFORE_CLEANING == 0:
            self._tags = {k: v for k, v in self._tags.items() if not v[0].expired()}

    def remove(self, tensor: Tensor) -> None:
        """Remove the tag of the storage of a tensor."""
        self._tags.pop(tensor.untyped_storage()._cdata, None)

    def find(self, tensor: Tensor) -> torch.device | None:
        """Return the simulated device of a tensor; None if it is on the CPU."""
        if tensor.is_meta or tensor.layout != torch.strided:
            return None
        reference, device = self._tags.get(
            tensor.untyped_storage()._cdata, (None, None)
        )
        return None if reference is None or reference.expired() else device

    def device_of(self, tensor: Tensor) -> torch.device:
        """Return the value of the attribute ``device``."""
        with torch._C.DisableTorchFunction():
            return self.find(tensor) or _real_device.__get__(tensor)


class SimulatedGenerator(torch.Generator):
    """A generator of the CPU that says that it is on a simulated device."""

    # By the address of the C++ object. The generators are kept, so that no address is
    # used twice.
    known: dict[int, tuple["SimulatedGenerator", torch.device]] = {}  # noqa: RUF012

    def __new__(cls, device: Any = "cpu") -> Any:
        generator = super().__new__(cls, "cpu")
        if torch.device(device).type == "cuda":
            cls.known[generator._cdata] = generator, with_index(torch.device(device))
        return generator

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:
        """The simulated device, or the CPU."""
        return self.known[self._cdata][1] if self._cdata in self.known else CPU


def generator_device(generator: torch._C.Generator) -> torch.device:
    """Return the device of a generator, simulated or not."""
    known = SimulatedGenerator.known.get(generator._cdata)
    return CPU if known is None else known[1]


def with_index(device: torch.device) -> torch.device:
    """Return a CUDA device with its index; 'cuda' is the first one."""
    return torch.device("cuda", device.index or 0)
