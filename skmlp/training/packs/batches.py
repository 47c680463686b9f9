"""Batches of all pack members, with one copy of the samples that members share.

Members with the same fold and the same seed train on the same batches. If they are
neighbors in the pack, one set of samples serves them all: features have shape ``(sets,
batch, features)`` in place of ``(members, batch, features)``.
"""

import math
import pickle
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.devices import highest_precision_float
from skmlp.training.data.batches import (
    BatchLoader,
    DeviceData,
    batches_per_gather,
    slices_of_size,
)


def batch_stream_key(train: BatchLoader) -> Hashable:
    """Return a key that is equal for loaders with the same batches in all epochs."""
    state = None
    if train.random_state is not None:
        state = pickle.dumps(train.random_state.get_state())
    return data_key(train.data), train.batch_size, state


def data_key(data: DeviceData) -> Hashable:
    """Return a key that is equal for data with the same samples of the same tensors."""
    X = cast(Tensor, data.X)  # packs have no sparse features
    index = data.index.tobytes()
    return X.data_ptr(), data.y.data_ptr(), id(data.host_weight), index


def common_run_length(keys: Iterable[Hashable]) -> int:
    """Return the largest n such that every n neighbors have equal keys."""
    return math.gcd(*(len(list(equal)) for _, equal in groupby(keys)))


class PackData:
    """Several data sets in one tensor, with one copy of each tensor that they share.

    Parameters
    ----------
    sets : sequence of DeviceData
    """

    def __init__(self, sets: Sequence[DeviceData]) -> None:
        self.sets = sets
        self.X, X_offsets = _concatenate([cast(Tensor, data.X) for data in sets])
        self.y, y_offsets = _concatenate([data.y for data in sets])
        self._offsets = torch.tensor([X_offsets, y_offsets])

    def add_offsets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Turn sample indices ``(sets, samples)`` of each set into those of X and y."""
        device = self.y.device
        X_offsets, y_offsets = self._offsets
        return (
            (index + X_offsets.unsqueeze(1)).to(device),
            (index + y_offsets.unsqueeze(1)).to(device),
        )

    def gather(self, X_index: Tensor, y_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and targets; their shapes begin with those of the indices."""
        x = self.X.index_select(0, X_index.reshape(-1))
        y = self.y.index_select(0, y_index.reshape(-1))
        return x.view(*X_index.shape, -1), y.view(*y_index.shape, *self.y.shape[1:])


