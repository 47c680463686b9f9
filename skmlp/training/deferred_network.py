"""A part of `Net`: its network may be made when it is first read."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class DeferredNetwork:
    """Holds the network of a net, or a function that makes it."""

    def defer_network(self, make_network: Callable[[], nn.Module]) -> None:
        """Make the network when it is first read; it has no buffers and no dropout.

        Waiting members of a pack would otherwise hold many small objects, which
        Python's garbage collector visits again and again.
        """
        self.__dict__.pop("module", None)
        self.__dict__["_make_network"] = make_network

    def __getattr__(self, name: str) -> Any:
        """Return the deferred network."""
        if name in ("module", "module_") and self.defers_network:
            # The function is kept until it has succeeded.
            network = self.__dict__["_make_network"]()
            self.__dict__.update(module=network, module_=network)
            del self.__dict__["_make_network"]
            return network
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    @property
    def defers_network(self) -> bool:
        """Whether the network is still to be made."""
        return "_make_network" in vars(self)

    def buffers(self) -> list[Tensor]:
        """Return the running statistics of the network."""
        return [] if self.defers_network else list(self.module_.buffers())
