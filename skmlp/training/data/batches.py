"""`DeviceData` with the samples in the dtype of X, and `BatchLoader`.

A batch is cast to the training dtype when it is gathered. Three kinds of indices occur:

- A sample index is the index of a sample in the X and y of the fit. `DeviceData.index`
  has the sample indices of one training or validation set.
- An order is an array of sample indices in the order of training.
- A position is a row of the tensors or arrays in memory. It equals the sample index,
  except for a source, which is read in windows.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import Subset

from skmlp.training.compute.devices import upload
from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.compute.seeds import RandomStateFork
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.compute.threads import using_threads
from skmlp.training.data.device_tensors import (
    WindowUploader,
    fits_on_gpu,
    read_to_gpu,
    to_device_tensor,
)
from skmlp.training.data.sources import Source

# Features, targets, normalized sample weights (or None), and the sum of the sample
# weights before normalization.
Batch = tuple[Tensor, Tensor, Tensor | None, float]
Augment = Callable[[Tensor], Tensor]
# Maps targets ``(..., batch)`` and their normalized sample weights, or None, to
# `Loss.term_weights`.
TermWeights = Callable[[Tensor, Tensor | None], Tensor]

# Maximum number of values of a chunk in its widest layer, by the type of the device. A
# chunk is large enough to use a device fully, and small enough to limit the memory.
_VALUES_PER_CHUNK = 2**21
_VALUES_PER_CUDA_CHUNK = 2**26

# Number of feature values that one call of index_select gathers. Several small batches
# are gathered by one call. The result still fits into the last-level cache.
_VALUES_PER_GATHER = 2**20

# Maximum number of targets whose weights are computed at once.
_TARGETS_AT_ONCE = 2**14


class DeviceData(Dataset):
    """Features, targets and weights on the device, with the indices of the samples.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, features), CSR matrix or Source
        Kept in its dtype. A sparse matrix stays on the host, and batches of it become
        dense. A large source is read in windows, unless it fits into half of the free
        memory of a GPU.
    y : Tensor or None
        Targets of the n samples, as the loss takes them. None means that the features
        of a sample are its targets.
    weight : ndarray of shape (n,) or None
        Sample weights.
    dtype : torch.dtype
        Dtype of the batches' features.
    device : torch.device
        Device of the batches.
    index : ndarray of int or None
        Indices of the samples that belong to the data, in order; None for all.

    Attributes
    ----------
    host_weight : ndarray of shape (n,) or None
        Sample weights on the host, for sums. They have the dtype of `weight`.
    shares_features : bool
        Whether data made by `with_sample_indices` uses the same tensor of features.
        False for a source that was read: X then holds only the samples of this data.
    reads_windows : bool
        Whether the features are read in windows.
    """

    def __init__(
        self,
        X: np.ndarray | Tensor | scipy.sparse.csr_matrix | Source,
        y: Tensor | None,
        weight: np.ndarray | None,
        dtype: torch.dtype,
        device: torch.device,
        index: np.ndarray | None = None,
    ) -> None:
        index = np.arange(X.shape[0]) if index is None else index
        self.shares_features = not isinstance(X, Source)
        self.reads_windows = False
        self._windowed: Source | None = None
        if isinstance(X, Source):
            if not X.fits_in_memory(len(index)):
                on_gpu = fits_on_gpu(X, len(index), dtype, device)
                self._windowed = X.take(index) if on_gpu else X
                self.reads_windows = not on_gpu
            if not self.reads_windows:  # read these samples once
                if self._windowed is None:
                    X = X.read(index)
                else:
                    X = read_to_gpu(self._windowed, dtype, device)
                y = None if y is None else y[torch.from_numpy(index)]
                weight = None if weight is None else weight[index]
                index = np.arange(len(index))
        self.index = index
        if isinstance(X, np.ndarray):
            X = to_device_tensor(X, dtype, device)
        elif isinstance(X, Tensor):
            X = X.to(device)
        self.X: Any = X
        self.y = None if y is None else y.to(device)
        self.host_weight = weight
        self.weight = (
            None
            if weight is None
            else torch.as_tensor(weight, dtype=dtype, device=device)
        )
        self.dtype = dtype
        self.device = device

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.index)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        """Return features and target of the `i`-th sample."""
        x, y, _ = self.gather(torch.tensor([self.index[i]]))
        return x[0], y[0]

    def with_sample_indices(self, index: np.ndarray) -> "DeviceData":
        """Return data of the same tensors with other samples."""
        data = copy.copy(self)
        data.index = index
        return data

    def in_bfloat16(self) -> "DeviceData":
        """Return data whose batches have features in bfloat16.

        Features that are floats are cast at once, integers batch by batch.
        """
        data = copy.copy(self)
        data.dtype = torch.bfloat16
        if self.X.is_floating_point():
            data.X = self.X.to(torch.bfloat16)
        return data

    def as_skorch_dataset(self) -> Dataset | Subset:
        """Return a data set that has its samples only, as skorch's callbacks need it.

        `X` and `y` of this object have the samples of other data too. skorch selects
        the samples of a `Subset`.
        """
        index = np.arange(self.X.shape[0])
        if np.array_equal(self.index, index):
            return self
        return Subset(self.with_sample_indices(index), self.index.tolist())

    def max_abs(self) -> float:
        """Return the largest absolute feature of all n samples."""
        if isinstance(self.X, Source):
            return self.X.max_abs()
        return float(max(self.X.max(), -float(self.X.min())))

    def targets_on_host(self) -> tuple[Tensor, Tensor | None]:
        """Return targets and weights on the CPU; the weights sum to one."""
        index = torch.from_numpy(self.index)
        targets = self.X.to(self.dtype) if self.y is None else self.y
        y = targets.cpu().index_select(0, index)
        if self.weight is None:
            return y, None
        weight = self.weight.cpu().index_select(0, index)
        return y, weight / weight.sum()

    def shuffle(
        self,
        order: np.ndarray,
        random_state: np.random.RandomState | RandomStateFork,
        batch_size: int,
    ) -> np.ndarray:
        """Return the sample indices `order` in scikit-learn's random order.

        Data that are read in windows get an order for reading by windows. It depends on
        `index` and not on `order`. The same data on a GPU get the same order, which
        therefore does not depend on the memory of the GPU.
        """
        if self._windowed is not None:
            return self._windowed.shuffled(self.index, random_state, batch_size)
        # sklearn.utils.shuffle without its checks, which take as long as an epoch.
        positions = np.arange(len(order))
        random_state.shuffle(positions)
        return order[positions]

    def windows(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple["DeviceData", Tensor, np.ndarray]]:
        """Yield the samples in memory: all at once, or in windows of whole batches.

        Yields
        ------
        data : DeviceData
            Its tensors are in memory.
        positions : Tensor of int
            Positions of the samples in the tensors of `data`, in the order of training.
        order : ndarray of int
            The slice of `order` with these samples.
        """
        if not self.reads_windows:
            positions = torch.from_numpy(order)
            on_host = scipy.sparse.issparse(self.X)
            positions = positions if on_host else upload(positions, self.device)
            yield self, positions, order
            return
        uploader = WindowUploader(self.dtype, self.device)
        for window in self.X.windows(order, batch_size):
            data = copy.copy(self)
            index = upload(torch.from_numpy(window.sample_index), self.device)
            data.X = uploader.upload(window.X)
            data.y = None if self.y is None else self.y[index]
            if self.weight is not None:
                data.weight = self.weight[index]
            positions = upload(torch.from_numpy(window.positions), self.device)
            yield data, positions, order[window.order_slice]

    def sums_of_weights(self, order: np.ndarray, batch_size: int) -> list[float]:
        """Return the sum of the sample weights of each batch of `order`.

        The host computes it, which needs no synchronization with a GPU.
        """
        batches = slices_of_size(len(order), batch_size)
        if self.host_weight is None:
            return [float(batch.stop - batch.start) for batch in batches]
        return [float(self.host_weight[order[batch]].sum()) for batch in batches]

    def gather(
        self, index: Tensor, n_threads: int = 1
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return features, targets and weights of the samples in `index`.

        The index holds positions. For a source that is not read in windows, it holds
        sample indices.
        """
        if isinstance(self.X, Tensor):
            index = index.to(self.device)
            with using_threads(n_threads):
                x = self.X.index_select(0, index)
        else:
            samples = self.X[index.numpy()]  # of a CSR matrix or a source
            dense = np.asarray(samples) if self.reads_windows else samples.toarray()
            x = torch.from_numpy(dense.reshape(len(index), -1)).to(self.device)
            x = x.clone() if x.data_ptr() % ALIGNMENT else x
            index = index.to(self.device)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        x = x.to(self.dtype)
        return x, x if self.y is None else self.y.index_select(0, index), weight


