"""Arrays as tensors on a device, and the samples of a large source on a GPU."""

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from skmlp.training.compute.devices import (
    highest_precision_float,
    jobs_per_device,
    upload,
)
from skmlp.training.compute.memory import ALIGNMENT
from skmlp.training.data.sources import Source

# Dtypes that torch can gather and cast batch by batch. Other dtypes are cast first.
_KEPT_DTYPES = frozenset(
    (np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32)
)

# Largest fraction of the free memory of a GPU that holds the samples of a source.
_MAX_RESIDENT_FRACTION = 0.5


def as_tensor(X: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an array as a tensor that shares its memory, if torch supports that.

    Otherwise the array is copied. It is cast to `dtype` if torch does not support the
    dtype of the array.
    """
    if X.dtype.type not in _KEPT_DTYPES:
        X = X.astype(np.float64 if dtype == torch.float64 else np.float32)
    elif not X.dtype.isnative:
        X = X.astype(X.dtype.newbyteorder("="))
    if not X.flags.writeable or any(stride < 0 for stride in X.strides):
        X = X.copy()
    return torch.from_numpy(X)


def to_device_tensor(X: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copy an array to a device, in the array's dtype if the device supports it."""
    x = as_tensor(X, dtype)
    return x.to(
        device, highest_precision_float(device) if x.dtype == torch.float64 else x.dtype
    )


def to_dense_aligned(
    X: np.ndarray | scipy.sparse.csr_matrix, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return samples as a dense tensor on the device, at an aligned address.

    The rounding of BLAS can depend on the address. Predictions should not.
    """
    x = torch.from_numpy(X.toarray()) if hasattr(X, "toarray") else as_tensor(X, dtype)
    if x.element_size() < dtype.itemsize:  # bytes are copied as bytes
        x = x.to(device)
    x = x.to(device=device, dtype=dtype)
    return x.clone() if x.data_ptr() % ALIGNMENT else x.contiguous()


def fits_on_gpu(
    source: Source, n_samples: int, dtype: torch.dtype, device: torch.device
) -> bool:
    """Return whether samples need at most half of the free memory of a GPU.

    The jobs on the GPU share its memory.
    """
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    bytes_per_value = as_tensor(np.empty(0, source.dtype), dtype).element_size()
    n_bytes = n_samples * source.shape[1] * bytes_per_value
    return n_bytes <= _MAX_RESIDENT_FRACTION * free / jobs_per_device()


def read_to_gpu(source: Source, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return all samples of a source on a GPU; the host reads them in windows."""
    uploader, X = WindowUploader(dtype, device), None
    for window in source.windows(np.arange(len(source)), 1):
        samples = uploader.upload(window.X)
        positions = upload(torch.from_numpy(window.positions), device)
        if X is None:
            X = samples.new_empty(source.shape)
        X[window.order_slice] = samples.index_select(0, positions)
    assert X is not None
    return X


class WindowUploader:
    """Copies windows to a device while the device computes with earlier ones.

    A GPU copies on a stream of its own, from two buffers in pinned memory. The host
    waits only if the copy from a buffer has not ended when the buffer is needed again.

    Parameters
    ----------
    dtype : torch.dtype
        Dtype of training. Windows keep their own one if torch can gather it.
    device : torch.device
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        # Buffers and the ends of their copies; the next one to use is the first.
        self._buffers: list[tuple[Tensor, torch.cuda.Event]] = []
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def upload(self, X: np.ndarray) -> Tensor:
        """Return the samples of a window, of at most the size of the first one."""
        if self._stream is None:
            return to_device_tensor(X, self._dtype, self._device)
        x = as_tensor(X, self._dtype)
        if len(self._buffers) < 2:
            buffer = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
            copied = torch.cuda.Event()
        else:
            buffer, copied = self._buffers.pop(0)
            copied.synchronize()
        self._buffers.append((buffer, copied))
        used = buffer[: len(x)]
        used.copy_(x)
        with torch.cuda.stream(self._stream):
            on_device = used.to(self._device, non_blocking=True)
            copied.record(self._stream)
        current = torch.cuda.current_stream(self._device)
        current.wait_event(copied)
        # torch must not use its memory again before the current stream has read it.
        on_device.record_stream(current)
        return on_device
