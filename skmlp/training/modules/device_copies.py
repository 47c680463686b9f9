"""Copies of fitted networks on a GPU, which predictions use again.

A fitted network is on the CPU, so that it can be pickled and its weights can be edited.
Its copy is made once, and again after a change. A change cannot be noticed when it
happens, because ``coefs_`` are views. So the weights are compared with those of the
copy, which takes less time than another copy to the GPU.
"""

import copy
import threading
from collections.abc import Hashable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from skmlp.training.modules.introspection import (
    known_modules,
    plain_attributes,
    reference_parameter,
)

# Maximum number of networks that have a copy. Copies hold the memory of the GPU.
_MAX_COPIES = 32


class _DeviceCopy(NamedTuple):
    """A copy of a network, and what the network was when it was copied."""

    network: nn.Module
    settings: Hashable
    tensors: list[Tensor]


_copies: WeakKeyDictionary[nn.Module, _DeviceCopy] = WeakKeyDictionary()
_lock = threading.Lock()


def network_on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a network in evaluation mode on a device.

    The result is a copy that must not be changed, or the network itself if it is on the
    device. A network with unknown modules is copied in each call, because it may hold
    values that cannot be compared.

    Parameters
    ----------
    network : nn.Module
    device : torch.device
    """
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    if reference_parameter(network).device == device:
        return network
    if known_modules(network) is None:
        return copy.deepcopy(network).to(device)
    settings = device, plain_attributes(network)
    tensors = [*network.parameters(), *network.buffers()]
    with _lock:
        found = _copies.get(network)
        if (
            found is not None
            and found.settings == settings
            and all(map(torch.equal, found.tensors, tensors))
        ):
            return found.network
        copied = copy.deepcopy(network).to(device)
        _copies.pop(network, None)
        if len(_copies) == _MAX_COPIES:
            del _copies[next(iter(_copies))]  # the oldest one
        _copies[network] = _DeviceCopy(
            copied, settings, [tensor.detach().clone() for tensor in tensors]
        )
    return copied
