"""The environment of a run: versions, hardware and threads."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import skmlp

PACKAGES = ("torch", "skorch", "scikit-learn", "numpy")
PEERS = ("keras", "tensorflow", "tensorflow-cpu", "scikeras")


def describe(also: Sequence[str] = ()) -> dict[str, Any]:
    """Return versions (also of the packages in `also`), platform, CPUs and threads."""
    return {
        "versions": {
            "python": platform.python_version(),
            "skmlp": skmlp.__version__,
            **{name: _version(name) for name in (*PACKAGES, *also)},
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpu_count": _cpu_count(),
        "threads": torch.get_num_threads(),
    }


def peer_versions() -> dict[str, str | None]:
    """Return the versions of the packages that only comparisons need."""
    return {name: _version(name) for name in PEERS}


def device_name(device: str) -> str:
    """Return the model name of a GPU, or ``cpu``."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return device


def use_threads(threads: int | None) -> None:
    """Set torch's number of threads. None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def check_device(device: str) -> None:
    """Raise ValueError if a device is unknown or a CUDA device is missing."""
    try:
        torch.device("cpu" if device == "auto" else device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is not a device; use 'auto', 'cpu' or 'cuda'."
        ) from None
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} was requested, but this machine has no CUDA device; "
            "use device='auto' or 'cpu'."
        )


def peak_memory() -> int:
    """Return the peak of this process's resident memory, in bytes."""
    if sys.platform == "linux":  # on Linux getrusage includes the memory of the parent
        status = Path("/proc/self/status").read_text()
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_count() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str | None:
    """Return the processor's model if the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None
