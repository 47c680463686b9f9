"""Rows on the device as they came, and batches of them in the dtype of training."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import torch
from skorch.dataset import Dataset
from torch import Tensor

from skmlp.training.compute.devices import widest_float
from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.compute.thread_tuning import tuned_thread_count
from skmlp.training.compute.threads import using_threads
from skmlp.training.data.sources import Source

# Features, targets, row weights that sum to one (or None), and the sum they had.
Batch = tuple[Tensor, Tensor, Tensor | None, float]
Augment = Callable[[Tensor], Tensor]

# Rows of predictions computed at once: large enough to keep a device busy, small enough
# that memory does not grow with the number of rows.
_ELEMENTS_AT_ONCE = 2**21

# Features of batches gathered together: enough to be worth a call, and for threads to
# share them, few enough to stay in the last cache.
_ELEMENTS_GATHERED = 2**20

# Dtypes that torch can gather and cast batch by batch; others are cast once, up front.
_COMPACT = (np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32)


class DeviceData(Dataset):
    """Samples of one fit, resident on its device.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, features), CSR matrix or Source
        Kept in its dtype; a sparse matrix stays on the host and is made dense a batch
        at a time, a source stays where it is and is read a window at a time.
    y : Tensor
        Targets as the loss wants them, one row a sample.
    weight : ndarray of shape (n,) or None
        Sample weights.
    dtype : torch.dtype
        Dtype of the batches' features.
    device : torch.device
        Device of the batches.
    index : ndarray of int or None
        Rows that belong to the set, in their order; None for all.
    """

    def __init__(
        self,
        X: np.ndarray | Tensor | scipy.sparse.csr_matrix | Source,
        y: Tensor,
        weight: np.ndarray | None,
        dtype: torch.dtype,
        device: torch.device,
        index: np.ndarray | None = None,
    ) -> None:
        index = np.arange(X.shape[0]) if index is None else index
        self.shares_features = not isinstance(X, Source)
        self.streams = isinstance(X, Source) and not X.fits_in_memory(len(index))
        if isinstance(X, Source) and not self.streams:  # few enough to be read once
            X, y = X.read(index), y[torch.from_numpy(index)]
            weight = None if weight is None else weight[index]
            index = np.arange(len(index))
        self.index = index
        if isinstance(X, np.ndarray):
            X = on_device(X, dtype, device)
        elif isinstance(X, Tensor):
            X = X.to(device)
        self.X: Any = X
        self.y = y.to(device)
        self.host_weight = weight
        self.weight = (
            None
            if weight is None
            else torch.as_tensor(weight, dtype=dtype, device=device)
        )
        self.dtype = dtype
        self.device = device

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.index)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        """Return features and target of row `i`."""
        x, y, _ = self.gather(torch.tensor([self.index[i]]))
        return x[0], y[0]

    def with_indices(self, index: np.ndarray) -> "DeviceData":
        """Return a set of other rows of the same tensors."""
        taken = copy.copy(self)
        taken.index = index
        return taken

    def max_abs(self) -> float:
        """Return the largest absolute feature, of other rows of the tensors too."""
        if isinstance(self.X, Source):
            return self.X.max_abs()
        return float(max(self.X.max(), -float(self.X.min())))

    def shuffle(
        self, order: np.ndarray, random_state: np.random.RandomState, batch_size: int
    ) -> np.ndarray:
        """Return a new order: scikit-learn's, or one that windows can be read in."""
        if self.streams:
            return self.X.shuffled(self.index, random_state, batch_size)
        # sklearn.utils.shuffle without its checks, which take as long as an epoch.
        places = np.arange(len(order))
        random_state.shuffle(places)
        return order[places]

    def held(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple["DeviceData", Tensor, np.ndarray]]:
        """Yield the rows of an order in memory, all or in windows of whole batches.

        With them come their places there, and the part of the order that they are.
        """
        if not self.streams:
            places = torch.from_numpy(order)
            on_host = scipy.sparse.issparse(self.X)
            yield self, places if on_host else places.to(self.device), order
            return
        for window in self.X.windows(order, batch_size):
            part = copy.copy(self)
            rows = torch.from_numpy(window.rows)
            part.X = on_device(window.X, self.dtype, self.device)
            part.y = self.y[rows.to(self.device)]
            if self.weight is not None:
                part.weight = self.weight[rows.to(self.device)]
            places = torch.from_numpy(window.places)
            yield part, places.to(self.device), order[window.part]

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return features, targets and weights of the rows in `index`."""
        if isinstance(self.X, Tensor):
            index = index.to(self.device)
            with using_threads(tuned_thread_count()):
                x = self.X.index_select(0, index)
        else:
            part = self.X[index.numpy()]  # of a CSR matrix or a source
            dense = np.asarray(part) if self.streams else part.toarray()
            x = torch.from_numpy(dense.reshape(len(index), -1)).to(self.device)
            x = x.clone() if x.data_ptr() % ALIGNMENT else x
            index = index.to(self.device)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return x.to(self.dtype), self.y.index_select(0, index), weight


class BatchLoader:
    """Iterate over the rows of a `DeviceData` in batches, each epoch in a new order.

    Parameters
    ----------
    data : DeviceData
        What to draw from.
    batch_size : int
        Rows in a batch; the last one of an epoch may be shorter.
    random_state : RandomState or None
        Shuffles the order of the epoch before, as scikit-learn does; None keeps it.
    augment : callable or None
        Applied to the features of every batch.
    """

    def __init__(
        self,
        data: DeviceData,
        batch_size: int,
        random_state: np.random.RandomState | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.random_state = random_state
        self.augment = augment
        self.order = data.index

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.data) // self.batch_size)

    def next_order(self) -> np.ndarray:
        """Return the rows in the order of the coming epoch."""
        if self.random_state is not None:
            self.order = self.data.shuffle(
                self.order, self.random_state, self.batch_size
            )
        return self.order

    def follow(self, other: "BatchLoader") -> None:
        """Go on as if the orders that `other` has drawn had been drawn here."""
        if self is not other and self.random_state and other.random_state:
            self.random_state.set_state(other.random_state.get_state())
        self.order = other.order

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        size = self.batch_size
        for rows, places, order in self.data.held(self.next_order(), size):
            for stretch in slices_of_size(len(order), size * self._gathered_at_once()):
                X, Y, W = rows.gather(places[stretch])
                batches = zip(_split(X, size), _split(Y, size), strict=True)
                for i, (x, y) in enumerate(batches):
                    weight, total = None, float(x.shape[0])
                    if W is not None and rows.host_weight is not None:
                        weight = W[i * size : i * size + len(x)]
                        # Summed on the host, so that no batch waits for the device.
                        of_batch = order[stretch][i * size : i * size + len(x)]
                        total = float(rows.host_weight[of_batch].sum())
                        if total:
                            weight = weight.div_(total)
                    x = x if self.augment is None else self.augment(x)
                    yield x, y, weight, total

    def _gathered_at_once(self) -> int:
        """Return how many batches to gather by one call."""
        elements = self.batch_size * max(1, math.prod(self.data.X.shape[1:]))
        return batches_per_gather(elements, self.data.dtype)


def _split(rows: Tensor, size: int) -> Sequence[Tensor]:
    """Return batches of rows; torch's `split` takes a while to find that it is one."""
    return (rows,) if rows.shape[0] <= size else rows.split(size)


