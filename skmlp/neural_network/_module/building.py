"""Build the module of a user from a class or function, its arguments, and sizes.

All errors name the parameter `module` and what it is.
"""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from skmlp.neural_network._fit.images import ImageShape
from skmlp.neural_network._fit.module_arguments import PREFIX
from skmlp.training.modules.image_layers import ImageView
from skmlp.training.modules.introspection import evaluation_mode

# Modules that were built and still exist. A function shall not return one of them.
_built: WeakSet[nn.Module] = WeakSet()


class ImageInput:
    """A hook that gives a module its samples as images, channels first.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of the flat samples.
    """

    def __init__(self, image_shape: ImageShape) -> None:
        self.image_shape = image_shape

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the inputs of the module; images stay as they are."""
        x, *others = inputs
        if x.dim() != 2:
            return inputs
        return ImageView(self.image_shape)(x), *others


def name_of_module(module: Any) -> str:
    """Return the name of a class or function, for error messages."""
    return getattr(module, "__name__", None) or repr(module)


def build_module(
    module: Callable[..., nn.Module],
    arguments: Mapping[str, Any],
    sizes: Mapping[str, Any],
    image_shape: ImageShape | None,
) -> nn.Module:
    """Call a user's class or function and return its module.

    Parameters
    ----------
    module : callable
    arguments : mapping of str to object
        The arguments that the user gave. Modules among them are copied, because
        training would change them.
    sizes : mapping of str to object
        Values by the names of arguments. A callable with such an argument gets the
        value, unless the user gave another one.
    image_shape : tuple of int or None
        Height, width and channels, if the module takes images.

    Raises
    ------
    TypeError
        If `module` is an instance, takes no such argument, or returns something else
        than a new module.
    ValueError
        If `module` raises an exception, or if its module has no parameters to train.
    """
    name = name_of_module(module)
    if isinstance(module, nn.Module):
        name = type(module).__name__
        raise TypeError(
            f"module is an instance of {name}, which all clones would train together; "
            f"give the class, module={name}, and its arguments as module__name=value."
        )
    known = _names_of_arguments(module)
    for argument in arguments:
        if known is not None and argument not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise TypeError(
                f"module={name} has no argument {argument!r}, which {PREFIX}{argument} "
                f"would set; {takes}."
            )
    offered = {k: v for k, v in sizes.items() if k in _signature(module)}
    given = {
        key: copy.deepcopy(value) if isinstance(value, nn.Module) else value
        for key, value in (offered | dict(arguments)).items()
    }
    if given.get("image_shape", ()) is None and "image_shape" in offered:
        raise ValueError(
            f"module={name} takes image_shape, but X holds flat samples; give images, "
            "or set image_shape=(height, width, channels)."
        )
    try:
        network = module(**given)
    except Exception as error:
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items())
        raise ValueError(
            f"module={name} could not be built, {name}({shown}) raised "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_built(network, name)
    if image_shape is not None:
        network.register_forward_pre_hook(ImageInput(image_shape))
    if any(map(is_lazy, network.parameters())):
        _complete_lazy_layers(network, sizes["n_features"], name)
    return network


def _check_built(network: Any, name: str) -> None:
    """Raise an error if a user's callable returned no new module with parameters."""
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"module={name} returned a {type(network).__name__}; it has to return a "
            "torch.nn.Module."
        )
    if network in _built:
        raise TypeError(
            f"module={name} returned the same instance as before, which all fits would "
            "train together; it has to make a new one in every call."
        )
    _built.add(network)
    if not any(p.requires_grad for p in network.parameters()):
        raise ValueError(
            f"module={name} has no parameters to train; store layers as attributes or "
            "in nn.ModuleList, not in a list."
        )
    if any(key.endswith("_extra_state") for key in network.state_dict()):
        raise ValueError(
            f"module={name} has an extra state, which files and pickles would lose; "
            "register it as a buffer."
        )


def _signature(module: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a callable; none if Python does not know them."""
    try:
        return inspect.signature(module).parameters
    except (TypeError, ValueError):
        return {}


def _names_of_arguments(module: Any) -> list[str] | None:
    """Return the names of the arguments; None if the callable takes any name."""
    parameters = _signature(module)
    if not parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return [
        name
        for name, p in parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]


def _complete_lazy_layers(network: nn.Module, n_features: int, name: str) -> None:
    """Let lazy layers, such as `torch.nn.LazyLinear`, find their sizes."""
    first = next(network.parameters())
    x: Tensor = torch.zeros(1, n_features, dtype=first.dtype, device=first.device)
    try:
        with evaluation_mode(network), torch.no_grad():
            network(x)
    except Exception as error:
        raise ValueError(
            f"module={name} failed with one sample of {n_features} features: "
            f"{type(error).__name__}: {error}"
        ) from error
