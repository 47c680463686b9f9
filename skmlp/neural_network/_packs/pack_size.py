"""The cost model: how many networks to train together, by memory and by measurement."""

import os
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from skmlp.neural_network._base.network import Plan
from skmlp.training.compute.threads import threads_for_work
from skmlp.training.modules.introspection import (
    has_convolutions,
    multiply_adds,
    weight_layers,
    widest_layer_size,
)
from skmlp.training.packs.convolution import widest_patches
from skmlp.training.packs.pack import PackMember
from skmlp.training.packs.step_timing import time_pack_step, time_single_step


class _Limits(NamedTuple):
    """Multiplications in a step of one network that decide without a measurement.

    With few, the calls around the arithmetic cost so much more that a pack is surely
    or, where nothing may be measured, likely faster; with many, there is nothing to be
    gained, and a trial would take long.
    """

    surely: int
    likely: int
    never: int


class _Costs(NamedTuple):
    """What decides on one kind of device.

    The calls around convolutions, which alone autograd differentiates, cost more.
    """

    dense: _Limits
    convolutional: _Limits
    worth_a_pack: int  # multiplications as long as the calls of one step of a pack


_ON_CPU = _Costs(
    _Limits(150_000, 400_000, 8_000_000),
    _Limits(1_000_000, 4_000_000, 10_000_000),
    1_000_000,
)
# One network leaves most of a GPU idle; its limits were measured on an H100.
_ON_GPU = _Costs(
    _Limits(100_000_000, 1_000_000_000, 10_000_000_000),
    _Limits(10_000_000, 100_000_000, 500_000_000),
    500_000_000,
)

# What one by one must take longer for a pack to be worth it.
_MARGIN = 1.1

# Members of smaller packs that are tried beside all that there are: their parameters
# may stay in a cache.
_SMALLER = (8, 32)

# Multiplications in a step of a pack from which a thread of its own gains by it: in
# shorter operations Python's threads wait for one another.
_WORTH_A_THREAD = 10_000_000

# Bytes that one pack may take, and the share of free memory that all may that wait.
# A larger pack is no faster on a CPU, whose caches it has left long before.
_LARGEST_ON_CPU = 2**27
_SHARE_OF_MEMORY = 0.2

# Bytes for each thread, of patches above all, that leave convolutions some caches.
_CONVOLUTIONS_ON_CPU = 2**25

# Where the system does not say how much memory is free.
_FREE_IF_UNKNOWN = 2**31

# Sizes by what was measured, for the life of the process.
_measured: dict[Hashable, int] = {}


def choose_pack_size(
    key: Hashable, plans: Sequence[Plan], measured: bool = True
) -> int:
    """Return how many of these plans, of one `pack_key`, to train together at a time.

    1 is one by one. Where it is not clear from the number of multiplications, a few
    steps are measured, once in a process for networks of one shape; so what is trained
    together, and how its sums are rounded, may differ between runs, unless `measured`
    is False.
    """
    work, n = step_cost(plans[-1]), len(plans)
    costs = _costs_on(plans[0].device)
    limits = (
        costs.convolutional if has_convolutions(plans[0].net.module_) else costs.dense
    )
    if work <= limits.surely or n == 1:
        return n
    if work >= limits.never:
        return 1
    if not measured:
        return n if work <= limits.likely else 1
    # Twice as many are as good as twice as many were.
    place = (key, work, n.bit_length(), torch.get_num_threads())
    if place not in _measured:
        _measured[place] = _measure(plans)
    return min(n, _measured[place])


def group_by_width(plans: Sequence[Plan]) -> list[list[int]]:
    """Return the places of those plans, of one `pack_key`, that may share a pack.

    Small networks of different widths do, from the narrowest up, as long as the zeros
    that fill the narrower ones take less time than a pack of their own.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for i, plan in enumerate(plans):
        places.setdefault(_widths(plan), []).append(i)
    batch_size = plans[0].train.batch_size
    costs = _costs_on(plans[0].device)

    def work(widths: tuple[int, ...]) -> int:
        return batch_size * sum(a * b for a, b in pairwise(widths))

    def small(widths: tuple[int, ...]) -> bool:
        return (
            not has_convolutions(plans[0].net.module_)
            and work(widths) <= costs.dense.surely
        )

    groups: list[tuple[tuple[int, ...], list[int]]] = []
    for widths, found in sorted(places.items(), key=lambda item: work(item[0])):
        if groups:
            narrower, others = groups[-1]
            both = tuple(map(max, narrower, widths))
            filled = len(others) * (work(both) - work(narrower))
            filled += len(found) * (work(both) - work(widths))
            if small(both) and filled < costs.worth_a_pack:
                groups[-1] = both, others + found
                continue
        groups.append((widths, found))
    return [found for _, found in groups]


def _widths(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of features, of units of each layer, and of outputs."""
    weights = [layer.weight for layer in weight_layers(plan.net.module_)]
    return (weights[0].shape[1], *(len(weight) for weight in weights))


def _measure(plans: Sequence[Plan]) -> int:
    """Try packs of several sizes, and a single network; return the fastest size."""
    members = [PackMember(p.net, p.train, p.valid, p.epochs) for p in plans]
    work = step_cost(plans[0])
    with threads_for_work(work):
        best, fastest = 1, time_single_step(members[0]) / _MARGIN
    for n in sorted({len(members), *(n for n in _SMALLER if n < len(members))}):
        n_threads = pack_thread_count(plans[0], n)
        part = -(-n // n_threads)
        seconds = time_pack_step(members[:part], n_threads) / part / n_threads
        if seconds < fastest:
            best, fastest = n, seconds
    # All there are may be more the next time.
    return best if best < len(members) else 2 * best


def _costs_on(device: torch.device) -> _Costs:
    return _ON_GPU if device.type == "cuda" else _ON_CPU


def step_cost(plan: Plan) -> int:
    """Return the multiplications in one step of a network."""
    n_features = plan.train.data.X.shape[1]
    return multiply_adds(plan.net.module_, n_features) * plan.train.batch_size


def pack_thread_count(plan: Plan, n: int) -> int:
    """Return how many threads a pack of `n` such networks deserves."""
    if plan.device.type != "cpu":
        return 1
    most = step_cost(plan) * n // _WORTH_A_THREAD
    return max(1, min(torch.get_num_threads(), most))


def max_pack_size(plan: Plan) -> int:
    """Return how many networks like this one there is memory for."""
    values, rows = plan.net.flat_.values, plan.train.data
    # Parameters, gradients, two moments, moves, best weights; a batch with activations
    # and their gradients; an epoch's order and weights of rows, and its losses' parts.
    network, n_features = plan.net.module_, rows.X.shape[1]
    widest = max(
        widest_layer_size(network, n_features), widest_patches(network, n_features)
    )
    numbers = 7 * len(values) + 4 * plan.train.batch_size * widest + 8 * len(rows)
    room = memory_budget(plan.device)
    if plan.device.type == "cpu" and has_convolutions(plan.net.module_):
        room = min(room, _CONVOLUTIONS_ON_CPU * torch.get_num_threads())
    return max(1, int(room / (8 * numbers)))


def memory_budget(device: torch.device) -> float:
    """Return the bytes that one pack, or all nets that wait, may take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return _SHARE_OF_MEMORY * (free + held)
    return min(_LARGEST_ON_CPU, _SHARE_OF_MEMORY * _free_memory())


def _free_memory() -> int:
    """Return the bytes that a process could have without swapping, or a guess."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return int(amount.split()[0]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return _FREE_IF_UNKNOWN
