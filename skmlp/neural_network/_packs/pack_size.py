"""Choose pack sizes by the memory and the time that a training step needs."""

import math
import os
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.compute.devices import jobs_per_device
from skmlp.training.compute.threads import threads_for_work
from skmlp.training.modules.introspection import (
    has_convolutions,
    known_modules,
    max_values_per_sample,
    multiply_adds,
    weight_layers,
)
from skmlp.training.packs.step_timing import time_pack_step, time_single_step
from skmlp.training.packs.structure import max_patch_values
from skmlp.training.run import TrainingRun


class _StepThresholds(NamedTuple):
    """Thresholds for the number of multiplications in a training step of one network.

    Between `faster_below` and `slower_above`, steps are timed. In a small network, the
    overhead of function calls takes longer than the arithmetic. A pack has this
    overhead once for all members. A pack of large networks is not faster, and timing it
    would take long.

    Attributes
    ----------
    faster_below : int
        Up to this number a pack is faster.
    assumed_faster_below : int
        Up to this number a pack is assumed to be faster if nothing may be timed.
    slower_above : int
        From this number on a pack is not faster.
    """

    faster_below: int
    assumed_faster_below: int
    slower_above: int


class _DeviceThresholds(NamedTuple):
    """Thresholds for one type of device.

    CNNs have other thresholds. A single CNN is trained with autograd, which has more
    overhead than the handwritten gradients of a pack. The modules of users are always
    timed, because the number of multiplications in them is not known.
    """

    dense: _StepThresholds
    convolutional: _StepThresholds
    functional: _StepThresholds
    # Overhead of the function calls in a step of a pack, as the number of
    # multiplications that take the same time.
    pack_step_overhead: int


_CPU_THRESHOLDS = _DeviceThresholds(
    dense=_StepThresholds(
        faster_below=150_000, assumed_faster_below=400_000, slower_above=8_000_000
    ),
    convolutional=_StepThresholds(
        faster_below=1_000_000, assumed_faster_below=4_000_000, slower_above=10_000_000
    ),
    functional=_StepThresholds(
        faster_below=-1, assumed_faster_below=400_000, slower_above=100_000_000
    ),
    pack_step_overhead=1_000_000,
)
# One network leaves most of a GPU idle. These thresholds were measured on an H100.
_GPU_THRESHOLDS = _DeviceThresholds(
    dense=_StepThresholds(
        faster_below=100_000_000,
        assumed_faster_below=1_000_000_000,
        slower_above=10_000_000_000,
    ),
    convolutional=_StepThresholds(
        faster_below=10_000_000,
        assumed_faster_below=100_000_000,
        slower_above=500_000_000,
    ),
    functional=_StepThresholds(
        faster_below=-1,
        assumed_faster_below=100_000_000,
        slower_above=10_000_000_000,
    ),
    pack_step_overhead=500_000_000,
)

# A pack has to be faster than single networks by this factor.
_MARGIN = 1.1

# These pack sizes are timed as well. The parameters of a smaller pack may fit into the
# cache.
_SMALLER_SIZES = (8, 32)

# A pack is divided among threads if each thread has at least this many multiplications
# in a step. With fewer, the threads mostly wait for Python's global interpreter lock.
_MULTIPLICATIONS_PER_THREAD = 10_000_000

# Maximum bytes of a pack on a CPU. A larger pack is not faster, because it does not fit
# into the caches.
_MAX_PACK_BYTES_ON_CPU = 2**27

# Maximum bytes of a CNN pack on a CPU for each thread. The patches have to fit into the
# caches.
_MAX_CNN_PACK_BYTES_PER_THREAD = 2**25

# Maximum fraction of the free memory for one pack, and for all waiting networks.
_MAX_MEMORY_FRACTION = 0.2

# Maximum fraction of the free memory for the packs of all jobs on one CUDA device.
_MAX_MEMORY_FRACTION_OF_JOBS = 0.8

# Assumed free memory if the system does not report it.
_ASSUMED_FREE_BYTES = 2**31

