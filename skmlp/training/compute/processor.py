"""What the processor of this machine computes fast."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let the processor treat numbers near zero as zero, in this thread.

    In float32 these are numbers below 1.2e-38. Gradients of samples that are almost
    certain, and moments of inactive parameters, become that small. Arithmetic with them
    is many times slower.
    """
    smallest = torch.finfo(torch.float32).tiny
    were_flushed = float(torch.tensor(smallest) * 0.5) == 0.0
    try:
        try:
            torch.set_flush_denormal(True)
            yield
        finally:
            torch.set_flush_denormal(were_flushed)
    finally:  # Ctrl-C may have come before the same call above
        torch.set_flush_denormal(were_flushed)
