"""Out-of-core arrays, which are read in blocks during training.

A source of at most `WINDOW_BYTES` is read once and is then an ordinary array. For a
larger source, two windows are in memory: the network trains on one, and a thread reads
the next one.

Three kinds of indices occur:

- A row is an index of the array. A source may consist of some rows of the array.
- A sample index is an index of the source.
- A position is an index of the array in memory that holds one window.

An order is an array of sample indices in the order of training.
"""

import math
import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from sklearn.utils import gen_batches

from skmlp.training.compute.seeds import RandomStateFork

# Size of a window, which is the shuffle buffer. Its samples are shuffled individually.
WINDOW_BYTES = 2**26
# Size of a block of neighboring samples, which is read at once. The shuffle moves whole
# blocks into windows.
_BLOCK_BYTES = 2**20

# Bytes around a page that the system may map together with it.
_BYTES_AROUND_PAGE = 2**16

# Part of the name of the folder with the memory maps that joblib creates for its
# workers. Their files are copies of arrays in the parent's memory, so a worker treats
# such a memory map as an array in memory.
_JOBLIB_FOLDER = "joblib_memmapping_folder"


class Window(NamedTuple):
    """The samples of one slice of an order, in memory.

    Parameters
    ----------
    order_slice : slice
        The slice of the order.
    sample_index : ndarray of int
        Indices of the samples, sorted by their rows in the array.
    X : ndarray
        Features of these samples, sorted in the same way.
    positions : ndarray of int
        ``positions[i]`` is the position in `X` of the i-th sample of the slice.
    """

    order_slice: slice
    sample_index: np.ndarray
    X: np.ndarray
    positions: np.ndarray


