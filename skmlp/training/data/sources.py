"""Rows that are not in memory: read in blocks, while the network trains.

An array of at most ``WINDOW`` bytes is read once and is then like any other. Of a
larger one there are two windows in memory: the one that is trained on, and the next,
which a thread reads meanwhile.
"""

import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from sklearn.utils import gen_batches

WINDOW = 2**26  # bytes of rows held at once, and shuffled among each other
_BLOCK = 2**20  # bytes of neighbouring rows read at once, wherever the window reaches

_AROUND = 2**16  # bytes beside a page that a system may map together with it

# In the name of the folder of what joblib hands to its workers: arrays that are in the
# memory of the process that started them.
_SHARED_BY_JOBLIB = "joblib_memmapping_folder"


class Window(NamedTuple):
    """Rows in memory: a part of an order, in which `places` find theirs."""

    part: slice
    rows: np.ndarray  # their numbers, ascending
    X: np.ndarray
    places: np.ndarray


class Source:
    """Rows of an array outside memory, all of them or some, as flat rows.

    Parameters
    ----------
    array : object
        With ``shape``, ``dtype``, and slices or lists of numbers that give rows.
    rows : ndarray of int or None
        Those that belong to the source, ascending; None for all.

    Attributes
    ----------
    shape : tuple of int
        Rows and features.
    sample_shape : tuple of int
        Shape of a row in the array.
    dtype : numpy.dtype
        Of the rows as they are read.

    Raises
    ------
    TypeError
        If the array does not hold numbers.
    """

    ndim = 2

    def __init__(self, array: Any, rows: np.ndarray | None = None) -> None:
        given = np.dtype(array.dtype)
        if given.kind not in "fiub":
            raise TypeError(f"X has dtype {given}, but has to hold numbers.")
        foreign = given.itemsize > 8 or not given.isnative
        self.dtype = np.dtype(np.float64) if foreign else given
        self.sample_shape = tuple(map(int, array.shape[1:]))
        n_rows = int(array.shape[0]) if rows is None else len(rows)
        self.shape = n_rows, int(np.prod(self.sample_shape, dtype=np.int64))
        self._array, self._rows = array, rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> "Source":
        """Return some of the rows as a source; none is read."""
        if isinstance(key, tuple):  # scikit-learn asks for [rows, ...]
            key = key[0]
        return self.take(np.arange(len(self))[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all rows."""
        rows = self.read(np.arange(len(self))).reshape(len(self), *self.sample_shape)
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def take(self, rows: np.ndarray) -> "Source":
        """Return some of the rows as a source; none is read."""
        return Source(self._array, rows if self._rows is None else self._rows[rows])

    @property
    def placeholder(self) -> np.ndarray:
        """An array of this shape that takes no memory, for checks of all but values."""
        return np.broadcast_to(np.uint8(0), self.shape)

    # Sizes

    @property
    def _row_bytes(self) -> int:
        return max(1, self.shape[1] * self.dtype.itemsize)

    @property
    def block_rows(self) -> int:
        """How many neighbours are read at once: a chunk, where there are such."""
        rows = _BLOCK // self._row_bytes
        chunks = getattr(self._array, "chunks", None)
        if chunks:  # of dask, a tuple for every axis
            rows = max(rows, int(np.max(chunks[0])))
        return max(1, min(rows, WINDOW // self._row_bytes))

    def window_rows(self, multiple: int) -> int:
        """How many rows are held at once, in whole batches of `multiple`."""
        return multiple * max(1, WINDOW // self._row_bytes // multiple)

    def fits_in_memory(self, n_rows: int) -> bool:
        """Whether so many rows are few enough to be kept."""
        return n_rows * self._row_bytes <= WINDOW

    # Orders

    def sorted_by_position(self, rows: np.ndarray) -> np.ndarray:
        """Return `rows` in the order in which the array has them."""
        return rows[np.argsort(self._numbers(rows), kind="stable")]

    def shuffled(
        self, rows: np.ndarray, random_state: np.random.RandomState, multiple: int
    ) -> np.ndarray:
        """Return ascending rows in a random order that windows can be read in.

        Blocks of neighbours change places, then rows within each window.
        """
        of_block = self._numbers(rows) // self.block_rows
        blocks = np.split(rows, np.flatnonzero(np.diff(of_block)) + 1)
        places = np.arange(len(blocks))
        random_state.shuffle(places)
        order = np.concatenate([blocks[place] for place in places])
        for part in gen_batches(len(order), self.window_rows(multiple)):
            random_state.shuffle(order[part])
        return order

    # Reading

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return rows, by their numbers in any order, in an array of their own."""
        numbers = self._numbers(rows)
        order = np.argsort(numbers, kind="stable")
        if out is None:
            out = np.empty((len(rows), self.shape[1]), self.dtype)
        ascending = bool((order[1:] > order[:-1]).all())
        numbers = numbers[order]
        cuts = np.flatnonzero(np.diff(numbers // self.block_rows)) + 1
        for part in np.split(np.arange(len(rows)), cuts) if len(rows) else ():
            wanted = numbers[part]
            first, last = int(wanted[0]), int(wanted[-1])
            block = self._block(first, last + 1)
            all_of_it = len(wanted) == len(block) and bool((np.diff(wanted) == 1).all())
            found = block if all_of_it else block[wanted - first]
            if ascending:
                out[part[0] : part[-1] + 1] = found
            else:
                out[order[part]] = found
            _forget(self._array, block)
        return out

    def windows(self, order: np.ndarray, multiple: int) -> Iterator[Window]:
        """Read the rows of an order, a window of them ahead of those in use.

        The arrays of a window are overwritten once the next is asked for.
        """
        size = self.window_rows(multiple)
        parts = list(gen_batches(len(order), size))
        held = [np.empty((min(size, len(order)), self.shape[1]), self.dtype)]
        held += [np.empty_like(held[0])] if len(parts) > 1 else []

        def read(number: int) -> Window:
            part = parts[number]
            rows = order[part]
            by_number = np.argsort(self._numbers(rows), kind="stable")
            places = np.empty_like(by_number)
            places[by_number] = np.arange(len(rows))
            X = held[number % 2][: len(rows)]
            return Window(part, rows[by_number], self.read(rows[by_number], X), places)

        if len(parts) == 1:
            yield read(0)
            return
        with ThreadPoolExecutor(1, "skmlp-reader") as reader:
            coming = reader.submit(read, 0)
            for number in range(1, len(parts)):
                window = coming.result()
                coming = reader.submit(read, number)
                yield window
            yield coming.result()

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read all rows, some at once, each time with the number of the first."""
        for part in gen_batches(len(self), self.block_rows):
            yield part.start, self.read(np.arange(part.start, part.stop))

    def check_finite(self) -> None:
        """Refuse what is no finite number, by the row in which it stands."""
        if self.dtype.kind != "f":
            return
        for start, block in self.blocks():
            good = np.isfinite(block).all(axis=1)
            if not good.all():
                row = int(good.argmin())
                what = "NaN" if np.isnan(block[row]).any() else "infinity"
                raise ValueError(f"Input X contains {what} in row {start + row}.")

    def max_abs(self) -> float:
        """Return the largest absolute value."""
        return max(
            max(float(block.max()), -float(block.min())) for _, block in self.blocks()
        )

    def _numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows of the array those of the source are."""
        return rows if self._rows is None else self._rows[rows]

    def _block(self, start: int, stop: int) -> np.ndarray:
        """Return neighbouring rows of the array."""
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
    """Flat rows of two arrays or sources, one after the other, as an array."""

    def __init__(self, first: Any, second: Any) -> None:
        self._parts = first, second
        self.shape = len(first) + len(second), first.shape[1]
        self.dtype = np.result_type(first.dtype, second.dtype)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return neighbouring rows."""
        first, second = self._parts
        start, stop = (max(0, row - len(first)) for row in (rows.start, rows.stop))
        pieces = first[rows], second[start:stop]
        n_features = self.shape[1]
        return np.concatenate([np.reshape(p, (len(p), n_features)) for p in pieces])


def as_source(X: Any) -> Any:
    """Return what is too large to be kept as a `Source`, tensors and others as arrays.

    Anything that is in memory already, and is no tensor, is returned as it is.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, Source) or not _outside_memory(X):
        return X
    source = Source(X)
    if not source.fits_in_memory(len(source)):
        return source
    return X if isinstance(X, np.memmap) else np.asarray(source)


def _outside_memory(X: Any) -> bool:
    """Whether X is rows that somebody keeps elsewhere."""
    if isinstance(X, np.memmap):
        return X.ndim > 1 and _SHARED_BY_JOBLIB not in str(X.filename)
    if isinstance(X, np.ndarray) or scipy.sparse.issparse(X):
        return False
    if hasattr(X, "iloc") or hasattr(X, "__array_namespace__"):
        return False  # a frame, or an array of some device
    needed = ("shape", "dtype", "__getitem__")
    return all(hasattr(X, name) for name in needed) and len(X.shape) > 1


def _forget(array: Any, block: np.ndarray) -> None:
    """Give back the pages of a mapped file, which count as memory of the process."""
    mapped = getattr(array, "_mmap", None)
    if (
        mapped is None
        or not hasattr(mmap, "MADV_DONTNEED")
        or array.mode == "c"  # changes of the caller's would be lost
        or not block.flags.c_contiguous
    ):
        return
    begin = block.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    if not 0 <= begin <= len(mapped) - block.nbytes:
        return  # a copy: images that were cropped or turned are no rows of the file
    first = max(0, begin - _AROUND)
    first -= first % mmap.PAGESIZE
    last = min(len(mapped), begin + block.nbytes + _AROUND)
    mapped.madvise(mmap.MADV_DONTNEED, first, last - first)
