"""The IDX file format of MNIST: one big-endian array per file."""

from __future__ import annotations

import gzip
import math
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skmlp.storage.atomic_files import replace_file

FileOrPath: TypeAlias = str | os.PathLike[str] | BinaryIO

# The third byte of the magic number: http://yann.lecun.com/exdb/mnist/
_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(np.int16),
    0x0C: np.dtype(np.int32),
    0x0D: np.dtype(np.float32),
    0x0E: np.dtype(np.float64),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_KNOWN = ", ".join(f"0x{code:02x} ({dtype})" for code, dtype in _DTYPES.items())
_MAX_NDIM = 32  # the limit of the oldest supported NumPy
_MAX_LENGTH = 2**32 - 1  # lengths are unsigned 32-bit integers
_MAX_DEFLATE_RATIO = 1032  # deflate encodes at most 258 bytes in two bits
_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 1 << 18


class _PrependedStream:
    """A stream that returns some bytes again before it continues.

    The bytes were read to detect gzip.
    """

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Read the bytes in front of the stream, then the stream itself."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._stream.read(size)


def read_idx(file: FileOrPath) -> NDArray[Any]:
    """Read the array of an IDX file.

    All numbers in an IDX file are big-endian. The file consists of

    - two zero bytes,
    - one byte for the data type,
    - one byte for the number of dimensions,
    - the length of each dimension as an unsigned 32-bit integer,
    - the values in C order.

    The file may be compressed with gzip. Compression is recognized by the content, not
    by the name.

    Parameters
    ----------
    file : str, path-like or binary file object
        The file. A file object is read from its current position to its end.

    Returns
    -------
    array : ndarray
        The array, writable and in native byte order. Its dtype is uint8, int8, int16,
        int32, float32 or float64.

    Raises
    ------
    ValueError
        If the file is not IDX, or does not have the size that its header claims.
    TypeError
        If `file` is neither a path nor a binary file object.
    OSError
        If the file cannot be opened or read.

    Notes
    -----
    Files are not trusted. The size is checked before memory is allocated for the
    values. A compressed file is unpacked only up to the size that its header claims.

    See Also
    --------
    write_idx : Write an array to an IDX file.

    Examples
    --------
    >>> import io
    >>> from skmlp.datasets import read_idx
    >>> read_idx(io.BytesIO(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])))
    array([5, 0, 4], dtype=uint8)
    """
    return read_ubyte_idx(file, shape=None)


def read_ubyte_idx(file: FileOrPath, shape: tuple[int, ...] | None) -> NDArray[Any]:
    """Read an IDX file; if `shape` is given, it must hold uint8 values of this shape.

    Any array is read if `shape` is None.
    """
    if isinstance(file, str | os.PathLike):
        with Path(file).open("rb") as opened:
            return _read(opened, os.fspath(file), shape)
    if not hasattr(file, "read"):
        raise TypeError(
            f"file must be a path or a binary file object, got {type(file).__name__}."
        )
    return _read(file, str(getattr(file, "name", f"<{type(file).__name__}>")), shape)


def write_idx(file: FileOrPath, array: NDArray[Any]) -> None:
    """Write an array to an IDX file.

    Parameters
    ----------
    file : str, path-like or binary file object
        The file.

        - A path that ends in ``.gz`` is compressed with gzip.
        - An existing file is replaced when the new one is complete.
        - Equal arrays give equal files.
    array : ndarray
        The array, of dtype uint8, int8, int16, int32, float32 or float64. It may have
        any byte order, any memory layout, and at most 32 dimensions.

    Raises
    ------
    ValueError
        If IDX does not support the dtype of the array, its number of dimensions or
        the length of one of them. Nothing is written in this case.
    OSError
        If the file cannot be written. An existing file is unchanged.

    See Also
    --------
    read_idx : Read the array of an IDX file.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from skmlp.datasets import write_idx
    >>> stream = io.BytesIO()
    >>> write_idx(stream, np.array([[1, 2]], dtype=np.int16))
    >>> stream.getvalue().hex(" ", 4)
    '00000b02 00000001 00000002 00010002'
    """
    array = np.asarray(array)
    header = build_idx_header(array)
    big_endian = np.ascontiguousarray(array, array.dtype.newbyteorder(">"))
    values = big_endian.reshape(-1).view(np.uint8).data
    if not isinstance(file, str | os.PathLike):
        file.write(header)
        file.write(values)
        return
    path = Path(file)
    with replace_file(path) as part, part.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                packed.write(header)
                packed.write(values)
        else:
            raw.write(header)
            raw.write(values)