class Source:
    """Samples of an out-of-core array, with flat features.

    Parameters
    ----------
    array : object
        Has a ``shape`` and a ``dtype``, and returns samples for slices or for lists of
        indices.
    rows : ndarray of int or None
        Ascending indices of the array's rows that belong to the source; None for all.

    Attributes
    ----------
    shape : tuple of int
        Numbers of samples and features.
    sample_shape : tuple of int
        Shape of a sample in the array.
    dtype : numpy.dtype
        Dtype in which samples are read.

    Raises
    ------
    TypeError
        If the array does not hold numbers.
    """

    ndim = 2

    def __init__(self, array: Any, rows: np.ndarray | None = None) -> None:
        array_dtype = np.dtype(array.dtype)
        if array_dtype.kind not in "fiub":
            raise TypeError(f"X has dtype {array_dtype}, but has to hold numbers.")
        is_foreign = array_dtype.itemsize > 8 or not array_dtype.isnative
        self.dtype = np.dtype(np.float64) if is_foreign else array_dtype
        self.sample_shape = tuple(map(int, array.shape[1:]))
        n_samples = int(array.shape[0]) if rows is None else len(rows)
        self.shape = n_samples, int(np.prod(self.sample_shape, dtype=np.int64))
        self._array, self._rows = array, rows

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> "Source":
        """Return some of the samples as a source, without reading them."""
        if isinstance(key, tuple):  # scikit-learn indexes by [index, ...]
            key = key[0]
        return self.take(np.arange(len(self))[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all samples."""
        samples = self.read(np.arange(len(self)))
        samples = samples.reshape(len(self), *self.sample_shape)
        return samples if dtype is None else samples.astype(dtype, copy=False)

    def take(self, index: np.ndarray) -> "Source":
        """Return some of the samples as a source, without reading them."""
        return Source(self._array, self._array_rows(index))

    @property
    def placeholder(self) -> np.ndarray:
        """A broadcast array of this shape, for the shape checks of scikit-learn.

        It needs no memory for its values.
        """
        return np.broadcast_to(np.uint8(0), self.shape)

    # Sizes

    @property
    def _bytes_per_sample(self) -> int:
        """Bytes of a sample, at least 1."""
        return max(1, self.shape[1] * self.dtype.itemsize)

    @property
    def samples_per_block(self) -> int:
        """Number of neighboring samples that are read at once."""
        n_samples = _BLOCK_BYTES // self._bytes_per_sample
        chunks = getattr(self._array, "chunks", None)
        if chunks:  # read whole chunks; dask has a tuple of sizes for every axis
            n_samples = max(n_samples, int(np.max(chunks[0])))
        return max(1, min(n_samples, WINDOW_BYTES // self._bytes_per_sample))

    def samples_per_window(self, batch_size: int) -> int:
        """Return the number of samples in a window, a multiple of the batch size."""
        n_batches = WINDOW_BYTES // self._bytes_per_sample // batch_size
        return batch_size * max(1, n_batches)

    def fits_in_memory(self, n_samples: int) -> bool:
        """Return whether `n_samples` are few enough to be read at once."""
        return n_samples * self._bytes_per_sample <= WINDOW_BYTES

    # Orders

    def sorted_by_row(self, index: np.ndarray) -> np.ndarray:
        """Return sample indices, sorted by their rows in the array."""
        return index[np.argsort(self._array_rows(index), kind="stable")]

    def shuffled(
        self,
        index: np.ndarray,
        random_state: np.random.RandomState | RandomStateFork,
        batch_size: int,
    ) -> np.ndarray:
        """Return the ascending sample indices `index` in a random order.

        The method shuffles the blocks, and then the samples within each window.
        """
        block_numbers = self._array_rows(index) // self.samples_per_block
        blocks = np.split(index, np.flatnonzero(np.diff(block_numbers)) + 1)
        block_order = np.arange(len(blocks))
        random_state.shuffle(block_order)
        order = np.concatenate([blocks[i] for i in block_order])
        for window in gen_batches(len(order), self.samples_per_window(batch_size)):
            random_state.shuffle(order[window])
        return order

    # Reading

    def read(self, index: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the features of samples, in `out` or a new array."""
        rows = self._array_rows(index)
        order = np.argsort(rows, kind="stable")
        if out is None:
            out = np.empty((len(index), self.shape[1]), self.dtype)
        is_ascending = bool((order[1:] > order[:-1]).all())
        rows = rows[order]
        block_starts = np.flatnonzero(np.diff(rows // self.samples_per_block)) + 1
        for in_block in np.split(np.arange(len(index)), block_starts):
            if not len(in_block):
                continue
            wanted = rows[in_block]
            first, last = int(wanted[0]), int(wanted[-1])
            block = self._read_block(first, last + 1)
            # If all rows of the block are wanted, indexing would only copy the block.
            is_whole = len(wanted) == len(block) and bool((np.diff(wanted) == 1).all())
            samples = block if is_whole else block[wanted - first]
            # Ascending samples are written by a slice, which is faster than indices.
            if is_ascending:
                out[in_block[0] : in_block[-1] + 1] = samples
            else:
                out[order[in_block]] = samples
            _release_pages(self._array, block)
        return out

    def windows(self, order: np.ndarray, batch_size: int) -> Iterator[Window]:
        """Read the samples of an order in windows.

        A thread reads the next window while the caller uses the current one. There are
        two buffers. A window is valid until the next one is requested.
        """
        size = self.samples_per_window(batch_size)
        slices = list(gen_batches(len(order), size))
        buffers = [np.empty((min(size, len(order)), self.shape[1]), self.dtype)]
        buffers += [np.empty_like(buffers[0])] if len(slices) > 1 else []

        def read(number: int) -> Window:
            order_slice = slices[number]
            index = order[order_slice]
            by_row = np.argsort(self._array_rows(index), kind="stable")
            positions = np.empty_like(by_row)
            positions[by_row] = np.arange(len(index))
            X = self.read(index[by_row], buffers[number % 2][: len(index)])
            return Window(order_slice, index[by_row], X, positions)

        if len(slices) == 1:
            yield read(0)
            return
        with ThreadPoolExecutor(1, "skmlp-reader") as reader:
            next_window = reader.submit(read, 0)
            for number in range(1, len(slices)):
                window = next_window.result()
                next_window = reader.submit(read, number)
                yield window
            yield next_window.result()

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read all samples in blocks; yield the index of the first one with each."""
        for block in gen_batches(len(self), self.samples_per_block):
            yield block.start, self.read(np.arange(block.start, block.stop))

    def check_finite(self, largest: float | None = None) -> None:
        """Raise ValueError with the first sample that holds NaN or infinity.

        An absolute value above `largest` is refused too.
        """
        if self.dtype.kind != "f":
            return
        for start, block in self.blocks():
            is_finite = np.isfinite(block).all(axis=1)
            if not is_finite.all():
                row = int(is_finite.argmin())
                what = "NaN" if np.isnan(block[row]).any() else "infinity"
                raise ValueError(f"Input X contains {what} in row {start + row}.")
            if largest is not None and np.abs(block).max(initial=0.0) > largest:
                row = int(np.abs(block).max(axis=1).argmax())
                raise ValueError(
                    f"X holds {np.abs(block[row]).max():g} in row {start + row}, but "
                    f"float32 holds values up to {largest:.2g}; scale X, or fit with "
                    "dtype='float64'."
                )

    def max_abs(self) -> float:
        """Return the largest absolute value."""
        return max(
            max(float(block.max()), -float(block.min())) for _, block in self.blocks()
        )

    def _array_rows(self, index: np.ndarray) -> np.ndarray:
        """Return the array's rows that hold the samples of the source."""
        return index if self._rows is None else self._rows[index]

    def _read_block(self, start: int, stop: int) -> np.ndarray:
        """Return neighboring rows of the array, flat."""
        try:
            block = np.asarray(self._array[start:stop])
        except (TypeError, IndexError, KeyError, NotImplementedError):
            block = np.asarray(self._array[list(range(start, stop))])
        if block.shape != (stop - start, *self.sample_shape):
            raise ValueError(
                f"X[{start}:{stop}] has shape {block.shape}, but X.shape promises "
                f"{(stop - start, *self.sample_shape)}."
            )
        return block.reshape(len(block), -1)


class ConcatenatedArrays:
    """Lazy concatenation of two arrays or sources along the first axis."""

    def __init__(self, first: Any, second: Any) -> None:
        self._arrays = first, second
        self.shape = len(first) + len(second), first.shape[1]
        self.dtype = np.result_type(first.dtype, second.dtype)

    def __getitem__(self, index: slice) -> np.ndarray:
        """Return neighboring samples."""
        first, second = self._arrays
        start = max(0, index.start - len(first))
        stop = max(0, index.stop - len(first))
        samples = first[index], second[start:stop]
        n_features = self.shape[1]
        return np.concatenate([np.reshape(s, (len(s), n_features)) for s in samples])


def as_source(X: Any) -> Any:
    """Convert X to a `Source` or an array.

    - An out-of-core array larger than `WINDOW_BYTES` becomes a `Source`.
    - A smaller one becomes an array in memory, unless it is a memory map.
    - A dask array of unknown length is computed once to learn the sizes of its chunks.
    - A tensor becomes an array.
    - Other values are returned unchanged.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, Source) or not _is_outside_memory(X):
        return X
    if hasattr(X, "compute_chunk_sizes") and math.isnan(X.shape[0]):
        X = X.copy().compute_chunk_sizes()
    source = Source(X)
    if not source.fits_in_memory(len(source)):
        return source
    return X if isinstance(X, np.memmap) else np.asarray(source)


def _is_outside_memory(X: Any) -> bool:
    """Return whether X is an out-of-core array with at least two dimensions."""
    if isinstance(X, np.memmap):
        return X.ndim > 1 and _JOBLIB_FOLDER not in str(X.filename)
    if isinstance(X, np.ndarray) or scipy.sparse.issparse(X):
        return False
    if hasattr(X, "iloc") or hasattr(X, "__array_namespace__"):
        return False  # a data frame, or an array on a device
    needed = ("shape", "dtype", "__getitem__")
    return all(hasattr(X, name) for name in needed) and len(X.shape) > 1


def _release_pages(array: Any, block: np.ndarray) -> None:
    """Return the pages of a block of a mapped file to the system.

    Otherwise they count as resident memory of the process.
    """
    mapped = getattr(array, "_mmap", None)
    if (
        mapped is None
        or not hasattr(mmap, "MADV_DONTNEED")
        or array.mode == "c"  # the caller's changes would be lost
        or not block.flags.c_contiguous
    ):
        return
    begin = block.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    if not 0 <= begin <= len(mapped) - block.nbytes:
        return  # `block` is not a view of the file but a copy, e.g. of cropped images
    first = max(0, begin - _BYTES_AROUND_PAGE)
    first -= first % mmap.PAGESIZE
    last = min(len(mapped), begin + block.nbytes + _BYTES_AROUND_PAGE)
    mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
