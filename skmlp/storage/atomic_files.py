"""Replace files atomically: other processes see the old file or the whole new one."""

import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield the path of a part file, which replaces `path` if the block succeeds.

    The part file is in the same folder. If the block fails, the part file is removed
    and `path` is unchanged.
    """
    part = path.with_name(_part_file_name(path, secrets.token_hex(8)))
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes, kind: str = "model") -> None:
    """Replace a file and wait until the new content is on the disk.

    After a power cut the file is the old one or the whole new one.

    Parameters
    ----------
    path : Path
        The file. It need not exist.
    content : bytes
        The new content.
    kind : str, default='model'
        What the content is. Error messages name it.

    Raises
    ------
    OSError
        If the file cannot be written, for example on a full disk. The old file is
        unchanged.
    """
    try:
        with replace_file(path) as part, part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: the {kind} of {len(content)} bytes was not saved, "
            "and what was there before is untouched",
            os.fspath(path),
        ) from error
    _sync_folder(path.parent)


def remove_part_files(path: Path) -> None:
    """Remove the part files that killed processes left behind.

    If `path` is a folder, the part files of all files in it are removed. Otherwise only
    the part files of `path` itself are removed.
    """
    if path.is_dir():
        parts = path.glob(".skmlp-*.part")
    else:
        parts = path.parent.glob(_part_file_name(path, "*"))
    for part in parts:
        part.unlink(missing_ok=True)


def _part_file_name(path: Path, token: str) -> str:
    """Return the name of a part file of `path`; hashing keeps the name short."""
    return f".skmlp-{zlib.crc32(os.fsencode(path.name)):08x}-{token}.part"


def _sync_folder(folder: Path) -> None:
    """Write the entries of a folder to the disk, on systems that support it."""
    if os.name != "posix":
        return
    # The file is already replaced. Some file systems cannot sync folders.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
