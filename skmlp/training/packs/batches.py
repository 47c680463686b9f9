"""Batches of all pack members.

Members with the same fold and the same seed train on the same batches. Neighbors with
the same batches form a group. The features of a group are stored once, with the shape
``(groups, batch, features)`` instead of ``(members, batch, features)``. All groups have
the same number of members.

A stream is the sequence of batches of a member in all epochs. Members with equal
streams need not all be neighbors, so a stream may have several groups.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.devices import highest_precision_float, upload
from skmlp.training.compute.seeds import RandomStateFork, fingerprint
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.slices import batches_per_gather, slices_of_size


def batch_stream_key(loader: BatchLoader) -> Hashable:
    """Return a key that is equal for loaders with the same stream."""
    random_state, state = loader.random_state, None
    if isinstance(random_state, RandomStateFork):
        state = random_state.fingerprint
    elif random_state is not None:
        state = fingerprint(random_state)
    return data_key(loader.data), loader.batch_size, state


def data_key(data: DeviceData) -> Hashable:
    """Return a key that is equal for data with the same tensors and sample indices."""
    X = cast(Tensor, data.X)  # packs have no sparse features
    index = data.index.tobytes()
    y_address = None if data.y is None else data.y.data_ptr()
    return X.data_ptr(), y_address, id(data.host_weight), index


def common_group_size(keys: Iterable[Hashable]) -> int:
    """Return the largest n such that the keys divide into blocks of n equal keys."""
    return math.gcd(*(len(list(equal)) for _, equal in groupby(keys)))


class PackData:
    """Concatenates the tensors of several data sets.

    A tensor that several data sets use is stored once. As in `DeviceData`, `y` is None
    if the features are the targets.

    Parameters
    ----------
    datasets : sequence of DeviceData
    """

    def __init__(self, datasets: Sequence[DeviceData]) -> None:
        self.datasets = datasets
        self.X, X_offsets = _concatenate([cast(Tensor, data.X) for data in datasets])
        targets = [data.y for data in datasets if data.y is not None]
        self.y: Tensor | None
        self.y, y_offsets = _concatenate(targets) if targets else (None, X_offsets)
        self._offsets = torch.tensor([X_offsets, y_offsets])

    def add_offsets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Convert sample indices of each data set into indices of `self.X`, `self.y`.

        `index` has the shape ``(datasets, samples)``.
        """
        device = self.X.device
        X_offsets, y_offsets = self._offsets
        return (
            upload(index + X_offsets.unsqueeze(1), device),
            upload(index + y_offsets.unsqueeze(1), device),
        )

    def gather(
        self, X_index: Tensor, y_index: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Return ``X[X_index]`` in a dtype, and ``y[y_index]``."""
        x = self.X.index_select(0, X_index.reshape(-1))
        x = x.view(*X_index.shape, -1).to(dtype)
        if self.y is None:
            return x, x
        y = self.y.index_select(0, y_index.reshape(-1))
        return x, y.view(*y_index.shape, *self.y.shape[1:])


def _concatenate(tensors: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Concatenate the distinct tensors; return the offset of each given tensor."""
    offsets: dict[int, int] = {}  # from address to offset
    distinct: list[Tensor] = []
    for tensor in tensors:
        if tensor.data_ptr() not in offsets:
            offsets[tensor.data_ptr()] = sum(map(len, distinct))
            distinct.append(tensor)
    joined = distinct[0] if len(distinct) == 1 else torch.cat(distinct)
    return joined, [offsets[tensor.data_ptr()] for tensor in tensors]


class PackBatches:
    """Batches of all pack members, with one copy of the samples of each group.

    Parameters
    ----------
    loaders : sequence of BatchLoader
        One for each member.
    stream_keys : sequence of hashable
        One for each loader. Loaders with equal keys have the same stream.

    Attributes
    ----------
    members_per_group : int
        Number of neighboring members that share their samples.
    stream_loaders : list of BatchLoader
        The first loader of each stream. It draws the sample order of each epoch for all
        members of the stream.
    member_streams : list of int
        The stream of each member, as an index of `stream_loaders`.
    """

    def __init__(
        self, loaders: Sequence[BatchLoader], stream_keys: Sequence[Hashable]
    ) -> None:
        self.loaders = loaders
        self.members_per_group = common_group_size(stream_keys)
        streams: dict[Hashable, int] = {}
        self.member_streams = [
            streams.setdefault(key, len(streams)) for key in stream_keys
        ]
        self.stream_loaders = [
            loaders[self.member_streams.index(i)] for i in range(len(streams))
        ]
        first_loaders = loaders[:: self.members_per_group]
        self.data = PackData([loader.data for loader in first_loaders])
        self._step_weights: StepWeights | None = None

    def next_epoch(self, dtype: torch.dtype, device: torch.device) -> "EpochPlan":
        """Draw the sample order of the next epoch for each stream.

        Return the sample indices and the weights of each step.
        """
        loaders = self.stream_loaders
        orders = [loader.next_order() for loader in loaders]
        is_weighted = any(loader.data.host_weight is not None for loader in loaders)
        # Without sample weights, the step weights are the same in every epoch.
        if self._step_weights is None or is_weighted:
            self._step_weights = StepWeights(self, orders, dtype, device)
        group_streams = self.member_streams[:: self.members_per_group]
        index = torch.from_numpy(_divide_into_steps(loaders, orders)[group_streams])
        X_index, y_index = (
            with_offsets.view(index.shape).transpose(0, 1).contiguous()
            for with_offsets in self.data.add_offsets(index.flatten(1))
        )
        return EpochPlan(X_index, y_index, self._step_weights)

    def steps(
        self, plan: "EpochPlan", dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features and targets of each step.

        Features have the shape ``(groups, batch, features)``. Targets have one entry
        for each member, because the loss has separate logits for each member.
        """
        steps_per_gather = self._steps_per_gather(plan, dtype)
        for steps in slices_of_size(len(plan.X_index), steps_per_gather):
            yield from zip(
                *self.gather_for_members(
                    plan.X_index[steps], plan.y_index[steps], dtype
                ),
                strict=True,
            )

    def gather_for_members(
        self, X_index: Tensor, y_index: Tensor, dtype: torch.dtype
    ) -> tuple[Sequence[Tensor] | Tensor, Sequence[Tensor] | Tensor]:
        """Return features and targets of several steps, as `steps` yields them."""
        X, Y = self.data.gather(X_index, y_index, dtype)
        n_members = self.members_per_group
        if n_members == 1:
            return X, Y
        if self.data.y is None:
            # Step by step, because a sample's features are many values.
            return X, [x.repeat_interleave(n_members, dim=0) for x in X]
        return X, Y.repeat_interleave(n_members, dim=1)

    def _steps_per_gather(self, plan: "EpochPlan", dtype: torch.dtype) -> int:
        """Return the number of steps whose samples are gathered in one call."""
        n_features = plan.X_index[0].numel() * self.data.X.shape[1]
        return batches_per_gather(n_features, dtype)

    def synchronize_loaders(self) -> None:
        """Copy the sample order and the random state of each stream to its loaders."""
        for loader, i in zip(self.loaders, self.member_streams, strict=True):
            loader.copy_order_from(self.stream_loaders[i])


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
        ``counts[step][member]`` is the number of samples in the batch.
    active : list of tuple of bool
        ``active[step][member]`` is whether the batch has a sample with positive weight.
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
        host_weights = [loader.data.host_weight for loader in loaders]
        ones = [np.ones(len(order)) for order in orders]
        sample_weights = [
            unweighted if host_weight is None else host_weight[order]
            for unweighted, host_weight, order in zip(
                ones, host_weights, orders, strict=True
            )
        ]
        weights = _divide_into_steps(loaders, sample_weights)  # (streams, steps, batch)
        counts = _divide_into_steps(loaders, ones).sum(axis=2).astype(np.int64)
        totals = weights.sum(axis=2)
        # The optimizer skips inactive members. A total of 1 avoids 0 / 0.
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
        # NumPy converts the values, because some devices cannot hold float64.
        numpy_dtype = np.float64 if dtype == torch.float64 else np.float32
        self.totals, self.weights = (
            torch.as_tensor(
                stream_values.astype(numpy_dtype, copy=False), device=device
            ).transpose(0, 1)[:, members]
            for stream_values in (totals, weights)
        )


class EpochPlan(NamedTuple):
    """The samples of each group in each step of an epoch, and their weights.

    Shorter batches are padded with samples of weight zero.
    """

    X_index: Tensor  # (steps, groups, batch)
    y_index: Tensor  # (steps, groups, batch)
    step_weights: StepWeights


def _divide_into_steps(
    loaders: Sequence[BatchLoader], values: Sequence[np.ndarray]
) -> np.ndarray:
    """Reshape one value per sample to ``(streams, steps, batch)``.

    Shorter streams and batches are padded with zeros.
    """
    n_steps = max(map(len, loaders))
    batch_size = max(loader.batch_size for loader in loaders)
    shape = len(loaders), n_steps, batch_size
    result = np.zeros(shape, dtype=values[0].dtype)
    for out, loader, stream_values in zip(result, loaders, values, strict=True):
        padded = np.zeros(len(loader) * loader.batch_size, dtype=stream_values.dtype)
        padded[: len(stream_values)] = stream_values
        out[: len(loader), : loader.batch_size] = padded.reshape(len(loader), -1)
    return result
