"""Layers that a user gives by number or by name."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeGuard

from torch import nn

from skmlp.training.modules.introspection import named_weight_layers


def is_layer_number(layer: Any) -> TypeGuard[int]:
    """Return whether a value is an integer; a bool is not one."""
    return isinstance(layer, Integral) and not isinstance(layer, bool)


def layer_index(number: int, n_layers: int, prefix: str = "layer=") -> int:
    """Return the index from 0 of a layer; a negative number counts from the last one.

    Parameters
    ----------
    number : int
        Number of the layer as in ``coefs_``.
    n_layers : int
        Number of layers with weights.
    prefix : str
        First words of the error message, before the number.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if not -n_layers <= number < n_layers:
        raise ValueError(
            f"{prefix}{int(number)}, but there are {n_layers} layers, counted from 0 "
            "as in coefs_."
        )
    return int(number) % n_layers


def layer_name(
    network: nn.Module, layer: int | str, known: Sequence[str], prefix: str = "layer="
) -> str:
    """Return the name in the network of a layer that is given by number or name.

    Parameters
    ----------
    network : nn.Module
    layer : int or str
        Number of a layer as in ``coefs_``, or one of the names in `known`.
    known : sequence of str
        Allowed names of modules.
    prefix : str
        First words of the error message, before the layer.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if isinstance(layer, str):
        if layer not in known:
            raise ValueError(
                f"{prefix}{layer!r} is no module of this network, which has "
                f"{', '.join(known)}."
            )
        return layer
    names = [name for name, _ in named_weight_layers(network)]
    return names[layer_index(layer, len(names), prefix)]