def batches_per_gather(elements: int, dtype: torch.dtype) -> int:
    """Return how many steps of so many features to gather by one call."""
    # At other addresses products may round differently, and these depend on what came
    # before.
    if elements * dtype.itemsize % ALIGNMENT:
        return 1
    return max(1, _ELEMENTS_GATHERED // max(1, elements))


def slices_of_size(n_rows: int, size: int) -> list[slice]:
    """Return slices of at most `size` rows.

    As `sklearn.utils.gen_batches`, whose checks take longer than to predict a row.
    """
    starts = range(0, n_rows, size)
    return [slice(start, min(start + size, n_rows)) for start in starts]


def samples_per_chunk(widest_layer_size: int) -> int:
    """Return how many rows to compute together without training on them."""
    return max(1, _ELEMENTS_AT_ONCE // max(1, widest_layer_size))


def as_tensor(X: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Wrap an array in a tensor, without a copy where torch can; else cast to dtype."""
    native = X.dtype.newbyteorder("=")
    trained = np.float64 if dtype == torch.float64 else np.float32
    X = X.astype(native if native in _COMPACT else trained, copy=False)
    if not X.flags.writeable or any(stride < 0 for stride in X.strides):
        X = X.copy()
    return torch.from_numpy(X)


def on_device(X: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Move an array to a device, in its own dtype if that is one it can have there."""
    x = as_tensor(X, dtype)
    return x.to(device, widest_float(device) if x.dtype == torch.float64 else x.dtype)


def features(
    X: np.ndarray | scipy.sparse.csr_matrix, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return rows as a dense tensor whose address does not change its products."""
    x = torch.from_numpy(X.toarray()) if hasattr(X, "toarray") else as_tensor(X, dtype)
    x = x.to(device=device, dtype=dtype)
    # BLAS may round differently at other alignments; predictions should not.
    return x.clone() if x.data_ptr() % ALIGNMENT else x.contiguous()