def _concatenate(tensors: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Concatenate tensors, repeated ones once; return the offset of each."""
    offsets: dict[int, int] = {}  # by address
    distinct: list[Tensor] = []
    for tensor in tensors:
        if tensor.data_ptr() not in offsets:
            offsets[tensor.data_ptr()] = sum(map(len, distinct))
            distinct.append(tensor)
    joined = distinct[0] if len(distinct) == 1 else torch.cat(distinct)
    return joined, [offsets[tensor.data_ptr()] for tensor in tensors]


class PackBatches:
    """Batches of all pack members; members with equal batches share sets of samples.

    Parameters
    ----------
    loaders : sequence of BatchLoader
        One for each member.
    stream_keys : sequence of hashable
        The `batch_stream_key` of each loader before its first epoch.

    Attributes
    ----------
    members_per_set : int
        Number of neighboring members that one set of samples serves.
    stream_loaders : list of BatchLoader
        One loader of each stream. It draws the orders for all members of the stream.
    member_streams : list of int
        The stream of each member, as an index of `stream_loaders`.
    """

    def __init__(
        self, loaders: Sequence[BatchLoader], stream_keys: Sequence[Hashable]
    ) -> None:
        self.loaders = loaders
        self.members_per_set = common_run_length(stream_keys)
        streams: dict[Hashable, int] = {}
        self.member_streams = [
            streams.setdefault(key, len(streams)) for key in stream_keys
        ]
        self.stream_loaders = [
            loaders[self.member_streams.index(i)] for i in range(len(streams))
        ]
        self.data = PackData([train.data for train in loaders[:: self.members_per_set]])
        self._step_weights: StepWeights | None = None

    def next_epoch(self, dtype: torch.dtype, device: torch.device) -> "EpochPlan":
        """Draw the orders of all streams, and return the samples of each step."""
        loaders = self.stream_loaders
        orders = [train.next_order() for train in loaders]
        weighted = any(train.data.host_weight is not None for train in loaders)
        if self._step_weights is None or weighted:  # otherwise equal in all epochs
            self._step_weights = StepWeights(self, orders, dtype, device)
        set_streams = self.member_streams[:: self.members_per_set]
        index = torch.from_numpy(_by_steps(loaders, orders)[set_streams])
        X_index, y_index = (
            with_offsets.view(index.shape).transpose(0, 1).contiguous()
            for with_offsets in self.data.add_offsets(index.flatten(1))
        )
        return EpochPlan(X_index, y_index, self._step_weights)

    def steps(
        self, plan: "EpochPlan", dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the features of all sets, and the targets of all members, by steps."""
        steps_per_gather = self._steps_per_gather(plan, dtype)
        for steps in slices_of_size(len(plan.X_index), steps_per_gather):
            X, Y = self.data.gather(plan.X_index[steps], plan.y_index[steps])
            if self.members_per_set > 1:
                Y = Y.repeat_interleave(self.members_per_set, dim=1)
            yield from zip(X.to(dtype), Y, strict=True)

    def _steps_per_gather(self, plan: "EpochPlan", dtype: torch.dtype) -> int:
        """Return how many steps one call gathers."""
        n_features = plan.X_index[0].numel() * self.data.X.shape[1]
        return batches_per_gather(n_features, dtype)

    def synchronize_loaders(self) -> None:
        """Give each loader the order and the random state of its stream."""
        for train, i in zip(self.loaders, self.member_streams, strict=True):
            train.copy_order_from(self.stream_loaders[i])


class StepWeights:
    """The sample weights of all members in each step of an epoch.

    Parameters
    ----------
    batches : PackBatches
    orders : list of ndarray
        The sample indices of an epoch, for each stream.
    dtype : torch.dtype
    device : torch.device

    Attributes
    ----------
    counts : list of list of int
        Number of samples, by steps and members.
    active : list of tuple of bool
        Whether a member has samples with weight, by steps and members.
    counts_on_device : Tensor of shape (steps, members)
    totals : Tensor of shape (steps, members)
        Sums of the sample weights.
    weights : Tensor of shape (steps, members, batch)
        Sample weights, divided by their totals.
    """

    def __init__(
        self,
        batches: PackBatches,
        orders: Sequence[np.ndarray],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        loaders, members = batches.stream_loaders, batches.member_streams
        host_weights = [train.data.host_weight for train in loaders]
        ones = [np.ones(len(order)) for order in orders]
        sample_weights = [
            unweighted if host_weight is None else host_weight[order]
            for unweighted, host_weight, order in zip(
                ones, host_weights, orders, strict=True
            )
        ]
        weights = _by_steps(loaders, sample_weights)  # (streams, steps, batch)
        counts = _by_steps(loaders, ones).sum(axis=2).astype(np.int64)
        totals = weights.sum(axis=2)
        active = totals > 0
        counts[~active] = 0
        totals[~active] = 1.0
        weights /= totals[:, :, np.newaxis]
        self.active = [tuple(step) for step in active.T[:, members].tolist()]
        member_counts = counts.T[:, members]
        self.counts = member_counts.tolist()
        self.counts_on_device = torch.as_tensor(
            member_counts, dtype=highest_precision_float(device), device=device
        )
        # NumPy converts the values: some devices have no float64, even for a moment.
        native = np.float64 if dtype == torch.float64 else np.float32
        self.totals, self.weights = (
            torch.as_tensor(
                by_stream.astype(native, copy=False), device=device
            ).transpose(0, 1)[:, members]
            for by_stream in (totals, weights)
        )


class EpochPlan(NamedTuple):
    """The samples of each set in each step of an epoch, and their weights.

    A batch that is shorter than the longest one is padded by samples with weight zero.
    """

    X_index: Tensor  # (steps, sets, batch)
    y_index: Tensor  # (steps, sets, batch)
    step_weights: StepWeights


def _by_steps(
    loaders: Sequence[BatchLoader], values: Sequence[np.ndarray]
) -> np.ndarray:
    """Arrange one value for each sample by steps, ``(streams, steps, batch)``.

    Shorter streams and batches are padded with zeros.
    """
    n_steps = max(map(len, loaders))
    batch_size = max(train.batch_size for train in loaders)
    shape = len(loaders), n_steps, batch_size
    by_steps = np.zeros(shape, dtype=values[0].dtype)
    for of_stream, train, stream_values in zip(by_steps, loaders, values, strict=True):
        padded = np.zeros(len(train) * train.batch_size, dtype=stream_values.dtype)
        padded[: len(stream_values)] = stream_values
        of_stream[: len(train), : train.batch_size] = padded.reshape(len(train), -1)
    return by_steps
