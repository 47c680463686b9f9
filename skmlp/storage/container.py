"""The file format: safetensors, with a description in JSON and a checksum.

The metadata of the safetensors file has one entry, ``skmlp_model`` or
``skmlp_checkpoint``. The entry has two parts:

- The first line is ``format 1, skmlp 0.1.0, sha256 <64 hexadecimal digits>``.
- The rest is the description: JSON, padded with spaces.

The checksum covers the format number, the description, and the name, dtype, shape and
bytes of every array in the order of their names. The header, which is everything before
the arrays, is ASCII.

Files are not trusted. Reading a file takes at most three times its size in memory, or
1 MiB if that is more. The header is checked against this limit before it is parsed.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from skmlp import __version__

FORMAT = 1

_METADATA_KEYS = {"model": "skmlp_model", "checkpoint": "skmlp_checkpoint"}
_FORMAT_LINE = re.compile(r"format (\d{1,9}), skmlp (\S{1,40}), sha256 ([0-9a-f]{64})")

_MAX_HEADER_BYTES = 1 << 25  # JSON of this size is parsed within a second
_MIN_MEMORY_LIMIT = 1 << 20  # reading a small file may always take this much memory
# Upper bounds in bytes: of the parsed JSON for each structural character (comma, colon,
# opening bracket), and of a layer of a network for each array.
_BYTES_PER_STRUCTURAL_CHARACTER = 96
_BYTES_PER_ARRAY = 4096
# Python stores all characters of a string with the width of the widest one. While a
# string is parsed, a narrower copy of it exists, and both are a quarter too long.
_BYTES_PER_CHARACTER = {2: 4, 4: 8}

_WIDE_ESCAPE = re.compile(r"\\u(?!00)")
_WIDEST_ESCAPE = re.compile(r"\\u[dD][89abAB]")
# Escapes of characters beyond ASCII; in the header every backslash is doubled.
_ESCAPE_IN_HEADER = re.compile(rb"(?<!\\)\\u(?!00[0-7])")
_LONG_ESCAPE_IN_HEADER = re.compile(rb"\\\\\\u(?!00[0-7])")


class ModelFileError(ValueError):
    """A file is not a model or checkpoint that this version of skmlp can load.

    The message names the file and says what is wrong with it. A damaged file never
    raises another error.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmlp.persistence import ModelFileError, load_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "empty")
    ...     path.touch()
    ...     try:
    ...         load_model(path)
    ...     except ModelFileError as error:
    ...         print(str(error).partition("empty ")[2])
    is no safetensors file, or not a whole one.
    """


class LazyArrays(Mapping[str, np.ndarray]):
    """The arrays of an open file; an array is read when it is accessed."""

    def __init__(self, file: safetensors.safe_open) -> None:
        self._file = file
        self._names = dict.fromkeys(sorted(file.keys()))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def serialize_container(
    description: str, arrays: Mapping[str, np.ndarray], kind: str = "model"
) -> bytes:
    """Return the content of a file that `open_container` reads.

    Parameters
    ----------
    description : str
        JSON in ASCII.
    arrays : mapping of str to ndarray
        Arrays in native byte order, of dtypes that safetensors and NumPy share.
    kind : {'model', 'checkpoint'}, default='model'
        What the file is.

    Raises
    ------
    ValueError
        If the description is too long to be read.
    """
    size = len(description) + sum(array.nbytes for array in arrays.values())
    # The header's entry of an array has 12 structural characters, and more for its
    # shape.
    n_marks = sum(12 + array.ndim for array in arrays.values()) + 8
    n_marks += _count_structural_characters(description.encode("ascii"))
    parsing_bytes = _max_parsing_bytes(n_marks, len(arrays))
    parsing_bytes += _max_text_bytes(description)
    # A description that is expensive to parse is padded with spaces, until the file is
    # as large as `_check_memory` requires. `size` is without the rest of the header,
    # so the factor is 3 instead of 2.
    if parsing_bytes > _MIN_MEMORY_LIMIT - 3 * size:
        description += " " * (parsing_bytes - size)
    content = seal_container(description, arrays, kind)
    header_bytes = int.from_bytes(content[:8], "little")
    if header_bytes > _MAX_HEADER_BYTES:
        raise ValueError(
            f"The parameters and attributes of this {kind} take {header_bytes} bytes "
            f"of JSON, and at most {_MAX_HEADER_BYTES} can be read; shorten its lists "
            "and texts, or store long lists as arrays."
        )
    return content


def seal_container(
    description: str, arrays: Mapping[str, np.ndarray], kind: str = "model"
) -> bytes:
    """Return the content of a file with a correct checksum, without padding."""
    arrays = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    checksum = _compute_checksum(FORMAT, description, arrays)
    line = f"format {FORMAT}, skmlp {__version__}, sha256 {checksum}"
    metadata = {_METADATA_KEYS[kind]: f"{line}\n{description}"}
    return safetensors.numpy.save(arrays, metadata)


@contextmanager
def open_container(path: Path, kind: str = "model") -> Iterator[tuple[str, LazyArrays]]:
    """Yield the description and the arrays of a whole file of this kind.

    Raises
    ------
    ModelFileError
        If the file is damaged, of another kind, or has a newer format.
    OSError
        If the file cannot be read.
    """
    size, parsing_bytes = _check_header(path)
    try:
        file = safetensors.safe_open(path, framework="np")
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{path} is no safetensors file: {error}.") from error
    with file:
        metadata = file.metadata() or {}
        text = metadata.pop(_METADATA_KEYS[kind], None)
        if text is None:
            kinds = [name for name, key in _METADATA_KEYS.items() if key in metadata]
            raise ModelFileError(
                f"{path} holds {f'a {kinds[0]}' if kinds else 'arrays'}, but no {kind} "
                "that skmlp wrote."
            )
        line, _, description = text.partition("\n")
        del text  # a copy of the description, which may be large
        match = _FORMAT_LINE.fullmatch(line)
        if match is None:
            raise ModelFileError(
                f"{path} is damaged: {line[:80]!r} is no valid format line."
            )
        file_format, writer, checksum = int(match[1]), match[2], match[3]
        if not 1 <= file_format <= FORMAT:
            raise ModelFileError(
                f"{path} has format {file_format}, written by skmlp {writer}; skmlp "
                f"{__version__} reads formats up to {FORMAT}, so upgrade skmlp."
            )
        arrays = LazyArrays(file)
        try:
            is_intact = _compute_checksum(file_format, description, arrays) == checksum
        except (safetensors.SafetensorError, TypeError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}.") from error
        if not is_intact:
            raise ModelFileError(
                f"{path} is damaged: its content does not have the checksum it names."
            )
        _check_memory(path, size, parsing_bytes + _max_text_bytes(description))
        yield description, arrays


def _check_header(path: Path) -> tuple[int, int]:
    """Raise an error if a path is not a file, or a header is too large to parse.

    Returns the size of the file, and a bound on the memory for parsing in bytes.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelFileError(f"{path} is no regular file.")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
            raise ModelFileError(f"{path} is no safetensors file, or not a whole one.")
        header = stream.read(length)
    if not header.isascii() or _has_wide_escapes(header):
        raise ModelFileError(f"{path} is damaged: its header is not ASCII.")
    n_arrays = header.count(b"data_offsets")
    parsing_bytes = _max_parsing_bytes(_count_structural_characters(header), n_arrays)
    _check_memory(path, size, parsing_bytes)
    return size, parsing_bytes


