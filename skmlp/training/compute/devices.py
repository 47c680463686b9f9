"""The device and the precision in which a network is trained.

The jobs of a search or an ensemble share the CUDA devices. Job i uses device i modulo
the number of devices, unless the parameter `device` names one by its index.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import torch

from skmlp.training.compute.shared_settings import SharedSetting

_FLOATS = {"float32": torch.float32, "float64": torch.float64}


class _Job(NamedTuple):
    """A job, and the number of jobs that run at the same time."""

    number: int
    n_at_once: int


_ONLY_JOB = _Job(0, 1)
_job: ContextVar[_Job] = ContextVar("_job", default=_ONLY_JOB)


@contextmanager
def device_of_job(number: int, n_at_once: int) -> Iterator[None]:
    """Let `resolve_device` choose the device of job `number` within the block.

    `n_at_once` is the number of jobs that run at the same time.
    """
    token = _job.set(_Job(number, n_at_once))
    try:
        yield
    finally:
        _job.reset(token)


def jobs_per_device() -> int:
    """Return the largest number of jobs that share a CUDA device with this one."""
    return -(-_job.get().n_at_once // max(1, torch.cuda.device_count()))  # rounded up


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device to train on; 'auto' prefers CUDA.

    Within `device_of_job`, the result is a device of this job.

    Raises
    ------
    ValueError
        If the machine lacks the device, or torch does not know its name.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is no torch device; use 'auto', 'cpu' or 'cuda'."
        ) from error
    n_devices = {
        "cpu": lambda: 1,
        "cuda": torch.cuda.device_count,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }.get(resolved.type, lambda: 0)()
    if n_devices == 0:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has no "
            f"{resolved.type.upper()} device; use device='auto' or 'cpu'."
        )
    if resolved.index is not None and resolved.index >= n_devices:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has "
            f"{n_devices} {resolved.type.upper()} device(s), counted from 0."
        )
    job = _job.get()
    if resolved.type == "cuda" and resolved.index is None and job.n_at_once > 1:
        return torch.device("cuda", job.number % n_devices)
    return resolved


def resolve_dtype(
    dtype: str | None, data_dtype: np.dtype, device: torch.device
) -> torch.dtype:
    """Return the dtype to train in.

    The default is the dtype of the data if it is float32 or float64. On a GPU it is
    float32, because most GPUs compute float64 32 to 64 times slower.

    Raises
    ------
    ValueError
        If `dtype` is float64 and the device does not support it.
    """
    if not _has_float64(device):
        if dtype == "float64":
            raise ValueError(
                f"device={str(device)!r} has no float64; use dtype='float32' or "
                "device='cpu'."
            )
        return torch.float32
    if dtype is not None:
        return _FLOATS[dtype]
    is_double = data_dtype.newbyteorder("=") == np.float64
    return torch.float64 if is_double and device.type == "cpu" else torch.float32


def highest_precision_float(device: torch.device) -> torch.dtype:
    """Return float64, or float32 on a device without float64."""
    return torch.float64 if _has_float64(device) else torch.float32


def _has_float64(device: torch.device) -> bool:
    """Return whether a device computes in float64; Apple's GPUs do not."""
    return device.type != "mps"


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor of the CPU to a device; the host does not wait for a GPU.

    A copy from pageable memory would wait for the kernels that were launched before.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _set_cudnn_deterministic(value: bool) -> None:
    torch.backends.cudnn.deterministic = value


_deterministic_cudnn = SharedSetting(
    lambda: torch.backends.cudnn.deterministic, _set_cudnn_deterministic, True
)


def deterministic_cudnn() -> AbstractContextManager[None]:
    """Set ``torch.backends.cudnn.deterministic`` within the block.

    cuDNN then computes the same gradients in every fit. The setting is global. The last
    open block of all threads restores the original value.
    """
    return _deterministic_cudnn