_BYTES_PER_VALUE = 8

# Fastest pack sizes that were measured in this process.
_measured_sizes: dict[Hashable, int] = {}


@in_default_modes
def choose_pack_size(
    key: Hashable, runs: Sequence[TrainingRun], may_measure: bool = True
) -> int:
    """Return how many of these runs to train together.

    1 means that the networks are trained one by one. If the thresholds do not decide, a
    few steps are timed. The result is stored for networks of the same shape until the
    process ends. The pack size, and with it the rounding of sums, may therefore differ
    between processes.

    Parameters
    ----------
    key : hashable
        The `pack_key` of all runs.
    runs : sequence of TrainingRun
        Not trained yet. The last run has the widest layers.
    may_measure : bool
        Whether steps may be timed. If False, the result depends only on the thresholds.
    """
    n_multiplications, n = step_multiplications(runs[-1]), len(runs)
    device_thresholds = _thresholds_of(runs[0].device)
    thresholds = device_thresholds.dense
    if known_modules(runs[0].net.module_) is None:
        thresholds = device_thresholds.functional
    elif _has_convolutions(runs[0]):
        thresholds = device_thresholds.convolutional
    if n_multiplications <= thresholds.faster_below or n == 1:
        return n
    if n_multiplications >= thresholds.slower_above:
        return 1
    if not may_measure:
        return n if n_multiplications <= thresholds.assumed_faster_below else 1
    # Numbers of runs between two powers of 2 share one measurement.
    cache_key = (key, n_multiplications, n.bit_length(), torch.get_num_threads())
    if cache_key not in _measured_sizes:
        _measured_sizes[cache_key] = _measure_fastest_size(runs)
    return min(n, _measured_sizes[cache_key])


def group_by_width(runs: Sequence[TrainingRun]) -> list[list[int]]:
    """Group runs with equal `pack_key` by the widths of their layers.

    Small networks of different widths are padded with zeros and share a pack, if the
    computation with the zeros takes less time than the overhead of another pack.

    Returns
    -------
    groups : list of list of int
        The positions of the runs in each group, from narrow to wide networks.
    """
    positions_by_widths: dict[tuple[int, ...], list[int]] = {}
    widths_by_layout: dict[int, tuple[int, ...]] = {}  # copies have one layout
    for i, run in enumerate(runs):
        layout_id = id(run.flat.layout)
        if layout_id not in widths_by_layout:
            widths_by_layout[layout_id] = _widths(run)
        positions_by_widths.setdefault(widths_by_layout[layout_id], []).append(i)
    batch_size = runs[0].train_loader.batch_size
    thresholds = _thresholds_of(runs[0].device)

    def count(widths: tuple[int, ...]) -> int:
        """Return the number of multiplications in a step."""
        return batch_size * sum(a * b for a, b in pairwise(widths))

    def is_small(widths: tuple[int, ...]) -> bool:
        if _has_convolutions(runs[0]):
            return False
        return count(widths) <= thresholds.dense.faster_below

    groups: list[tuple[tuple[int, ...], list[int]]] = []
    sorted_items = sorted(positions_by_widths.items(), key=lambda item: count(item[0]))
    for widths, positions in sorted_items:
        if groups:
            narrower, narrower_positions = groups[-1]
            joint_widths = tuple(map(max, narrower, widths))
            n_joint = count(joint_widths)
            n_padding = len(narrower_positions) * (n_joint - count(narrower))
            n_padding += len(positions) * (n_joint - count(widths))
            if is_small(joint_widths) and n_padding < thresholds.pack_step_overhead:
                groups[-1] = joint_widths, narrower_positions + positions
                continue
        groups.append((widths, positions))
    return [positions for _, positions in groups]


def _has_convolutions(run: TrainingRun) -> bool:
    """Return whether the network of a run has convolutions."""
    return has_convolutions(run.net.module_)


