"""Write a file so that not even a power cut leaves half of it."""

import os
import secrets
import zlib
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes, what: str = "model") -> None:
    """Write a file beside `path`, bring it to the disk, rename it to `path`.

    Others see the old file or the whole new one. (`skmlp.datasets` has the like for
    what can be downloaded again, without waiting for the disk.) `what` is the content's
    name in an error.

    Raises
    ------
    OSError
        If that fails, on a full disk for one; the old file is as it was.
    """
    part = path.with_name(_name_of_part(path, secrets.token_hex(8)))
    try:
        with part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: the {what} of {len(content)} bytes was not saved, "
            "and what was there before is untouched",
            os.fspath(path),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_parts(path: Path) -> None:
    """Remove what processes left behind that were killed while they wrote.

    Of a folder it is what was to become any file in it, else what was to become `path`.
    """
    if path.is_dir():
        parts = path.glob(".skmlp-*.part")
    else:
        parts = path.parent.glob(_name_of_part(path, "*"))
    for part in parts:
        part.unlink(missing_ok=True)


def _name_of_part(path: Path, token: str) -> str:
    """Return the name of a file that is to become `path`; names have a limit."""
    return f".skmlp-{zlib.crc32(os.fsencode(path.name)):08x}-{token}.part"


def _sync_folder(folder: Path) -> None:
    """Bring a renaming to the disk, on systems that can."""
    if os.name != "posix":
        return
    # The file is in its place; that some file systems do not sync folders is no error.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
