"""The first modules of a network, up to the activations of a hidden layer."""

from typing import Any

from torch import Tensor, nn

from skmlp.neural_network._layers.names import is_layer_number, layer_name
from skmlp.training.modules.introspection import (
    copy_sharing_weights,
    modules_in_sequence,
    modules_of_layer,
    named_weight_layers,
)


def network_up_to(network: nn.Module, layer: int | str | None) -> nn.Module:
    """Return the modules from the input up to a layer as a network.

    Parameters
    ----------
    network : nn.Module
        Maps samples to logits.
    layer : int, str or None
        - int: number of a layer as in ``coefs_``. Its activation is included.
        - str: name of a module.
        - None: all modules before the output layer.

        Of a user's module, the result is the output of the layer. With None it is the
        input of the last layer with weights.

    Returns
    -------
    first_modules : nn.Module
        In evaluation mode. It shares its modules with `network`.

    Raises
    ------
    TypeError
        If `layer` has another type.
    ValueError
        If there is no such layer.
    """
    if not isinstance(layer, str) and layer is not None and not is_layer_number(layer):
        raise TypeError(
            f"layer={layer!r} has to be the number of a layer, the name of a module or "
            "None."
        )
    if modules_in_sequence(network) is None or "output" not in dict(
        network.named_children()
    ):
        return _partial_module(network, layer)
    assert isinstance(network, nn.Sequential)
    names = [name for name, _ in network.named_children()]
    if layer is None:
        if names == ["output"]:
            raise ValueError(
                "This network has no hidden layer; give it hidden_layer_sizes."
            )
        return _first_modules(network, len(names) - 1)
    names_from_first_weights = names[_first_with_weights(network) :]
    name = layer_name(network, layer, names_from_first_weights)
    if isinstance(layer, str):
        return _first_modules(network, names.index(name) + 1)
    block, inside, _ = name.partition(".")
    if inside:
        raise ValueError(
            f"layer={layer} is inside the residual block {block}; use "
            f"layer='{block}_activation' for the output of the block."
        )
    return _up_to_activation(network, name)


def _first_modules(network: nn.Sequential, n_modules: int) -> nn.Sequential:
    """Return the first modules as a network."""
    return nn.Sequential(*list(network)[:n_modules]).eval()


def _first_with_weights(network: nn.Sequential) -> int:
    """Return the index of the first module with weights.

    The modules before it only reshape the input.
    """
    return next(
        i
        for i, module in enumerate(network)
        if next(module.parameters(), None) is not None
    )


def _up_to_activation(network: nn.Sequential, name: str) -> nn.Sequential:
    """Return the modules up to a layer's activation, without pooling before it.

    In the network, max pooling precedes a monotonically non-decreasing activation,
    because both orders give equal values and this one is faster.
    """
    names = [child for child, _ in network.named_children()]
    modules = list(network)[: names.index(name) + 1]
    by_suffix = modules_of_layer(network, name)
    modules += [by_suffix[s] for s in ("norm", "activation") if s in by_suffix]
    return nn.Sequential(*modules).eval()


def _partial_module(network: nn.Module, layer: int | str | None) -> nn.Module:
    """Return a user's module that ends at a layer, or before the last weights."""
    if layer is None:
        names = [name for name, _ in named_weight_layers(network)]
        if not names:
            raise ValueError("This network has no layer with weights; name a module.")
        return PartialModule(network, names[-1], takes_input=True).eval()
    known = [name for name, _ in network.named_modules() if name]
    return PartialModule(network, layer_name(network, layer, known)).eval()


class PartialModule(nn.Module):
    """A module whose output is that of one of its parts, or the input of this part.

    Parameters
    ----------
    network : nn.Module
        The copy that is called shares its weights.
    name : str
        Name of the part.
    takes_input : bool
        Whether the output is the input of the part.
    """

    def __init__(
        self, network: nn.Module, name: str, takes_input: bool = False
    ) -> None:
        super().__init__()
        self.network = copy_sharing_weights(network)
        self.name = name
        self.takes_input = takes_input

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the part for a batch."""
        seen: list[Tensor] = []

        def see(_part: nn.Module, inputs: Any, output: Any) -> None:
            value = inputs[0] if self.takes_input else output
            seen.append(value[0] if isinstance(value, tuple) else value)

        part = self.network.get_submodule(self.name)
        handle = part.register_forward_hook(see)
        try:
            self.network(x)
        finally:
            handle.remove()
        if not seen:
            raise ValueError(f"layer={self.name!r} takes no part in the forward pass.")
        return seen[-1]
