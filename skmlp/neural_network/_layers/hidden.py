"""The first modules of a network, up to the activations of a hidden layer."""

from torch import nn

from skmlp.neural_network._layers.names import is_layer_number, layer_name
from skmlp.training.modules.introspection import modules_of_layer


def network_up_to(network: nn.Sequential, layer: int | str | None) -> nn.Sequential:
    """Return the first modules of a network; their output is the output of a layer.

    Parameters
    ----------
    network : nn.Sequential
        From samples to logits.
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
    name = layer_name(network, layer, names[_first_with_weights(network) :])
    if isinstance(layer, str):
        return _first_modules(network, names.index(name) + 1)
    block, inside, _ = name.partition(".")
    if inside:
        raise ValueError(
            f"layer={layer} is inside of {block}; ask for its output with "
            f"layer='{block}_activation'."
        )
    return _up_to_activation(network, name)


def _first_modules(network: nn.Sequential, n_modules: int) -> nn.Sequential:
    """Return the first modules as a network."""
    return nn.Sequential(*list(network)[:n_modules]).eval()


def _first_with_weights(network: nn.Sequential) -> int:
    """Return the index of the first module with weights, behind views of the input."""
    return next(
        i
        for i, module in enumerate(network)
        if next(module.parameters(), None) is not None
    )


def _up_to_activation(network: nn.Sequential, name: str) -> nn.Sequential:
    """Return the modules up to a layer's activation, without pooling before it.

    Pooling by maximum comes before an activation that does not decrease. Both orders
    give the same values, so the activation can be applied to the maps before pooling.
    """
    names = [child for child, _ in network.named_children()]
    modules = list(network)[: names.index(name) + 1]
    by_suffix = modules_of_layer(network, name)
    modules += [by_suffix[s] for s in ("norm", "activation") if s in by_suffix]
    return nn.Sequential(*modules).eval()
