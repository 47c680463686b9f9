"""How long a step takes in a pack and alone, measured on the networks at hand."""

import math
import time
from collections.abc import Callable, Sequence

import torch

from skmlp.training.compute.cuda_graphs import CALLS_BEFORE_RECORDING
from skmlp.training.compute.devices import repeatable_convolutions
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.compute.threads import single_threaded
from skmlp.training.packs.batches import PackData
from skmlp.training.packs.optimizer import PackOptimizer
from skmlp.training.packs.pack import PackMember
from skmlp.training.packs.parameters import PackParameters

# The first steps, which pay for the memory and for recordings, are not among them.
_STEPS = 3
_FIRST_STEPS = {"cuda": CALLS_BEFORE_RECORDING + 1}


def time_single_step(member: PackMember) -> float:
    """Return the seconds of one step of a member that has not been trained yet.

    The member is as it was afterwards.
    """
    net, rows = member.net, member.train.data
    weights = [net.flat_.values, *net.module_.buffers()]
    before, states = [w.clone() for w in weights], _dropout_states([member])
    index = torch.from_numpy(rows.index[: member.train.batch_size])
    net.prepare_step()
    net.record_steps()

    def step() -> None:
        x, y, weight = rows.gather(index)
        if weight is not None:
            weight = weight / weight.sum()
        net._train_batch((x, y, weight, float(len(index))), False)

    net.module_.train()
    seconds = math.inf
    tuner = make_thread_tuner(net.flat_.values)
    with torch.no_grad(), repeatable_convolutions(), net.untracked(member.train):
        seconds = _fastest(step, tuner, net.flat_.values.device)
    for now, then in zip(weights, before, strict=True):
        now.copy_(then)
    net.optimizer_.state.clear()
    net.recorder_ = None
    _restore(states)
    return seconds


def time_pack_step(members: Sequence[PackMember], n_packs: int = 1) -> float:
    """Return the seconds of one step of a pack; the members are as they were.

    Of `n_packs`, each in a thread of its own, none has a team.
    """
    batch = members[0].train.batch_size
    counts = [batch] * len(members)
    states = _dropout_states(members)
    stack = PackParameters([member.net for member in members], counts)
    optimizer = PackOptimizer(stack)
    optimizer.choose([True] * len(members))
    template = stack.alpha
    data = PackData([member.train.data for member in members])
    orders = [_first(member.train.data.index, batch) for member in members]
    index = data.offset(torch.stack(orders))
    weights = template.new_full((len(members), batch), 1.0 / batch)
    totals = template.new_full((len(members),), float(batch))

    def step() -> None:
        x, y = data.gather(*index)
        stack.differentiate(x.to(template.dtype), y, weights, totals)
        optimizer.update()

    with torch.inference_mode(), single_threaded():
        tuner = (
            make_thread_tuner(stack.values.vector) if n_packs == 1 else ThreadTuner(1)
        )
        seconds = _fastest(step, tuner, template.device)
    _restore(states)
    return seconds


def _first(index: object, n: int) -> torch.Tensor:
    """Return `n` row numbers, repeated where there are fewer."""
    rows = torch.as_tensor(index)
    return rows.repeat(-(-n // len(rows)))[:n]


def _fastest(
    step: Callable[[], None], tuner: ThreadTuner, device: torch.device
) -> float:
    """Return the seconds of the fastest of some steps, on any of a team's sizes."""
    fastest, first = math.inf, _FIRST_STEPS.get(device.type, 1)
    with tuner:
        for size in tuner.sizes:
            tuner.take(size)
            for i in range(first + _STEPS):
                start = time.perf_counter()
                step()
                if device.type == "cuda":
                    torch.cuda.current_stream(device).synchronize()
                if i >= first:
                    fastest = min(fastest, time.perf_counter() - start)
    return fastest


_States = list[tuple[torch.Generator, torch.Tensor]]


def _dropout_states(members: Sequence[PackMember]) -> _States:
    """Return the generators that steps draw from, and where they are."""
    generators = [
        layer.generator
        for member in members
        for layer in member.net.module_.modules()
        if getattr(layer, "generator", None) is not None
    ]
    return [(generator, generator.get_state()) for generator in generators]


def _restore(states: _States) -> None:
    for generator, state in states:
        generator.set_state(state)
