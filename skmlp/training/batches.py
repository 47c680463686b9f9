"""Rows on the device as they came, and batches of them in the dtype of training."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse
import torch
from skorch.dataset import Dataset
from torch import Tensor

from skmlp.training.flat import ALIGNMENT

# Features, targets, row weights that sum to one (or None), and the sum they had.
Batch = tuple[Tensor, Tensor, Tensor | None, float]
Augment = Callable[[Tensor], Tensor]

# Rows of predictions computed at once: large enough to keep a device busy, small enough
# that memory does not grow with the number of rows.
_ELEMENTS_AT_ONCE = 2**21

# Dtypes that torch can gather and cast batch by batch; others are cast once, up front.
_COMPACT = (np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32)


class Rows(Dataset):
    """Samples of one fit, resident on its device.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, features), or CSR matrix
        Kept in its dtype; a sparse matrix stays on the host and is made dense a batch
        at a time.
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
        X: np.ndarray | Tensor | scipy.sparse.csr_matrix,
        y: Tensor,
        weight: np.ndarray | None,
        dtype: torch.dtype,
        device: torch.device,
        index: np.ndarray | None = None,
    ) -> None:
        self.index = np.arange(X.shape[0]) if index is None else index
        if isinstance(X, np.ndarray):
            X = as_tensor(X)
        self.X = X.to(device) if isinstance(X, Tensor) else X
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

    def take(self, index: np.ndarray) -> "Rows":
        """Return a set of other rows of the same tensors."""
        taken = copy.copy(self)
        taken.index = index
        return taken

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return features, targets and weights of the rows in `index`."""
        if isinstance(self.X, Tensor):
            index = index.to(self.device)
            x = self.X.index_select(0, index)
        else:
            x = torch.from_numpy(self.X[index.numpy()].toarray()).to(self.device)
            index = index.to(self.device)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return x.to(self.dtype), self.y.index_select(0, index), weight


class Batches:
    """Iterate over the rows of a `Rows` in batches, each epoch in a new order.

    Parameters
    ----------
    rows : Rows
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
        rows: Rows,
        batch_size: int,
        random_state: np.random.RandomState | None = None,
        augment: Augment | None = None,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.random_state = random_state
        self.augment = augment
        self.order = rows.index

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def next_order(self) -> np.ndarray:
        """Return the rows in the order of the coming epoch."""
        if self.random_state is not None:
            # sklearn.utils.shuffle without its checks, which take as long as an epoch.
            places = np.arange(len(self.order))
            self.random_state.shuffle(places)
            self.order = self.order[places]
        return self.order

    def follow(self, other: "Batches") -> None:
        """Go on as if the orders that `other` has drawn had been drawn here."""
        if self is not other and self.random_state and other.random_state:
            self.random_state.set_state(other.random_state.get_state())
        self.order = other.order

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        order = torch.from_numpy(self.next_order())
        if not scipy.sparse.issparse(self.rows.X):
            order = order.to(self.rows.device)
        for part in slices_of(len(self.rows), self.batch_size):
            total = float(part.stop - part.start)
            # Summed on the host, so that no batch waits for the device.
            if self.rows.host_weight is not None:
                total = float(self.rows.host_weight[self.order[part]].sum())
            x, y, weight = self.rows.gather(order[part])
            if weight is not None and total:
                weight = weight.div_(total)
            yield (x if self.augment is None else self.augment(x)), y, weight, total


def slices_of(n_rows: int, size: int) -> list[slice]:
    """Return slices of at most `size` rows.

    As `sklearn.utils.gen_batches`, whose checks take longer than to predict a row.
    """
    starts = range(0, n_rows, size)
    return [slice(start, min(start + size, n_rows)) for start in starts]


def rows_at_once(widest_layer: int) -> int:
    """Return how many rows to compute together without training on them."""
    return max(1, _ELEMENTS_AT_ONCE // max(1, widest_layer))


def as_tensor(X: np.ndarray) -> Tensor:
    """Wrap an array in a tensor, without a copy where torch can."""
    native = X.dtype.newbyteorder("=")
    X = X.astype(native if native in _COMPACT else np.float32, copy=False)
    if not X.flags.writeable or any(stride < 0 for stride in X.strides):
        X = X.copy()
    return torch.from_numpy(X)


def features(
    X: np.ndarray | scipy.sparse.csr_matrix, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return rows as a dense tensor whose address does not change its products."""
    x = torch.from_numpy(X.toarray()) if hasattr(X, "toarray") else as_tensor(X)
    x = x.to(device=device, dtype=dtype)
    # BLAS may round differently at other alignments; predictions should not.
    return x.clone() if x.data_ptr() % ALIGNMENT else x.contiguous()
