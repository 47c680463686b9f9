"""Layers of a network with their names, shapes, costs and numbers of parameters.

Training, packs, the estimators and `skmlp.inspection` look at networks through these
functions, so that all of them count and name layers alike.
"""

import copy
import math
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from skmlp.training.modules.activations import MODULES as ACTIVATIONS
from skmlp.training.modules.embeddings import FeatureEmbedding

WeightLayer = nn.Linear | nn.Conv1d | nn.Conv2d

# Suffixes of the modules that belong to a layer: ``conv1_norm`` belongs to ``conv1``.
SUFFIXES = ("pad", "norm", "activation", "pool", "dropout")

# Names of the modules that change the shape of a sample, but not its values.
RESHAPING_MODULES = ("image", "flatten")

# Classes of torch that compute every sample separately and draw no random numbers.
_KNOWN_CLASSES = frozenset(
    {
        *ACTIVATIONS.values(),
        nn.AvgPool1d,
        nn.AvgPool2d,
        nn.ConstantPad1d,
        nn.Conv1d,
        nn.Conv2d,
        nn.Linear,
        nn.MaxPool1d,
        nn.MaxPool2d,
        nn.Sequential,
        nn.ZeroPad1d,
        nn.ZeroPad2d,
    }
)

# Largest output of the modules of a user's network, which takes a forward pass to find.
_largest_outputs: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


class LayerOutput(NamedTuple):
    """A module that ran, its name in the network, and its output for a batch."""

    name: str
    layer: nn.Module
    output: Tensor


def iterate_modules(network: nn.Module) -> Iterator[nn.Module]:
    """Yield a network and the modules inside it, each once, as ``network.modules()``.

    torch's method puts together their names, too, which takes several times as long.
    """
    seen = set()
    waiting = [network]
    while waiting:
        module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield module
        children = module._modules.values()
        waiting.extend(child for child in reversed(children) if child is not None)


def named_weight_layers(network: nn.Module) -> Iterator[tuple[str, WeightLayer]]:
    """Yield names and layers with weights, in the order of ``coefs_``."""
    for name, layer in network.named_modules():
        if isinstance(layer, WeightLayer):
            yield name, layer


def weight_layers(network: nn.Module) -> Iterator[WeightLayer]:
    """Yield the layers with weights, in the order of ``coefs_``."""
    return (m for m in iterate_modules(network) if isinstance(m, WeightLayer))


