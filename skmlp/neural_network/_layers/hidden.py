"""The first modules of a network, up to the activations of a hidden layer."""

from torch import nn

from skmlp.neural_network._layers.names import is_layer_number, layer_name
from skmlp.training.modules.introspection import modules_of_layer


def network_up_to(network: nn.Sequential, layer: int | str | None) -> nn.Sequential:
    """Return the modules from the input up to a layer as a network.

    Parameters
    ----------
    network : nn.Sequential
        Maps samples to logits.
    layer : int, str or None
        - int: number of a layer as in ``coefs_``. Its activation is included.
        - str: name of a module.
        - None: all modules before the output layer.

    Returns
    -------
    first_modules : nn.Sequential
        In evaluation mode. It shares its modules with `network`.

    Raises
    ------
    TypeError
        If `layer` has another type.
    ValueError
        If there is no such layer.
    """
    names = [name for name, _ in network.named_children()]
    if layer is None:
        if names == ["output"]:
            raise ValueError(
                "This network has no hidden layer; give it hidden_layer_sizes."
            )
        return _first_modules(network, len(names) - 1)
    if not isinstance(layer, str) and not is_layer_number(layer):
        raise TypeError(
            f"layer={layer!r} has to be the number of a layer, the name of a module or "
            "None."
        )
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
