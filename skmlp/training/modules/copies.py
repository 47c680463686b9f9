"""Copies of networks that are made without the constructors of their modules."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def copy_modules(module: ModuleT, copies: Mapping[int, Tensor]) -> ModuleT:
    """Return a copy of a module and of all modules inside it.

    The constructors of torch take much longer, as does `copy.deepcopy`. The attributes
    of the modules are not copied, except for dicts, such as those of hooks. So this is
    only for modules of known classes.

    Parameters
    ----------
    module : nn.Module
        No module appears twice inside it.
    copies : mapping of int to Tensor
        From the id of each parameter to the parameter of the copy. Buffers are cloned.
    """
    copied = object.__new__(type(module))
    attributes = vars(copied)
    for name, value in vars(module).items():
        attributes[name] = _copy_container(value)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            attributes["_parameters"][name] = copies[id(parameter)]
    for name, buffer in module._buffers.items():
        if buffer is not None:
            attributes["_buffers"][name] = buffer.clone()
    for name, child in module._modules.items():
        if child is not None:
            attributes["_modules"][name] = copy_modules(child, copies)
    return copied


def _copy_container(value: Any) -> Any:
    """Return a copy of a dict or a set; other values are returned unchanged."""
    return value.copy() if type(value) in (dict, OrderedDict, set) else value
