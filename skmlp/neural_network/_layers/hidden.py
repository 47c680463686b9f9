"""Which part of a network gives the activations of a hidden layer."""

from numbers import Integral

from torch import nn

from skmlp.training.modules.introspection import weight_layers


def network_up_to(network: nn.Sequential, layer: int | str | None) -> nn.Sequential:
    """Return the part of the network whose output is that of a layer.

    Parameters
    ----------
    network : nn.Sequential
        From rows to logits.
    layer : int, str or None
        Number of a layer as in ``coefs_``, with its activation; or the name of a
        module; or None for all but the output layer.

    Returns
    -------
    part : nn.Sequential
        In evaluation mode; it shares its modules with `network`.

    Raises
    ------
    TypeError, ValueError
        If there is no such layer.
    """
    if layer is None:
        if isinstance(network[0], nn.Linear) and len(network) == 1:
            raise ValueError(
                "This network has no hidden layer; give it hidden_layer_sizes."
            )
        return _first(network, len(network) - 1)
    if isinstance(layer, str):
        return _up_to_name(network, layer)
    if isinstance(layer, Integral) and not isinstance(layer, bool):
        return _up_to_number(network, int(layer))
    raise TypeError(
        f"layer={layer!r} has to be the number of a layer, the name of a module or "
        "None."
    )


def _first(network: nn.Sequential, n_modules: int) -> nn.Sequential:
    """Sequence of the first modules."""
    return nn.Sequential(*list(network)[:n_modules]).eval()


def _up_to_name(network: nn.Sequential, name: str) -> nn.Sequential:
    """End with the module of that name."""
    names = [own for own, _ in network.named_children()]
    known = names[_first_with_weights(network) :]
    if name not in known:
        raise ValueError(
            f"layer={name!r} is no module of this network, which has "
            f"{', '.join(known)}."
        )
    return _first(network, names.index(name) + 1)


def _first_with_weights(network: nn.Sequential) -> int:
    """Place of the first module that has weights; before it are views of the rows."""
    return next(
        i
        for i, module in enumerate(network)
        if next(module.parameters(), None) is not None
    )


def _up_to_number(network: nn.Sequential, number: int) -> nn.Sequential:
    """End with the layer's activation, and leave out a pooling before it."""
    layers = list(weight_layers(network))
    if not -len(layers) <= number < len(layers):
        raise ValueError(
            f"layer={number}, but there are {len(layers)} layers, counted from 0 as in "
            "coefs_."
        )
    wanted = layers[number]
    name = next(own for own, module in network.named_modules() if module is wanted)
    block, inside, _ = name.partition(".")
    if inside:
        raise ValueError(
            f"layer={number} is inside of {block}; ask for its output with "
            f"layer='{block}_activation'."
        )
    children = dict(network.named_children())
    names = list(children)
    part = list(_first(network, names.index(name) + 1))
    # Of maxima before an activation this gives the activations before the maxima: the
    # same numbers in the other order.
    part += [
        children[own]
        for own in (f"{name}_norm", f"{name}_activation")
        if own in children
    ]
    return nn.Sequential(*part).eval()
