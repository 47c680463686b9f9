"""The order of the runs in a pack, and their division among threads."""

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

from skmlp.training.packs.batches import batch_stream_key, common_group_size
from skmlp.training.packs.optimizer import kernel_hyperparameters
from skmlp.training.run import TrainingRun


class Members(NamedTuple):
    """Sorted runs, and the number of each run's stream.

    Runs with the same stream number see the same batches in the same order. Numbers may
    be missing. `PackBatches` numbers the streams again.
    """

    runs: list[TrainingRun]
    streams: list[int]


def sort_members(runs: Sequence[TrainingRun]) -> Members:
    """Sort runs by the hyperparameters of their optimizers, then by streams.

    One kernel call updates neighbors with equal hyperparameters. Neighbors of one
    stream share their samples.
    """
    numbers: dict[Hashable, int] = {}
    streams = [
        numbers.setdefault(batch_stream_key(run.train_loader), len(numbers))
        for run in runs
    ]
    sort_keys = [
        (kernel_hyperparameters(run.net), stream)
        for run, stream in zip(runs, streams, strict=True)
    ]
    order = sorted(range(len(runs)), key=sort_keys.__getitem__)
    return Members([runs[i] for i in order], [streams[i] for i in order])


def split_members(members: Members, n: int) -> list[Members]:
    """Divide members into at most `n` parts of about equal size.

    Members of one stream stay together if there are enough streams.
    """
    runs, streams = members
    group_size = common_group_size(streams)
    if len(runs) < n * group_size:
        group_size = 1
    n_groups = len(runs) // group_size
    n = min(n, n_groups)
    cuts = [round(i * n_groups / n) * group_size for i in range(n + 1)]
    return [Members(runs[a:b], streams[a:b]) for a, b in pairwise(cuts)]
