"""What the processor of this machine computes fast."""

import platform
from functools import cache
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")  # exists on Linux


@cache
def mkl_is_fast() -> bool:
    """Return whether MKL, torch's BLAS library, is the fastest for dense layers.

    MKL uses AVX-512 on Intel's processors only. On other processors with AVX-512,
    oneDNN needs half of its time.
    """
    return torch.backends.cpu.get_cpu_capability() != "AVX512" or is_intel()


def is_intel(description_file: Path = _CPU_INFO) -> bool:
    """Return whether Intel made this processor."""
    try:
        description = description_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        description = platform.processor()
    return "GenuineIntel" in description
