"""Rows of many networks: which of them each sees in each step, those they share once.

Networks of one fold and one seed see the same batches. Where such networks stand next
to each other, ``(sets, batch, features)`` holds each set of rows once for all of them.
"""

import math
import pickle
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.devices import widest_float
from skmlp.training.data.batches import (
    BatchLoader,
    DeviceData,
    batches_per_gather,
    slices_of_size,
)


def batch_stream_key(train: BatchLoader) -> Hashable:
    """Return what two networks have in common that see the same batches for ever."""
    state = None
    if train.random_state is not None:
        state = pickle.dumps(train.random_state.get_state())
    return data_key(train.data), train.batch_size, state


def data_key(rows: DeviceData) -> Hashable:
    """Return what equal sets of rows have in common."""
    X = cast(Tensor, rows.X)  # sparse rows are not packed
    index = rows.index.tobytes()
    return X.data_ptr(), rows.y.data_ptr(), id(rows.host_weight), index


def common_run_length(keys: Iterable[Hashable]) -> int:
    """Return how many neighbours of equal key there are, everywhere."""
    return math.gcd(*(len(list(equal)) for _, equal in groupby(keys)))


class PackData:
    """Sets of rows one below the other, rows that they share but once."""

    def __init__(self, sets: Sequence[DeviceData]) -> None:
        self.sets = sets
        self.X, X_offsets = _stack([cast(Tensor, rows.X) for rows in sets])
        self.y, y_offsets = _stack([rows.y for rows in sets])
        self._offsets = torch.tensor([X_offsets, y_offsets])

    def offset(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Turn sets' own row numbers ``(sets, rows)`` into those of X and y."""
        device = self.y.device
        X_offsets, y_offsets = self._offsets
        return (
            (index + X_offsets.unsqueeze(1)).to(device),
            (index + y_offsets.unsqueeze(1)).to(device),
        )

    def gather(self, X_index: Tensor, y_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and targets, each of the shape of its index and more."""
        x = self.X.index_select(0, X_index.reshape(-1))
        y = self.y.index_select(0, y_index.reshape(-1))
        return x.view(*X_index.shape, -1), y.view(*y_index.shape, *self.y.shape[1:])


def _stack(tensors: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Concatenate tensors, equal ones once; return where each begins."""
    begins: dict[int, int] = {}
    distinct: list[Tensor] = []
    for tensor in tensors:
        if tensor.data_ptr() not in begins:
            begins[tensor.data_ptr()] = sum(map(len, distinct))
            distinct.append(tensor)
    stacked = distinct[0] if len(distinct) == 1 else torch.cat(distinct)
    return stacked, [begins[tensor.data_ptr()] for tensor in tensors]


class PackBatches:
    """Batches of all models, in which those of equal streams share sets of rows.

    Parameters
    ----------
    models : sequence of Batches
    streams : sequence of hashable
        `batch_stream_key` each of them, before its first epoch.

    Attributes
    ----------
    each : int
        Number of models, next to each other, that one set of rows serves.
    drawn : list of Batches
        One of each stream, which draws the rows of all.
    streams : list of int
        The place in `drawn` of every model's stream.
    """

    def __init__(
        self, models: Sequence[BatchLoader], streams: Sequence[Hashable]
    ) -> None:
        self.models = models
        self.each = common_run_length(streams)
        first: dict[Hashable, int] = {}
        self.streams = [first.setdefault(stream, len(first)) for stream in streams]
        self.drawn = [models[self.streams.index(i)] for i in range(len(first))]
        self.rows = PackData([train.data for train in models[:: self.each]])
        self._shares: StepWeights | None = None

    def next_epoch(self, dtype: torch.dtype, device: torch.device) -> "EpochPlan":
        """Draw every stream's order, and return what becomes of it."""
        orders = [train.next_order() for train in self.drawn]
        weighted = any(train.data.host_weight is not None for train in self.drawn)
        if self._shares is None or weighted:  # else they are those of the epoch before
            self._shares = StepWeights(self, orders, dtype, device)
        sets = self.streams[:: self.each]
        index = torch.from_numpy(_in_steps(self.drawn, orders)[sets])
        X_index, y_index = (
            places.view(index.shape).transpose(0, 1).contiguous()
            for places in self.rows.offset(index.flatten(1))
        )
        return EpochPlan(X_index, y_index, self._shares)

    def of(
        self, plan: "EpochPlan", dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the features of every set, and the targets of every model, by steps."""
        for part in slices_of_size(
            len(plan.X_index), self._gathered_at_once(plan, dtype)
        ):
            X, Y = self.rows.gather(plan.X_index[part], plan.y_index[part])
            if self.each > 1:
                Y = Y.repeat_interleave(self.each, dim=1)
            yield from zip(X.to(dtype), Y, strict=True)

    def _gathered_at_once(self, plan: "EpochPlan", dtype: torch.dtype) -> int:
        """Return the steps whose rows to gather by one call."""
        return batches_per_gather(plan.X_index[0].numel() * self.rows.X.shape[1], dtype)

    def catch_up(self) -> None:
        """Let every model have drawn what the first one of its stream has drawn."""
        for train, i in zip(self.models, self.streams, strict=True):
            train.follow(self.drawn[i])


class StepWeights:
    """How much each row counts in each step of an epoch, for every model.

    Parameters
    ----------
    batches : PackBatches
    orders : list of ndarray
        The rows of an epoch, of each stream.
    dtype : torch.dtype
    device : torch.device

    Attributes
    ----------
    counts : list of list of int
        Number of rows, by steps and models.
    active : list of tuple of bool
        Whether a model has rows that count.
    counts_on_device, totals : Tensor of shape (steps, models)
        The latter are the sums of the rows' weights.
    weights : Tensor of shape (steps, models, batch)
        Divided by their totals.
    """

    def __init__(
        self,
        batches: PackBatches,
        orders: Sequence[np.ndarray],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        drawn, models = batches.drawn, batches.streams
        hosts = [train.data.host_weight for train in drawn]
        ones = [np.ones(len(order)) for order in orders]
        of_rows = [
            of_row if host is None else host[order]
            for of_row, host, order in zip(ones, hosts, orders, strict=True)
        ]
        weights = _in_steps(drawn, of_rows)
        counts = _in_steps(drawn, ones).sum(axis=2).astype(np.int64)
        totals = weights.sum(axis=2)
        active = totals > 0
        counts[~active] = 0
        totals[~active] = 1.0
        weights /= totals[:, :, np.newaxis]
        self.active = [tuple(step) for step in active.T[:, models].tolist()]
        by_models = counts.T[:, models]
        self.counts = by_models.tolist()
        self.counts_on_device = torch.as_tensor(
            by_models, dtype=widest_float(device), device=device
        )
        # NumPy converts the values: some devices have no float64, even for a moment.
        native = np.float64 if dtype == torch.float64 else np.float32
        self.totals, self.weights = (
            torch.as_tensor(
                of_streams.astype(native, copy=False), device=device
            ).transpose(0, 1)[:, models]
            for of_streams in (totals, weights)
        )


class EpochPlan(NamedTuple):
    """Which rows each set holds in each step of an epoch, and how much they count.

    Batches shorter than the longest are filled with rows of weight zero.
    """

    X_index: Tensor  # of shape (steps, sets, batch), as is the next
    y_index: Tensor
    shares: StepWeights


def _in_steps(drawn: Sequence[BatchLoader], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Cut what each stream has of its rows into steps, filled up with zeros."""
    n_steps = max(map(len, drawn))
    size = max(train.batch_size for train in drawn)
    cut = np.zeros((len(drawn), n_steps, size), dtype=parts[0].dtype)
    for of_stream, train, part in zip(cut, drawn, parts, strict=True):
        own = np.zeros(len(train) * train.batch_size, dtype=part.dtype)
        own[: len(part)] = part
        of_stream[: len(train), : train.batch_size] = own.reshape(len(train), -1)
    return cut