def _widths(run: TrainingRun) -> tuple[int, ...]:
    """Return the numbers of features, of units of each layer, and of outputs.

    All modules of a user in a pack have equal layers. Their widths do not matter.
    """
    network = run.net.module_
    if known_modules(network) is None:
        return ()
    weights = [layer.weight for layer in weight_layers(network)]
    return (weights[0].shape[1], *(len(weight) for weight in weights))


def _measure_fastest_size(runs: Sequence[TrainingRun]) -> int:
    """Time packs of several sizes and a single network; return the fastest size.

    All runs have equal widths here, because `group_by_width` joins different widths
    only for networks that are too small to be timed.
    """
    with threads_for_work(step_multiplications(runs[0])):
        best_size, best_seconds = 1, time_single_step(runs[0]) / _MARGIN
    sizes = [size for size in _SMALLER_SIZES if size < len(runs)]
    for size in [*sizes, len(runs)]:
        n_threads = pack_thread_count(runs[0], size)
        runs_per_thread = math.ceil(size / n_threads)
        step_seconds = time_pack_step(runs[:runs_per_thread], n_threads)
        seconds_per_network = step_seconds / runs_per_thread / n_threads
        if seconds_per_network < best_seconds:
            best_size, best_seconds = size, seconds_per_network
    # The result is reused for up to twice as many runs. If all runs together are the
    # fastest, up to twice as many also form one pack.
    return best_size if best_size < len(runs) else 2 * best_size


def _thresholds_of(device: torch.device) -> _DeviceThresholds:
    """Return the thresholds for a type of device."""
    return _GPU_THRESHOLDS if device.type == "cuda" else _CPU_THRESHOLDS


def step_multiplications(run: TrainingRun) -> int:
    """Return the number of multiplications in one step of a network."""
    n_features = run.train_loader.data.X.shape[1]
    return multiply_adds(run.net.module_, n_features) * run.train_loader.batch_size


def pack_thread_count(run: TrainingRun, n: int) -> int:
    """Return how many threads to use for a pack of `n` such networks."""
    if run.device.type != "cpu":
        return 1
    max_threads = step_multiplications(run) * n // _MULTIPLICATIONS_PER_THREAD
    return max(1, min(torch.get_num_threads(), max_threads))


def max_pack_size(run: TrainingRun) -> int:
    """Return how many networks like this one fit into memory."""
    network, data, batch_size = (
        run.net.module_,
        run.train_loader.data,
        run.train_loader.batch_size,
    )
    n_features = data.X.shape[1]
    max_values = max(
        max_values_per_sample(network, n_features),
        max_patch_values(network, n_features),
    )
    # In the pack: parameters, gradients, two moments and updates. In the network:
    # parameters and best weights.
    n_values = 7 * len(run.flat.values)
    # A batch of the widest layer: input, output and their gradients.
    n_values += 4 * batch_size * max_values
    # Up to eight values per sample: orders, weights and losses of an epoch.
    n_values += 8 * len(data)
    max_bytes = memory_budget(run.device)
    if run.device.type == "cpu" and _has_convolutions(run):
        n_threads = torch.get_num_threads()
        max_bytes = min(max_bytes, _MAX_CNN_PACK_BYTES_PER_THREAD * n_threads)
    return max(1, int(max_bytes / (_BYTES_PER_VALUE * n_values)))


def memory_budget(device: torch.device) -> float:
    """Return the maximum number of bytes of a pack.

    All waiting networks together have the same limit.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # Memory that torch has reserved but does not use.
        cached = torch.cuda.memory_reserved(device)
        cached -= torch.cuda.memory_allocated(device)
        fraction = min(
            _MAX_MEMORY_FRACTION, _MAX_MEMORY_FRACTION_OF_JOBS / jobs_per_device()
        )
        return fraction * (free + cached)
    return min(_MAX_PACK_BYTES_ON_CPU, _MAX_MEMORY_FRACTION * _free_memory())


def _free_memory() -> int:
    """Return the available memory in bytes, or an estimate."""
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
        return _ASSUMED_FREE_BYTES