def build_idx_header(array: NDArray[Any]) -> bytes:
    """Return the bytes that precede the values of an array in an IDX file."""
    native = array.dtype.newbyteorder("=")
    if native not in _CODES:
        raise ValueError(
            f"array has dtype {array.dtype}, which IDX cannot hold; "
            f"convert it to one of {', '.join(map(str, _CODES))}."
        )
    if array.ndim > _MAX_NDIM or max(array.shape, default=0) > _MAX_LENGTH:
        raise ValueError(
            f"array has shape {array.shape}; an IDX file takes at most {_MAX_NDIM} "
            f"dimensions of at most {_MAX_LENGTH} each."
        )
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, _CODES[native], array.ndim]) + lengths


def _read(stream: Any, name: str, shape: tuple[int, ...] | None) -> NDArray[Any]:
    """Read a plain or compressed IDX file from a stream."""
    available = _remaining_bytes(stream)
    head = stream.read(len(_GZIP_MAGIC))
    if not isinstance(head, bytes):
        raise TypeError(f"{name} was opened as text; open it in binary mode ('rb').")
    rewound = _PrependedStream(head, stream)
    if head != _GZIP_MAGIC:
        return _parse(rewound, name, shape, available)
    max_bytes = None if available is None else available * _MAX_DEFLATE_RATIO
    try:
        with gzip.GzipFile(fileobj=rewound, mode="rb") as unpacked:  # type: ignore[call-overload]
            return _parse(unpacked, name, shape, max_bytes, compressed=True)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{name} is a damaged gzip file: {error}.") from error


def _remaining_bytes(stream: BinaryIO) -> int | None:
    """Return the number of bytes left in a stream, or None if it is unknown."""
    try:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return None
    except (AttributeError, OSError):  # not a file of the operating system
        pass
    try:
        position = stream.tell()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(position)
    except (AttributeError, OSError):  # not seekable
        return None
    return end - position


def _parse(
    stream: Any,
    name: str,
    expected_shape: tuple[int, ...] | None,
    available: int | None,
    compressed: bool = False,
) -> NDArray[Any]:
    """Read header and values.

    `available` is the exact size of an uncompressed file, or an upper bound on the
    size of a compressed one. It is None if the size is unknown.
    """
    magic = _read_exactly(stream, 4, name, "the magic number")
    code, ndim = magic[2], magic[3]
    if magic[:2] != b"\0\0" or code not in _DTYPES:
        raise ValueError(
            f"{name} is not an IDX file: it starts with 0x{magic.hex()}, where two "
            f"zero bytes, a type code of {_KNOWN} and the number of dimensions belong."
        )
    if ndim > _MAX_NDIM:
        raise ValueError(
            f"{name}: the header claims {ndim} dimensions, more than the "
            f"{_MAX_NDIM} that are read."
        )
    lengths = _read_exactly(stream, 4 * ndim, name, f"{ndim} lengths")
    shape = tuple(np.frombuffer(lengths, ">u4").tolist())
    dtype = _DTYPES[code]
    claim = f"{name}: the header claims {dtype} values of shape {shape}"
    if expected_shape is not None and (dtype, shape) != (np.uint8, expected_shape):
        raise ValueError(f"{claim}, but uint8 of shape {expected_shape} is expected.")

    size = math.prod(shape) * dtype.itemsize
    total = len(magic) + len(lengths) + size
    # NumPy limits the product of the nonzero lengths.
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{claim}, more than this machine can address.")
    if available is not None and (
        total > available or (total < available and not compressed)
    ):
        bound = "can hold at most" if compressed else "has"
        raise ValueError(
            f"{claim}, {total} bytes with the header, but the file {bound} {available}."
        )

    values = _read_exactly(stream, size, name, f"values of shape {shape}")
    if stream.read(1):
        raise ValueError(f"{claim}, {total} bytes with the header, but more follows.")
    if not size:
        return np.empty(shape, dtype)
    array = np.frombuffer(values, dtype).reshape(shape)
    return array.byteswap(inplace=True) if sys.byteorder == "little" else array


def _read_exactly(stream: Any, size: int, name: str, what: str) -> bytearray:
    """Read `size` bytes; memory is allocated only for bytes that were read."""
    content = bytearray()
    while len(content) < size:
        more = stream.read(min(size - len(content), _READ_BYTES))
        if not more:
            raise ValueError(
                f"{name} is truncated: {what} needs {size} bytes, "
                f"but only {len(content)} are left."
            )
        content += more
    return content
