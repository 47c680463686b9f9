"""The two modes of torch that see every call."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simulated_cuda.graphs import is_unseen
from simulated_cuda.operations import (
    COPIES,
    INDEXING,
    SHAPE_DEPENDS_ON_VALUES,
    VALUE_READS,
    aten,
    generators_of,
    launches_kernel,
    name_of,
    returns_view,
    written_tensors,
)
from simulated_cuda.storages import (
    CPU,
    CaptureError,
    MixedDevicesError,
    generator_device,
    with_index,
)


def _as_cuda(device: Any) -> torch.device | None:
    """Return a CUDA device with its index, and None for all other arguments."""
    if not isinstance(device, (str, torch.device)):
        return None
    device = torch.device(device)
    return with_index(device) if device.type == "cuda" else None


class FunctionMode(TorchFunctionMode):
    """Handles the calls whose arguments name a device."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if is_unseen():
            return function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        simulation = self.simulation
        own = None
        if args and isinstance(args[0], Tensor):
            own = simulation.tags.find(args[0])
            if name in ("to", "cpu", "cuda"):
                return self._move(name, args[0], list(args[1:]), kwargs)
        if own is not None and name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        if own is not None and name == "tolist":
            simulation.note("device to host (tolist)")
        if kwargs.pop("pin_memory", False):
            return simulation.pin(function(*args, **kwargs))
        device = _as_cuda(kwargs.get("device"))
        if name == "new_tensor" and own is not None and "device" not in kwargs:
            device = own
        if device is None:
            return function(*args, **kwargs)
        kwargs.pop("device", None)
        if name in ("tensor", "as_tensor", "new_tensor"):
            if own == device and name == "as_tensor":
                return function(*args, **kwargs)
            simulation.note(f"host to device ({name})")
            return simulation.tag(function(*args, **kwargs, device=CPU).clone(), device)
        return simulation.tag(function(*args, **kwargs, device=CPU), device)

    def _move(
        self, name: str, tensor: Tensor, rest: list[Any], kwargs: dict[str, Any]
    ) -> Tensor:
        """Return the tensor on the device, and in the dtype, of the arguments."""
        simulation = self.simulation
        target = {"cpu": CPU, "cuda": torch.device("cuda")}.get(name)
        target = kwargs.pop("device", target)
        if name == "cuda":
            rest = []
        for i, value in enumerate(rest):
            if isinstance(value, (str, torch.device)):
                target = rest.pop(i)
                break
            if isinstance(value, Tensor):
                target = simulation.tags.device_of(value)
                break
        # Without `non_blocking` and `copy`, and without a dtype that is None.
        rest = [v for v in rest if v is not None and not isinstance(v, bool)]
        kwargs = {k: v for k, v in kwargs.items() if v is not None}
        own = simulation.tags.find(tensor)
        source = own or simulation.tags.device_of(tensor)
        target = source if target is None else torch.device(target)
        if target.type == "cuda":
            target = with_index(target)
        elif target.type != "cpu":
            return torch.Tensor.to(tensor, target, *rest, **kwargs)
        if source == target:
            return (
                torch.Tensor.to(tensor, *rest, **kwargs) if rest or kwargs else tensor
            )
        if own is None and source.type not in ("cpu", "cuda"):
            return torch.Tensor.to(tensor, target, *rest, **kwargs)
        is_asynchronous = kwargs.get("non_blocking") and simulation.pinned.find(tensor)
        if simulation.capture is not None or not is_asynchronous:
            simulation.note(f"{_copy_direction(source, target)} (to)")
        kwargs.pop("copy", None)
        kwargs.pop("non_blocking", None)
        with nullcontext() if tensor.requires_grad else torch.no_grad():
            moved = tensor.clone()
            if rest or kwargs:
                moved = torch.Tensor.to(moved, *rest, **kwargs)
        if target == CPU:
            simulation.tags.remove(moved)
            return moved
        if is_asynchronous:
            simulation.streams.begin_copy(tensor, moved)
        return simulation.tag(moved, target)


def _copy_direction(source: torch.device, target: torch.device) -> str:
    """Return the name of a copy between devices."""
    if CPU not in (source, target):
        return "device to device"
    return "host to device" if source == CPU else "device to host"


class DispatchMode(TorchDispatchMode):
    """Checks every operation of ATen, and tags its results."""

    def __init__(self, simulation: Any) -> None:
        super().__init__()
        self.simulation = simulation

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if is_unseen():
            return operation(*args, **kwargs)
        simulation = self.simulation
        leaves = tree_leaves((args, kwargs))
        tensors = [v for v in leaves if isinstance(v, Tensor) and not v.is_meta]
        devices = [simulation.tags.find(t) for t in tensors]
        device = next((d for d in devices if d is not None), None)
        if device is not None:
            self._check(operation, args, kwargs, tensors, devices)
        simulation.streams.check_use(tensors, simulation.source_line)
        if device is None:
            written = written_tensors(operation, args, kwargs)
            simulation.streams.check_host_writes(written, simulation.source_line)
        if simulation.capture is not None:
            if tensors and device is None and not returns_view(operation):
                raise CaptureError(
                    f"{operation} of host tensors while a graph is captured, at "
                    f"{simulation.source_line()}"
                )
            simulation.capture.before(operation, args, kwargs)
        result = operation(*args, **kwargs)
        if device is not None and operation not in VALUE_READS:
            is_copy_into = operation in COPIES - {aten._to_copy.default}
            if not is_copy_into:
                simulation.tag(result, device)
        if simulation.capture is not None:
            simulation.capture.after(operation, args, kwargs, result)
        elif device is not None and launches_kernel(operation):
            simulation.record.launches[name_of(operation)] += 1
        return result

    def _check(
        self,
        operation: Any,
        args: Any,
        kwargs: Any,
        tensors: list[Tensor],
        devices: list[torch.device | None],
    ) -> None:
        """Record waits and copies of an operation; raise if CUDA would."""
        simulation = self.simulation
        device = next(d for d in devices if d is not None)
        for generator in generators_of(args, kwargs):
            if generator_device(generator) != device:
                raise MixedDevicesError(
                    f"{operation} on {device} draws from a generator of another "
                    f"device, at {simulation.source_line()}"
                )
        if operation in VALUE_READS:
            simulation.note("device to host (a value)")
            return
        if operation in SHAPE_DEPENDS_ON_VALUES:
            simulation.note(f"device to host (shape of {name_of(operation)})")
        if operation in INDEXING:
            for index in tree_leaves(args[1]):
                if not isinstance(index, Tensor):
                    continue
                if index.dtype in (torch.bool, torch.uint8):
                    simulation.note("device to host (boolean mask)")
                elif simulation.tags.find(index) is None and index.dim():
                    simulation.note("host to device (indices)")
            return
        if operation in COPIES:
            if len(set(devices)) > 1:
                source = next(d for d in reversed(devices))
                direction = _copy_direction(source or CPU, devices[0] or CPU)
                simulation.note(f"{direction} (copy_)")
            return
        for tensor, own in zip(tensors, devices, strict=True):
            if own != device and tensor.dim():
                raise MixedDevicesError(
                    f"{operation}: Expected all tensors to be on the same device, but "
                    f"found {device} and {own or CPU}, at {simulation.source_line()}"
                )
            if own is None and simulation.capture is not None and not tensor.is_leaf:
                raise CaptureError(
                    f"{operation} captures a value of the host, at "
                    f"{simulation.source_line()}"
                )
