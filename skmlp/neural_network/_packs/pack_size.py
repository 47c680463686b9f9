"""The cost model of packs: how many networks train together, by memory and by time."""

import os
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from skmlp.training.compute.threads import threads_for_work
from skmlp.training.modules.introspection import (
    has_convolutions,
    max_values_per_sample,
    multiply_adds,
    weight_layers,
)
from skmlp.training.packs.convolution import widest_patches
from skmlp.training.packs.step_timing import time_pack_step, time_single_step
from skmlp.training.run import TrainingRun


class _StepLimits(NamedTuple):
    """Numbers of multiplications in a step of one network that decide without timing.

    In a small network, the function calls around the arithmetic cost more than the
    arithmetic, and a pack shares the calls. In a large network a pack gains nothing,
    and timing it would take long.

    Attributes
    ----------
    surely : int
        Up to here a pack is faster.
    likely : int
        Up to here a pack is assumed to be faster if nothing may be timed.
    never : int
        From here on a pack is not faster.
    """

    surely: int
    likely: int
    never: int


class _Costs(NamedTuple):
    """The numbers that decide on one kind of device.

    Convolutions have limits of their own: alone they are differentiated by autograd,
    whose function calls cost more.
    """

    dense: _StepLimits
    convolutional: _StepLimits
    calls_of_pack_step: int  # multiplications that take as long as a pack step's calls


_ON_CPU = _Costs(
    _StepLimits(150_000, 400_000, 8_000_000),
    _StepLimits(1_000_000, 4_000_000, 10_000_000),
    1_000_000,
)
# One network leaves most of a GPU idle. These limits were measured on an H100.
_ON_GPU = _Costs(
    _StepLimits(100_000_000, 1_000_000_000, 10_000_000_000),
    _StepLimits(10_000_000, 100_000_000, 500_000_000),
    500_000_000,
)

# A pack has to be faster than single networks by this factor.
_MARGIN = 1.1

# Smaller pack sizes that are timed too: their parameters may stay in a cache.
_SMALLER_SIZES = (8, 32)

# Multiplications in a step of a pack from which a thread of its own pays: in shorter
# operations Python's threads wait for each other.
_WORTH_A_THREAD = 10_000_000

# Bytes that one pack may take on a CPU. A larger pack is no faster, because it does not
# fit into the caches.
_LARGEST_ON_CPU = 2**27

# Fraction of the free memory that one pack, or all waiting networks, may take.
_SHARE_OF_MEMORY = 0.2

# Bytes of a pack of convolutions for each thread. Their patches need the caches.
_CONVOLUTIONS_ON_CPU = 2**25

# Assumed free memory, if the system does not tell.
_FREE_IF_UNKNOWN = 2**31

# Measured pack sizes, as long as the process lives.
_measured: dict[Hashable, int] = {}


def choose_pack_size(
    key: Hashable, runs: Sequence[TrainingRun], may_measure: bool = True
) -> int:
    """Return how many of these runs to train together; 1 means one by one.

    If the number of multiplications does not decide, a few steps are timed, once in a
    process for networks of one shape. So the members of a pack, and with them the
    rounding of sums, may differ from one process to the next.

    Parameters
    ----------
    key : hashable
        The `pack_key` of all runs.
    runs : sequence of TrainingRun
        Not trained yet.
    may_measure : bool
        Whether steps may be timed. Without, the result is always the same.
    """
    work, n = step_cost(runs[-1]), len(runs)
    costs, convolutional = _costs_on(runs[0].device), _has_convolutions(runs[0])
    limits = costs.convolutional if convolutional else costs.dense
    if work <= limits.surely or n == 1:
        return n
    if work >= limits.never:
        return 1
    if not may_measure:
        return n if work <= limits.likely else 1
    # One measurement serves up to twice as many runs.
    place = (key, work, n.bit_length(), torch.get_num_threads())
    if place not in _measured:
        _measured[place] = _measure(runs)
    return min(n, _measured[place])


