"""Fits and predictions depend on no mode of torch, and change no global setting.

Modes of torch are what a user switches on around a call: `torch.autocast`,
`torch.inference_mode`, `torch.device` as a context manager, `torch.set_default_device`.
`in_default_modes` switches them off for the time of a function. The default dtype is
not among them: other threads would see a change of it. So every tensor is made with an
explicit dtype.

`restore_settings` gives torch, BLAS and scikit-learn the settings from before a
function, whenever Ctrl-C ended the function. Context managers alone do not achieve
that: the KeyboardInterrupt may be raised within their own methods.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import torch
from sklearn import get_config, set_config

from skmlp.training.compute.shared_settings import SharedSetting

F = TypeVar("F", bound=Callable[..., Any])

# Kinds of devices with a separate autocast mode.
_DEVICE_TYPES = ("cpu", "cuda")

# torch's guard in C. Ctrl-C cannot come between its change of the mode and the `with`
# statement. `torch.inference_mode` holds the same guard, but enters it in Python. An
# interrupted one would restore its old mode at any later time, when it is deleted.
inference_mode = torch._C._InferenceMode


class _ThreadModes(NamedTuple):
    """Modes of torch in one thread."""

    grad: bool
    autocast: tuple[bool, bool]
    caches_casts: bool


def _thread_modes() -> _ThreadModes:
    """Return the modes of this thread."""
    on_cpu, on_cuda = map(torch.is_autocast_enabled, _DEVICE_TYPES)
    return _ThreadModes(
        torch.is_grad_enabled(), (on_cpu, on_cuda), torch.is_autocast_cache_enabled()
    )


def _count_blocks() -> list[int]:
    """Return how many blocks of each setting this thread has opened."""
    return [setting.count_blocks() for setting in SharedSetting.all]


class _Settings:
    """Settings of this thread and of the process that fits and predictions change."""

    __slots__ = ("is_restored", "modes", "n_blocks")

    def __init__(self) -> None:
        self.is_restored = False
        self.modes = _thread_modes()
        self.n_blocks = _count_blocks()

    def are_default(self) -> bool:
        """Return whether no mode is on that would change a fit or a prediction."""
        return not (
            torch.is_inference_mode_enabled()
            or torch._C._len_torch_function_stack()
            or any(self.modes.autocast)
        )

    def leave_autocast(self) -> None:
        """Switch autocast off.

        torch clears the cache only when the outermost autocast ends. With `amp`, the
        next step would therefore use the cast weights of the previous one. So the cache
        is switched off, too.
        """
        for kind in _DEVICE_TYPES:
            torch.set_autocast_enabled(kind, False)
        torch.set_autocast_cache_enabled(False)

    def restore(self) -> None:
        """Give thread and process these settings, unless a call has completed that."""
        if self.is_restored:
            return
        if _count_blocks() != self.n_blocks:
            for setting, n in zip(SharedSetting.all, self.n_blocks, strict=True):
                setting.close_blocks(n)
        if _thread_modes() != self.modes:
            torch.set_grad_enabled(self.modes.grad)
            for kind, enabled in zip(_DEVICE_TYPES, self.modes.autocast, strict=True):
                torch.set_autocast_enabled(kind, enabled)
            torch.set_autocast_cache_enabled(self.modes.caches_casts)
        self.is_restored = True


def in_default_modes(function: F) -> F:
    """Call the function as if no mode of torch were on, and restore the settings."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        settings = _Settings()
        # Ctrl-C may come during the first `restore`. The second one then does the work.
        try:
            try:
                if settings.are_default():
                    return function(*args, **kwargs)
                # Modes such as `torch.device` are functions around torch's functions.
                with inference_mode(False), torch._C.DisableTorchFunction():
                    settings.leave_autocast()
                    return function(*args, **kwargs)
            finally:
                settings.restore()
        finally:
            settings.restore()

    return call  # type: ignore[return-value]


def restore_settings(function: F) -> F:
    """Restore the settings of torch, BLAS and scikit-learn when the function ends."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        settings, config = _Settings(), get_config()

        def restore() -> None:
            settings.restore()
            if get_config() != config:
                set_config(**config)

        try:
            try:
                return function(*args, **kwargs)
            finally:
                restore()
        finally:
            restore()

    return call  # type: ignore[return-value]
