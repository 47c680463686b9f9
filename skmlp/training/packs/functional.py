"""Packs of a user's module, which `torch.func` computes for all members at once.

`torch.func.functional_call` calls a module with the parameters of a member, and
`torch.func.vmap` does so for all members in one call. Autograd computes the gradients.
`find_module_obstacle` tries a module before training, because `vmap` cannot compute all
of them.
"""

import copy
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from skmlp.training.compute.global_generators import global_draws_from
from skmlp.training.compute.interrupts import delayed_interrupt
from skmlp.training.losses import Loss
from skmlp.training.modules.introspection import copy_sharing_weights
from skmlp.training.net import Net
from skmlp.training.run import TrainingRun

# Number of samples with which a module is tried.
_TRIED_SAMPLES = 8

# The result of each trial in this process.
_obstacles: dict[Hashable, str | None] = {}


class FunctionalStep:
    """Computes loss and gradients of one batch of every member.

    Parameters
    ----------
    net : Net
        The first member. The modules of all members differ in their parameters and
        buffers only.
    loss : Loss
        Joined loss of all members.
    values, gradients : sequence of Tensor of shape (members, ...)
        Parameters of the pack and their gradients, in the order of ``net.flat_``.
    buffers : sequence of Tensor of shape (members, ...)
        In the order of the module's buffers. Training does not change them.
    """

    def __init__(
        self,
        net: Net,
        loss: Loss,
        values: Sequence[Tensor],
        gradients: Sequence[Tensor],
        buffers: Sequence[Tensor],
    ) -> None:
        self.loss = loss
        # A copy, because `functional_call` changes the module within a call.
        self.network = copy_sharing_weights(net.module_)
        names = {id(p): name for name, p in net.module_.named_parameters()}
        parameters = net.flat_.parameters
        self._names = [names[id(p)] for p in parameters]
        in_module_shape = net.flat_.members_in_module_shape
        self._values = list(map(in_module_shape, values, parameters))
        self._gradients = list(map(in_module_shape, gradients, parameters))
        buffer_names = [name for name, _ in net.module_.named_buffers()]
        self._buffers = dict(zip(buffer_names, buffers, strict=True))

    def __call__(
        self, x: Tensor, y: Tensor, weight: Tensor, total_weight: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Write the gradients; return logits and loss terms, as a `HandwrittenStep`."""
        self.network.train()
        with torch.enable_grad():
            leaves = [value.detach().requires_grad_() for value in self._values]
            logits = self._forward(leaves, x)
        detached = logits.detach()
        loss_terms, grad = self.loss.loss_terms_and_gradient(detached, y, weight)
        computed = torch.autograd.grad(logits, leaves, grad, allow_unused=True)
        for gradient, result in zip(self._gradients, computed, strict=True):
            if result is None:  # the module does not use this parameter
                gradient.zero_()
            else:
                gradient.copy_(result)
        return detached, loss_terms

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits ``(members, batch, outputs)`` in evaluation mode."""
        self.network.eval()
        return self._forward(self._values, x)

    def _forward(self, values: Sequence[Tensor], x: Tensor) -> Tensor:
        """Return the logits of all members for ``(groups, batch, features)``."""
        parameters = dict(zip(self._names, values, strict=True))
        if len(x) == 1:
            return call_members(self.network, parameters, self._buffers, x[0], None)
        x = x.repeat_interleave(len(values[0]) // len(x), 0)
        return call_members(self.network, parameters, self._buffers, x, 0)


# Ctrl-C waits, because an interrupt within `vmap` can leave its level open.
@delayed_interrupt()
def call_members(
    network: nn.Module,
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    x: Tensor,
    x_dim: int | None,
) -> Tensor:
    """Call a module with the parameters of each member.

    Parameters and buffers have a leading dimension of members. `x_dim` is 0 if `x` has
    one too, and None if all members have the same samples.
    """

    def call_one(
        own: dict[str, Tensor], own_buffers: dict[str, Tensor], x: Tensor
    ) -> Any:
        return functional_call(network, (own, own_buffers), (x,))

    return vmap(call_one, in_dims=(0, 0, x_dim))(dict(parameters), dict(buffers), x)


def find_module_obstacle(run: TrainingRun, network_key: Hashable | None) -> str | None:
    """Return why a user's module cannot be trained in a pack; None if it can.

    The module is tried with a few samples, once for each key in a process.

    Parameters
    ----------
    run : TrainingRun
        Not trained yet.
    network_key : hashable or None
        Equal for runs whose modules differ in parameters and buffers only. None means
        that the module and its arguments cannot be compared.
    """
    if network_key is None:
        return "its arguments cannot be compared"
    values = run.flat.values
    shapes = tuple(tuple(p.shape) for p in run.flat.parameters)
    key = network_key, shapes, values.dtype, values.device
    if key not in _obstacles:
        data = run.train_loader.data
        index = torch.from_numpy(data.index[:_TRIED_SAMPLES])
        x, _ = data.gather(index)
        with torch.no_grad():
            _obstacles[key] = _try_module(run.net.module_, x.to(values.dtype))
    return _obstacles[key]


def _try_module(network: nn.Module, x: Tensor) -> str | None:
    """Return the first property of a module that prevents a pack, or None."""
    trial = copy.deepcopy(network).train()
    generator = torch.Generator(x.device)
    state = generator.get_state()
    with global_draws_from(generator):
        logits = trial(x)
    if not torch.equal(state, generator.get_state()):
        return "it draws random numbers in training"
    pairs = zip(network.buffers(), trial.buffers(), strict=True)
    if not all(torch.equal(before, after) for before, after in pairs):
        return "its buffers change in training"
    # The padding of a shorter batch must not change the logits of its samples.
    other = x.clone()
    other[-1] = 0.5 * other[0] + 1.0
    if not torch.equal(logits[:-1], trial(other)[:-1]):
        return "its logits of one sample depend on other samples"
    return _try_vmap(trial, x)


def _try_vmap(network: nn.Module, x: Tensor) -> str | None:
    """Return why `vmap` does not compute two members as two calls do, or None."""
    own = {name: p.detach() for name, p in network.named_parameters()}
    members = [own, {name: 0.9 * p for name, p in own.items()}]
    stacked = {name: torch.stack([m[name] for m in members]) for name in own}
    buffers = {n: torch.stack([b, b]) for n, b in network.named_buffers()}
    leaves = {name: p.requires_grad_() for name, p in stacked.items()}
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            # torch warns if it computes the members of an operation one by one.
            warnings.simplefilter("error")
            logits = call_members(network, leaves, buffers, x, None)
            torch.autograd.grad(logits.sum(), list(leaves.values()), allow_unused=True)
    except Exception as error:  # noqa: BLE001  # the code is the user's
        text = str(error).strip().split("\n")[0][:200]
        return f"torch.func.vmap cannot compute it, {type(error).__name__}: {text}"
    expected = torch.stack([functional_call(network, m, (x,)) for m in members])
    tolerance = 1e3 * torch.finfo(logits.dtype).eps
    if not torch.allclose(logits, expected, rtol=tolerance, atol=tolerance):
        return "torch.func.vmap computes other logits than single calls"
    return None