def _has_wide_escapes(header: bytes) -> bool:
    """Return whether a header has an escape that means a character beyond ASCII."""
    if _ESCAPE_IN_HEADER.search(header):
        return True
    for match in _LONG_ESCAPE_IN_HEADER.finditer(header):
        # An even number of backslashes means backslashes only.
        n_backslashes = 3
        while header[match.start() + 2 - n_backslashes] == ord("\\"):
            n_backslashes += 1
        if n_backslashes % 2:
            return True
    return False


def _check_memory(path: Path, size: int, parsing_bytes: int) -> None:
    """Raise an error if the description of a file takes too much memory."""
    # The factor is 2, because two copies of the description are in memory at the same
    # time.
    if parsing_bytes > max(size, _MIN_MEMORY_LIMIT - 2 * size):
        raise ModelFileError(
            f"{path} has {size} bytes, but a description that would take far more "
            "memory than that."
        )


def _count_structural_characters(header: bytes) -> int:
    """Return the number of commas, colons and opening brackets."""
    return sum(header.count(mark) for mark in (b",", b":", b"[", b"{"))


def _max_parsing_bytes(n_marks: int, n_arrays: int) -> int:
    """Return an upper bound on the memory that a parsed description takes."""
    return n_marks * _BYTES_PER_STRUCTURAL_CHARACTER + n_arrays * _BYTES_PER_ARRAY


def _max_text_bytes(description: str) -> int:
    """Return an upper bound on the memory that strings with wide characters take."""
    if not _WIDE_ESCAPE.search(description):
        return 0
    total = n_strings = start = position = 0
    is_inside = False
    max_strings = sum(map(description.count, ",:[{")) + 1
    while (quote := description.find('"', position)) >= 0:
        position = quote + 1
        if not is_inside:
            is_inside, start = True, position
            continue
        n_backslashes = 0
        while description[quote - 1 - n_backslashes] == "\\":
            n_backslashes += 1
        if n_backslashes % 2:  # an escaped quote
            continue
        is_inside = False
        if _WIDEST_ESCAPE.search(description, start, quote):
            total += (quote - start) * _BYTES_PER_CHARACTER[4]
        elif _WIDE_ESCAPE.search(description, start, quote):
            total += (quote - start) * _BYTES_PER_CHARACTER[2]
        n_strings += 1
        if n_strings > max_strings:  # this is no JSON
            break
    if is_inside:  # no JSON either, but its beginning is parsed
        total += (len(description) - start) * _BYTES_PER_CHARACTER[4]
    return total


def _compute_checksum(
    file_format: int, description: str, arrays: Mapping[str, np.ndarray]
) -> str:
    """Return the SHA-256 of format, description and arrays."""
    checksum = hashlib.sha256(f"format {file_format}\n".encode("ascii"))
    checksum.update(description.encode("ascii"))
    for name in sorted(arrays):
        array = arrays[name]
        entry = f"\n{name}\n{array.dtype.name}\n{array.shape}\n"
        checksum.update(entry.encode("ascii"))
        checksum.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return checksum.hexdigest()