def group_by_width(runs: Sequence[TrainingRun]) -> list[list[int]]:
    """Return groups of positions of runs, of one `pack_key`, that may share a pack.

    Small networks of different widths may share a pack, if computing with the zeros
    that fill the narrower ones takes less time than another pack.
    """
    positions_by_widths: dict[tuple[int, ...], list[int]] = {}
    for i, run in enumerate(runs):
        positions_by_widths.setdefault(_widths(run), []).append(i)
    batch_size = runs[0].train_loader.batch_size
    costs = _costs_on(runs[0].device)

    def work(widths: tuple[int, ...]) -> int:
        return batch_size * sum(a * b for a, b in pairwise(widths))

    def small(widths: tuple[int, ...]) -> bool:
        return not _has_convolutions(runs[0]) and work(widths) <= costs.dense.surely

    groups: list[tuple[tuple[int, ...], list[int]]] = []
    by_work = sorted(positions_by_widths.items(), key=lambda item: work(item[0]))
    for widths, positions in by_work:
        if groups:
            narrower, others = groups[-1]
            both = tuple(map(max, narrower, widths))
            filled = len(others) * (work(both) - work(narrower))
            filled += len(positions) * (work(both) - work(widths))
            if small(both) and filled < costs.calls_of_pack_step:
                groups[-1] = both, others + positions
                continue
        groups.append((widths, positions))
    return [positions for _, positions in groups]


def _has_convolutions(run: TrainingRun) -> bool:
    """Return whether the network of a run has convolutions."""
    return has_convolutions(run.net.module_)


def _widths(run: TrainingRun) -> tuple[int, ...]:
    """Return the numbers of features, of units of each layer, and of outputs."""
    weights = [layer.weight for layer in weight_layers(run.net.module_)]
    return (weights[0].shape[1], *(len(weight) for weight in weights))


def _measure(runs: Sequence[TrainingRun]) -> int:
    """Time packs of several sizes and a single network; return the fastest size."""
    with threads_for_work(step_cost(runs[0])):
        best, fastest = 1, time_single_step(runs[0]) / _MARGIN
    for n in sorted({len(runs), *(n for n in _SMALLER_SIZES if n < len(runs))}):
        n_threads = pack_thread_count(runs[0], n)
        runs_per_thread = -(-n // n_threads)
        seconds = time_pack_step(runs[:runs_per_thread], n_threads)
        seconds = seconds / runs_per_thread / n_threads
        if seconds < fastest:
            best, fastest = n, seconds
    # If all runs together are fastest, then so are some more.
    return best if best < len(runs) else 2 * best


def _costs_on(device: torch.device) -> _Costs:
    """Return the costs on a kind of device."""
    return _ON_GPU if device.type == "cuda" else _ON_CPU


def step_cost(run: TrainingRun) -> int:
    """Return the multiplications in one step of a network."""
    n_features = run.train_loader.data.X.shape[1]
    return multiply_adds(run.net.module_, n_features) * run.train_loader.batch_size


def pack_thread_count(run: TrainingRun, n: int) -> int:
    """Return how many threads to use for a pack of `n` such networks."""
    if run.device.type != "cpu":
        return 1
    most = step_cost(run) * n // _WORTH_A_THREAD
    return max(1, min(torch.get_num_threads(), most))


def max_pack_size(run: TrainingRun) -> int:
    """Return how many networks like this one fit into memory."""
    network, data, batch_size = (
        run.net.module_,
        run.train_loader.data,
        run.train_loader.batch_size,
    )
    n_features = data.X.shape[1]
    widest = max(
        max_values_per_sample(network, n_features), widest_patches(network, n_features)
    )
    # Parameters, gradients, two moments, moves, best weights.
    n_values = 7 * len(run.flat.values)
    # A batch with its activations and their gradients.
    n_values += 4 * batch_size * widest
    # Order and weights of the samples in an epoch, and parts of their losses.
    n_values += 8 * len(data)
    room = memory_budget(run.device)
    if run.device.type == "cpu" and _has_convolutions(run):
        room = min(room, _CONVOLUTIONS_ON_CPU * torch.get_num_threads())
    return max(1, int(room / (8 * n_values)))


def memory_budget(device: torch.device) -> float:
    """Return the bytes that one pack, or all waiting networks, may take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return _SHARE_OF_MEMORY * (free + held)
    return min(_LARGEST_ON_CPU, _SHARE_OF_MEMORY * _free_memory())


def _free_memory() -> int:
    """Return the bytes that are free without swapping, or a guess."""
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
