"""The file itself: safetensors, with a description in JSON and a checksum of it all.

The file has one entry in the metadata of safetensors, called after its kind:
``skmlp_model`` or ``skmlp_checkpoint``. Its first line is
``format 1, skmlp 0.1.0, sha256 <64 hexadecimal digits>``, the rest is JSON, padded by
spaces. The checksum is that of the line up to the first comma, of the JSON, and of
the name, dtype, shape and bytes of every array in the order of their names. Everything
before the arrays is ASCII.

Nothing in a file is trusted: its header is weighed before it is parsed, so that reading
takes no more memory than three times the size of the file, or 1 MiB.
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

_ENTRIES = {"model": "skmlp_model", "checkpoint": "skmlp_checkpoint"}
_LINE = re.compile(r"format (\d{1,9}), skmlp (\S{1,40}), sha256 ([0-9a-f]{64})")

_MAX_HEADER = 1 << 25  # bytes; JSON of that size is parsed within a second
_FREE = 1 << 20  # bytes
# What parsing takes at most for each comma, colon and opening bracket; and what the
# layers of a network take for each of their arrays, in bytes.
_COST_OF_STRUCTURE = 96
_COST_OF_ARRAY = 4096


class ModelFileError(ValueError):
    """A file is no model or checkpoint that this version of skmlp can load.

    The message names the file and what is wrong with it. It is the only error that the
    content of a file can cause.
    """


class Arrays(Mapping[str, np.ndarray]):
    """The arrays of an open file, each read when it is asked for."""

    def __init__(self, opened: safetensors.safe_open) -> None:
        self._opened = opened
        self._names = dict.fromkeys(sorted(opened.keys()))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._opened.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def pack(
    description: str, arrays: Mapping[str, np.ndarray], kind: str = "model"
) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    description : str
        JSON in ASCII.
    arrays : mapping of str to ndarray
        Of the dtypes that safetensors and NumPy share, in native byte order.
    kind : {'model', 'checkpoint'}
        What the file is; `opened` wants the same.
    """
    arrays = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    size = len(description) + sum(array.nbytes for array in arrays.values())
    # An array's entry in the header has a dozen of these, and more for its shape.
    n_structures = sum(12 + array.ndim for array in arrays.values()) + 8
    n_structures += _count_structures(description.encode("ascii"))
    cost = _cost(n_structures, len(arrays))
    if cost > _FREE - 3 * size:  # 3, not 2: the header counts too
        description += " " * (cost - size)
    line = f"format {FORMAT}, skmlp {__version__}, sha256 "
    line += _digest(FORMAT, description, arrays)
    return safetensors.numpy.save(arrays, {_ENTRIES[kind]: f"{line}\n{description}"})


@contextmanager
def opened(path: Path, kind: str = "model") -> Iterator[tuple[str, Arrays]]:
    """Yield description and arrays of a file that is whole and of that kind.

    Raises
    ------
    ModelFileError
        If it is not, or was written in a newer format.
    OSError
        If it cannot be read.
    """
    _weigh(path)
    try:
        file = safetensors.safe_open(path, framework="np")
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{path} is no safetensors file: {error}.") from error
    with file:
        metadata = file.metadata() or {}
        text = metadata.pop(_ENTRIES[kind], None)
        if text is None:
            held = [name for name, entry in _ENTRIES.items() if entry in metadata]
            raise ModelFileError(
                f"{path} holds {f'a {held[0]}' if held else 'arrays'}, but no {kind} "
                "that skmlp wrote."
            )
        line, _, description = text.partition("\n")
        del text
        found = _LINE.fullmatch(line)
        if found is None:
            raise ModelFileError(f"{path} is damaged: {line[:80]!r} is no format.")
        written_in, writer, digest = int(found[1]), found[2], found[3]
        if not 1 <= written_in <= FORMAT:
            raise ModelFileError(
                f"{path} has format {written_in}, written by skmlp {writer}; skmlp "
                f"{__version__} reads formats up to {FORMAT}, so upgrade skmlp."
            )
        arrays = Arrays(file)
        try:
            intact = _digest(written_in, description, arrays) == digest
        except (safetensors.SafetensorError, TypeError, AttributeError) as error:
            raise ModelFileError(f"{path} is damaged: {error}.") from error
        if not intact:
            raise ModelFileError(
                f"{path} is damaged: its content does not have the checksum it names."
            )
        yield description, arrays


def _weigh(path: Path) -> None:
    """Refuse what is no file, and a header out of proportion."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelFileError(f"{path} is no regular file.")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise ModelFileError(f"{path} is no safetensors file, or not a whole one.")
        header = stream.read(length)
    if not header.isascii():
        raise ModelFileError(f"{path} is damaged: its header is not ASCII.")
    n_arrays = header.count(b"data_offsets")
    # Besides, there are two copies of the description at a time.
    if _cost(_count_structures(header), n_arrays) > max(size, _FREE - 2 * size):
        raise ModelFileError(
            f"{path} has {size} bytes, but a description that would take far more "
            "memory than that."
        )


def _count_structures(header: bytes) -> int:
    """Return the number of marks that make JSON more than one value."""
    return sum(header.count(mark) for mark in (b",", b":", b"[", b"{"))


def _cost(n_structures: int, n_arrays: int) -> int:
    """Return the bytes that a description may take in memory."""
    return n_structures * _COST_OF_STRUCTURE + n_arrays * _COST_OF_ARRAY


def _digest(written_in: int, description: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the checksum of format, description and arrays."""
    digest = hashlib.sha256(f"format {written_in}\n".encode("ascii"))
    digest.update(description.encode("ascii"))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name}\n{array.dtype.name}\n{array.shape}\n".encode("ascii"))
        digest.update(np.asarray(array, order="C").reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