class BatchLoader:
    """Iterates over the batches of a `DeviceData`, each epoch in a new order.

    Parameters
    ----------
    data : DeviceData
    batch_size : int
        Samples in a batch; the last batch of an epoch may be shorter.
    random_state : RandomState, RandomStateFork or None
        Each epoch shuffles the order of the previous epoch, as in scikit-learn. None
        leaves the order unchanged.
    augment : callable or None
        Applied to the features of every batch. If the features are the targets, the
        results are the targets.
    corrupt : callable or None
        Applied to the features after `augment`. It leaves the targets unchanged.
    changes_many : bool
        Whether both functions change each sample on its own, and take no numbers from
        the host. A GPU then changes many batches at once.

    Attributes
    ----------
    order : ndarray of int
        Sample indices in the order of the current epoch.
    """

    def __init__(
        self,
        data: DeviceData,
        batch_size: int,
        random_state: np.random.RandomState | RandomStateFork | None = None,
        augment: Augment | None = None,
        corrupt: Augment | None = None,
        changes_many: bool = False,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.random_state = random_state
        self.augment = augment
        self.corrupt = corrupt
        self.changes_many = changes_many
        self.order = data.index

    @property
    def changes_features(self) -> bool:
        """Whether the features of the batches are changed."""
        return self.augment is not None or self.corrupt is not None

    def change(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changed features, and the targets."""
        x = x if self.augment is None else self.augment(x)
        y = x if self.data.y is None else y
        return x if self.corrupt is None else self.corrupt(x), y

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.data) // self.batch_size)  # rounded up

    def next_order(self) -> np.ndarray:
        """Draw and return the order of the next epoch."""
        if self.random_state is not None:
            self.order = self.data.shuffle(
                self.order, self.random_state, self.batch_size
            )
        return self.order

    def copy_order_from(self, other: "BatchLoader") -> None:
        """Copy order and random state from a loader with the same batches.

        `other` does not draw any more. So its `RandomStateFork` is taken over.
        """
        if isinstance(self.random_state, RandomStateFork):
            self.random_state = other.random_state
        elif self is not other and self.random_state and other.random_state:
            self.random_state.set_state(other.random_state.get_state())
        self.order = other.order

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return self.batches(SINGLE_THREAD_TUNER)

    def batches(
        self, tuner: ThreadTuner, term_weights: TermWeights | None = None
    ) -> Iterator[Batch]:
        """Yield the batches of one epoch, gathered on the tuner's threads.

        With `term_weights`, the batches have these weights. They are computed for many
        batches at once.
        """
        size = self.batch_size
        gathered_size = size * self._batches_per_gather()
        changes_many = self.changes_many and self.data.device.type == "cuda"
        for data, positions, order in self.data.windows(self.next_order(), size):
            totals = data.sums_of_weights(order, size)
            weights = _weights_of_batches(data, positions, totals, size, term_weights)
            of_batches = zip(weights, totals, strict=True)
            for gathered in slices_of_size(len(order), gathered_size):
                X, Y, _ = data.gather(positions[gathered], tuner.n_threads)
                if changes_many:
                    X, Y = self.change(X, Y)
                batches = zip(_split(X, size), _split(Y, size), strict=True)
                # `batches` comes first, so that no weight is lost when it ends.
                for (x, y), (weight, total_weight) in zip(
                    batches, of_batches, strict=False
                ):
                    if not changes_many:
                        x, y = self.change(x, y)
                    yield x, y, weight, total_weight

    def _batches_per_gather(self) -> int:
        """Return how many batches one call gathers."""
        values_per_batch = self.batch_size * max(1, math.prod(self.data.X.shape[1:]))
        return batches_per_gather(values_per_batch, self.data.dtype)


def _split(samples: Tensor, size: int) -> Sequence[Tensor]:
    """Split samples into batches; faster than torch's `split` for a single batch."""
    return (samples,) if samples.shape[0] <= size else samples.split(size)


def _weights_of_batches(
    data: DeviceData,
    positions: Tensor,
    totals: list[float],
    batch_size: int,
    term_weights: TermWeights | None,
) -> Iterator[Tensor | None]:
    """Yield the normalized sample weights, or the term weights, of each batch.

    `totals` has the sum of the sample weights of each batch.
    """
    if data.weight is None and term_weights is None:
        yield from [None] * len(totals)
        return
    batches_at_once = max(1, _TARGETS_AT_ONCE // batch_size)
    batch_totals = iter(totals)
    for samples in slices_of_size(len(positions), batches_at_once * batch_size):
        index, weight = positions[samples].to(data.device), None
        if data.weight is not None:
            weight = data.weight.index_select(0, index)
            # The totals come last, so that none is lost at the end of the slice.
            for w, total in zip(weight.split(batch_size), batch_totals, strict=False):
                w.div_(total or 1.0)
        if term_weights is None:
            assert weight is not None
            yield from weight.split(batch_size)
        else:
            assert data.y is not None
            y = data.y.index_select(0, index)
            yield from _weights_of_terms(y, weight, batch_size, term_weights)


def _weights_of_terms(
    y: Tensor, weight: Tensor | None, batch_size: int, term_weights: TermWeights
) -> Iterator[Tensor]:
    """Yield the term weights of each batch; the last one may be shorter."""
    n_whole = len(y) - len(y) % batch_size  # samples in whole batches
    whole, rest = slice(0, n_whole), slice(n_whole, len(y))
    for part, shape in ((whole, (-1, batch_size)), (rest, (1, -1))):
        if part.start < part.stop:
            of_part = None if weight is None else weight[part].view(shape)
            yield from term_weights(y[part].view(shape), of_part).unbind()


def batches_per_gather(values_per_batch: int, dtype: torch.dtype) -> int:
    """Return how many batches of `values_per_batch` feature values one call gathers."""
    # BLAS results can depend on the alignment of addresses. If the size of a batch is
    # no multiple of ALIGNMENT, each batch is gathered alone, so that it is aligned.
    if values_per_batch * dtype.itemsize % ALIGNMENT:
        return 1
    return max(1, _VALUES_PER_GATHER // max(1, values_per_batch))


def slices_of_size(n_samples: int, size: int) -> list[slice]:
    """Return slices of at most `size` samples.

    `sklearn.utils.gen_batches` returns the same. Its checks take longer than the
    prediction of a sample.
    """
    starts = range(0, n_samples, size)
    return [slice(start, min(start + size, n_samples)) for start in starts]


def samples_per_chunk(widest_layer: int, device_type: str = "cpu") -> int:
    """Return how many samples to compute at once, to limit the memory.

    `widest_layer` is the number of values of a sample in its widest layer.
    """
    is_cuda = device_type == "cuda"
    n_values = _VALUES_PER_CUDA_CHUNK if is_cuda else _VALUES_PER_CHUNK
    return max(1, n_values // max(1, widest_layer))
