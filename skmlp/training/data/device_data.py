"""The samples of a training or validation set on the device, in the dtype of X.

Three kinds of indices occur:

- A sample index is the index of a sample in the X and y of the fit. `DeviceData.index`
  has the sample indices of one training or validation set.
- An order is an array of sample indices in the order of training.
- A position is a row of the tensors or arrays in memory. It equals the sample index,
  except for a source, which is read in windows.
"""

import copy
from collections.abc import Iterator
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
from skmlp.training.compute.threads import using_threads
from skmlp.training.data.device_tensors import (
    WindowUploader,
    fits_on_gpu,
    read_to_gpu,
    to_device_tensor,
)
from skmlp.training.data.slices import slices_of_size
from skmlp.training.data.sources import Source


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
        x, y = self.gather(torch.tensor([self.index[i]]))
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

    def gather(self, index: Tensor, n_threads: int = 1) -> tuple[Tensor, Tensor]:
        """Return features and targets of the samples in `index`.

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
        x = x.to(self.dtype)
        return x, x if self.y is None else self.y.index_select(0, index)
