"""Rows of many networks: which of them each sees in each step, those they share once.

Networks of one fold and one seed see the same batches. Where such networks stand next
to each other, ``(sets, batch, features)`` holds each set of rows once for all of them.
"""

import math
import pickle
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import cast

import numpy as np
import torch
from torch import Tensor

from skmlp.training.batches import Batches, Rows, slices_of, steps_gathered
from skmlp.training.devices import widest_float


def stream_of(train: Batches) -> Hashable:
    """Return what two networks have in common that see the same batches for ever."""
    state = None
    if train.random_state is not None:
        state = pickle.dumps(train.random_state.get_state())
    return rows_of(train.rows), train.batch_size, state


def rows_of(rows: Rows) -> Hashable:
    """Return what equal sets of rows have in common."""
    X = cast(Tensor, rows.X)  # sparse rows are not packed
    index = rows.index.tobytes()
    return X.data_ptr(), rows.y.data_ptr(), id(rows.host_weight), index


def shared_by(keys: Iterable[Hashable]) -> int:
    """Return how many neighbours of equal key there are, everywhere."""
    return math.gcd(*(len(list(equal)) for _, equal in groupby(keys)))


class StackedRows:
    """Sets of rows one below the other, rows that they share but once."""

    def __init__(self, sets: Sequence[Rows]) -> None:
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


class StackedBatches:
    """Batches of all models, in which those of equal streams share sets of rows.

    Parameters
    ----------
    models : sequence of Batches
    streams : sequence of hashable
        `stream_of` each of them, before its first epoch.

    Attributes
    ----------
    each : int
        Number of models, next to each other, that one set of rows serves.
    drawn : list of Batches
        One of each stream, which draws the rows of all.
    streams : list of int
        The place in `drawn` of every model's stream.
    """

    def __init__(self, models: Sequence[Batches], streams: Sequence[Hashable]) -> None:
        self.models = models
        self.each = shared_by(streams)
        first: dict[Hashable, int] = {}
        self.streams = [first.setdefault(stream, len(first)) for stream in streams]
        self.drawn = [models[self.streams.index(i)] for i in range(len(first))]
        self.rows = StackedRows([train.rows for train in models[:: self.each]])

    def of(
        self, plan: "EpochPlan", dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the features of every set, and the targets of every model, by steps."""
        for part in slices_of(plan.n_steps, self._gathered_at_once(plan, dtype)):
            X, Y = self.rows.gather(plan.X_index[part], plan.y_index[part])
            if self.each > 1:
                Y = Y.repeat_interleave(self.each, dim=1)
            yield from zip(X.to(dtype), Y, strict=True)

    def _gathered_at_once(self, plan: "EpochPlan", dtype: torch.dtype) -> int:
        """Return the steps whose rows to gather by one call."""
        return steps_gathered(plan.X_index[0].numel() * self.rows.X.shape[1], dtype)

    def catch_up(self) -> None:
        """Let every model have drawn what the first one of its stream has drawn."""
        for train, i in zip(self.models, self.streams, strict=True):
            train.follow(self.drawn[i])


class EpochPlan:
    """Which rows each set holds in each step of an epoch, and with what weight.

    Batches shorter than the longest are filled with rows of weight zero. Row numbers
    are of sets, all else is of models.
    """

    def __init__(
        self, batches: StackedBatches, dtype: torch.dtype, device: torch.device
    ) -> None:
        drawn = batches.drawn
        self.n_steps = max(map(len, drawn))
        size = max(train.batch_size for train in drawn)
        shape = (len(drawn), self.n_steps, size)
        index = np.zeros(shape, dtype=np.int64)
        weights = np.zeros(shape)
        counts = np.zeros(shape[:2], dtype=np.int64)
        for i, train in enumerate(drawn):
            order = train.next_order()
            host = train.rows.host_weight
            of_rows = np.ones(len(order)) if host is None else host[order]
            for whole, part in ((index, order), (weights, of_rows)):
                padded = np.zeros(len(train) * train.batch_size, dtype=whole.dtype)
                padded[: len(order)] = part
                whole[i, : len(train), : train.batch_size] = padded.reshape(
                    len(train), train.batch_size
                )
            counts[i, : len(train)] = train.batch_size
            counts[i, len(train) - 1] -= len(train) * train.batch_size - len(order)
        totals = weights.sum(axis=2)
        active = totals > 0
        counts[~active] = 0
        totals[~active] = 1.0
        weights /= totals[:, :, np.newaxis]
        # From here on by steps, then of shape (sets, batch), or by models.
        sets, models = batches.streams[:: batches.each], batches.streams
        of_sets = torch.from_numpy(index[sets].reshape(len(sets), -1))
        self.X_index, self.y_index = (
            places.unflatten(1, shape[1:]).transpose(0, 1).contiguous()
            for places in batches.rows.offset(of_sets)
        )
        self.active = [tuple(step) for step in active.T[:, models].tolist()]
        by_models = counts.T[:, models]
        self.counts = by_models.tolist()
        wide = widest_float(device)
        self.counts_on_device = torch.as_tensor(
            by_models, dtype=wide, device=device
        ).unbind()
        self.totals, self.weights = (
            torch.as_tensor(of_streams, dtype=dtype, device=device)
            .transpose(0, 1)[:, models]
            .unbind()
            for of_streams in (totals, weights)
        )
