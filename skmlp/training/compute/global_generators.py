"""Global random generators in a fit: seeded by the fit, and restored afterwards.

The modules of a user draw from torch's global generator: initial weights in their
constructor, and dropout in their forward pass. The generators belong to the process. So
a lock lets one thread at a time draw from them. Ctrl-C waits for the end of a block.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from skmlp.training.compute.interrupts import delayed_interrupt

# Reentrant, because a module may call another estimator.
_lock = threading.RLock()


@contextmanager
def seeded_global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python within the block."""
    with _lock, delayed_interrupt():
        torch_state = torch.default_generator.get_state()
        numpy_state = np.random.get_state()  # noqa: NPY002  # it is the global one
        python_state = random.getstate()
        try:
            # `torch.manual_seed` would change the generators of GPUs, too.
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield
        finally:
            torch.default_generator.set_state(torch_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


@contextmanager
def global_draws_from(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global generator draw the numbers of another one within the block.

    On a GPU it is the global generator of that GPU.
    """
    default = _default_generator(generator.device)
    with _lock, delayed_interrupt():
        before = default.get_state()
        try:
            default.set_state(generator.get_state())
            yield
            generator.set_state(default.get_state())
        finally:
            default.set_state(before)


def _default_generator(device: torch.device) -> torch.Generator:
    """Return torch's global generator of a device."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    return torch.default_generator
