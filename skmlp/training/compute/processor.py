"""What the processor of this machine computes fast."""

import platform
from functools import cache
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")  # exists on Linux


# Instructions that multiply matrices of bfloat16 faster than matrices of float32.
_BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


@cache
def bfloat16_is_fast() -> bool:
    """Return whether this processor has instructions for products in bfloat16."""
    instructions = torch.cpu.get_capabilities()
    return any(instructions.get(name, False) for name in _BFLOAT16_INSTRUCTIONS)


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