def named_weights(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return names and values of the weights: parameters of at least two dimensions.

    They are penalized by `alpha`. The biases and the parameters of normalizations have
    one dimension. The parameters of a `FeatureEmbedding` are no weights.
    """
    embedded = {
        id(parameter)
        for module in network.children()
        if isinstance(module, FeatureEmbedding)
        for parameter in module.parameters()
    }
    return [
        (name, p)
        for name, p in network.named_parameters()
        if p.dim() > 1 and id(p) not in embedded
    ]


def reference_parameter(network: nn.Module) -> nn.Parameter:
    """Return the first parameter of floats. All of them have its dtype and device."""
    # `parameters` takes twice as long, which a prediction of one sample would notice.
    for module in iterate_modules(network):
        for parameter in module._parameters.values():
            if parameter is not None and parameter.is_floating_point():
                return parameter
    raise ValueError("the network has no parameters")


def modules_in_sequence(network: nn.Module) -> list[nn.Module] | None:
    """Return the modules that a network calls one after the other.

    The result is None for a network with its own forward pass, and for one whose input
    or output a hook may change.
    """
    if type(network) is not nn.Sequential or _is_modified(network):
        return None
    return list(network)


def is_own_class(cls: type) -> bool:
    """Return whether a class of modules is skmlp's."""
    return cls.__module__.startswith(__package__)


def known_modules(network: nn.Module) -> list[nn.Module] | None:
    """Return the modules in sequence, if the engine knows what each of them computes.

    Known modules compute every sample separately, except for `BatchNorm`, and draw
    random numbers from their own generator only. So a batch of them may be divided, and
    a pack or a handwritten step may take their place. The result is None for all other
    networks. They are called as a whole, with whole batches.
    """
    modules = modules_in_sequence(network)
    if modules is None:
        return None
    are_known = all(map(is_known, iterate_modules(network)))
    parameters = [id(p) for m in modules for p in m.parameters()]
    share_nothing = len(set(map(id, modules))) == len(modules)
    share_nothing = share_nothing and len(set(parameters)) == len(parameters)
    return modules if are_known and share_nothing else None


def is_known(module: nn.Module) -> bool:
    """Return whether the engine knows what a module computes, its children aside."""
    known_class = type(module) in _KNOWN_CLASSES or is_own_class(type(module))
    return known_class and not _is_modified(module)


def _is_modified(module: nn.Module) -> bool:
    """Return whether a module does more than its class says: hooks, another forward."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )


def plain_attributes(network: nn.Module) -> Hashable:
    """Return the classes of all modules, and their attributes that are no tensors.

    They are all settings of `known_modules`.
    """
    return tuple(
        (
            type(module),
            *(
                (name, value)
                for name, value in vars(module).items()
                if isinstance(value, (bool, int, float, str, tuple))
            ),
        )
        for module in iterate_modules(network)
    )


def copy_sharing_weights(network: nn.Module) -> nn.Module:
    """Return a copy of the modules of a network, with the same parameters and buffers.

    Another thread can use it, even if the modules store values between their calls.
    """
    shared = {id(t): t for t in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, shared)


def modules_of_layer(network: nn.Module, layer: str) -> dict[str, nn.Module]:
    """Return the modules that belong to a layer, by the suffixes of their names."""
    modules = dict(network.named_modules())
    names = {suffix: f"{layer}_{suffix}" for suffix in SUFFIXES}
    return {suffix: modules[name] for suffix, name in names.items() if name in modules}


def layer_of_module(name: str) -> str:
    """Return the name of the layer that a module belongs to.

    Examples
    --------
    >>> [layer_of_module(name) for name in ("conv1", "conv1_pool", "flatten")]
    ['conv1', 'conv1', 'flatten']
    """
    layer, _, suffix = name.rpartition("_")
    return layer if suffix in SUFFIXES else name


def has_convolutions(network: nn.Module) -> bool:
    """Return whether a network has any convolution."""
    return any(isinstance(layer, nn.Conv1d | nn.Conv2d) for layer in network.modules())


def count_parameters(module: nn.Module, *, trainable: bool = False) -> int:
    """Return the number of parameters, or of the trainable ones only."""
    return sum(
        parameter.numel()
        for parameter in module.parameters()
        if parameter.requires_grad or not trainable
    )


def module_outputs(network: nn.Module, x: Tensor) -> list[LayerOutput]:
    """Return the output of every module for a batch, in the order of forward calls.

    The network runs in evaluation mode and with hooks. A network that predicts in
    another thread at the same time has to be copied first.
    """
    outputs: dict[str, LayerOutput] = {}
    handles = []

    def watch(name: str, layer: nn.Module) -> None:
        def begin(*_: Any) -> None:
            # A placeholder, so that a module comes before the modules inside it.
            outputs[name] = LayerOutput(name, layer, x)

        def end(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, tuple):  # a recurrent layer returns its state too
                output = output[0]
            if isinstance(output, Tensor):
                outputs[name] = LayerOutput(name, layer, output)
            else:
                del outputs[name]

        handles.append(layer.register_forward_pre_hook(begin))
        handles.append(layer.register_forward_hook(end))

    for name, layer in network.named_modules():
        if type(layer) is not nn.Sequential:  # a Sequential only holds other modules
            watch(name, layer)
    try:
        with evaluation_mode(network), torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return list(outputs.values())


def channels_last(output: Tensor, network: nn.Module) -> Tensor:
    """View the output of a module of this network with its channels last.

    Images have four dimensions. Three dimensions are signals if the network has
    convolutions of signals.
    """
    has_signals = any(isinstance(layer, nn.Conv1d) for layer in network.modules())
    has_channels = output.dim() == 4 or (output.dim() == 3 and has_signals)
    return output.movedim(1, -1) if has_channels else output


def output_shapes(network: nn.Module, n_features: int) -> dict[nn.Module, torch.Size]:
    """Return the shape of every module's output for a batch of one sample."""
    outputs = module_outputs(network, _one_sample(network, n_features))
    return {layer: output.shape for _, layer, output in outputs}


def max_values_per_sample(network: nn.Module, n_features: int) -> int:
    """Return the maximum number of values of one sample, over input and all layers."""
    modules = modules_in_sequence(network)
    if modules is None:
        if network not in _largest_outputs:
            # Hooks would disturb other threads that predict with the network.
            copied = copy_sharing_weights(network)
            outputs = module_outputs(copied, _one_sample(copied, n_features))
            sizes = [result.output.numel() for result in outputs]
            _largest_outputs[network] = max([n_features, *sizes])
        return _largest_outputs[network]
    if not has_convolutions(network):
        sizes = [len(layer.weight) for layer in weight_layers(network)]
        embeddings = [m for m in modules if isinstance(m, FeatureEmbedding)]
        sizes += [module.max_values_per_sample() for module in embeddings]
        return max([n_features, *sizes])
    x = _one_sample(network, n_features)
    widest = n_features
    # No hooks: other threads may predict with the network at the same time.
    with evaluation_mode(network), torch.no_grad():
        for layer in modules:
            x = layer(x)
            widest = max(widest, x.numel())
    return widest


def multiply_adds(network: nn.Module, n_features: int) -> int:
    """Return the number of multiply-adds of one forward pass for one sample."""
    if modules_in_sequence(network) is not None and not has_convolutions(network):
        return sum(layer.weight.numel() for layer in weight_layers(network))
    shapes = output_shapes(network, n_features)
    return sum(layer_multiply_adds(layer, shape) for layer, shape in shapes.items())


def layer_multiply_adds(layer: nn.Module, output_shape: torch.Size) -> int:
    """Return the number of multiply-adds in one layer, for a batch of one sample."""
    if not isinstance(layer, WeightLayer):
        return 0
    # Each value of the output is a sum over the weights of one output unit.
    return math.prod(output_shape) * layer.weight[0].numel()


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Switch every module to evaluation mode, where dropout draws nothing."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def _one_sample(network: nn.Module, n_features: int) -> Tensor:
    """Return a batch of one sample of zeros, in dtype and on device of the network."""
    first = reference_parameter(network)
    return torch.zeros(1, n_features, dtype=first.dtype, device=first.device)
