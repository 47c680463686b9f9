"""Where and in which precision a network is trained."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_FLOATS = {"float32": torch.float32, "float64": torch.float64}

# How many fits want repeatable convolutions now, and what the first of them has found.
_lock = threading.Lock()
_found: list[bool] = []


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device to train on; 'auto' prefers CUDA.

    Raises
    ------
    ValueError
        If the machine lacks the device, or torch does not know its name.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is no torch device; use 'auto', 'cpu' or 'cuda'."
        ) from error
    present = {
        "cpu": lambda: 1,
        "cuda": torch.cuda.device_count,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }.get(resolved.type, lambda: 0)()
    if present == 0:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has no "
            f"{resolved.type.upper()} device; use device='auto' or 'cpu'."
        )
    if resolved.index is not None and resolved.index >= present:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has "
            f"{present} {resolved.type.upper()} device(s), counted from 0."
        )
    return resolved


def resolve_dtype(
    dtype: str | None, data_dtype: np.dtype, device: torch.device
) -> torch.dtype:
    """Return the dtype to train in: the data's own if float32 or float64.

    Raises
    ------
    ValueError
        If float64 is asked for where the device has none.
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
    in_double = data_dtype.newbyteorder("=") == np.float64
    return torch.float64 if in_double else torch.float32


def widest_float(device: torch.device) -> torch.dtype:
    """Return float64, or float32 where the device has none."""
    return torch.float64 if _has_float64(device) else torch.float32


def _has_float64(device: torch.device) -> bool:
    return device.type != "mps"


@contextmanager
def repeatable_convolutions() -> Iterator[None]:
    """Let cuDNN's gradients have the same bits in every run, here and beside."""
    cudnn = torch.backends.cudnn
    with _lock:
        _found.append(cudnn.deterministic if not _found else _found[0])
        cudnn.deterministic = True
    try:
        yield
    finally:
        with _lock:
            before = _found.pop()
            if not _found:
                cudnn.deterministic = before
