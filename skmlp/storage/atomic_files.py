"""Replace files atomically: other processes see the old file or the whole new one.

Every module of skmlp that writes a file replaces it by `replace_file`:

- Symbolic links are followed. The file that they lead to is replaced.
- The permissions and, where the system allows it, the owner of the old file stay.
- Folders, pipes, sockets and devices are refused.
"""

import errno
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield the path of an empty part file; it replaces `path` if the block succeeds.

    A part file is a temporary file with the suffix ``.part``. It is in the same folder
    as the file that `path` leads to. If the block fails, the part file is removed and
    `path` is unchanged.

    Raises
    ------
    OSError
        If `path` leads to anything that is not a regular file.
    """
    target = resolve_file(path)
    old = target.stat() if target.exists() else None
    part = target.with_name(_part_file_name(target, secrets.token_hex(8)))
    # Until it is complete, nobody but the owner may read the new content of an old
    # file. A new file has the permissions that the user's mask leaves.
    mode = 0o666 if old is None else 0o600
    # Ctrl-C may come during the first `unlink`. The second one then does the work.
    try:
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            yield part
            if old is not None:
                _copy_permissions(old, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    finally:
        part.unlink(missing_ok=True)


def resolve_file(path: Path) -> Path:
    """Return the file that a path leads to through symbolic links. It need not exist.

    Raises
    ------
    OSError
        If it is a folder, a pipe, a socket, a device, or a circle of links.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISREG(mode):
        return target
    is_folder = stat.S_ISDIR(mode)
    raise OSError(
        errno.EISDIR if is_folder else errno.EINVAL,
        f"It is {_describe_kind(mode)} and no regular file",
        os.fspath(path),
    )


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
        Noun for the content in error messages.

    Raises
    ------
    OSError
        If the file cannot be written, for example on a full disk, or if `path` leads
        to anything that is not a regular file. Nothing is changed then.
    """
    try:
        with replace_file(path) as part, part.open("wb") as stream:
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
    _sync_folder(Path(os.path.realpath(path)).parent)


def remove_part_files(path: Path) -> None:
    """Remove the part files that killed processes left behind.

    If `path` is a folder, the part files of all files in it are removed. Otherwise only
    the part files of `path` itself are removed.
    """
    if path.is_dir():
        parts = path.glob(".skmlp-*.part")
    else:
        path = Path(os.path.realpath(path))
        parts = path.parent.glob(_part_file_name(path, "*"))
    for part in parts:
        part.unlink(missing_ok=True)


def _part_file_name(path: Path, token: str) -> str:
    """Return the name of a part file of `path`; hashing keeps the name short."""
    return f".skmlp-{zlib.crc32(os.fsencode(path.name)):08x}-{token}.part"


def _describe_kind(mode: int) -> str:
    """Return the kind of a file that is not regular, for error messages."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFLNK: "a circle of links",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


def _copy_permissions(old: os.stat_result, part: Path) -> None:
    """Give a part file the owner and the permissions of the file that it replaces."""
    if hasattr(os, "chown"):
        now = part.stat()
        for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
            if owner not in (-1, now.st_uid) or group not in (-1, now.st_gid):
                # Only the superuser may give a file to another user.
                with suppress(OSError):
                    os.chown(part, owner, group)
    part.chmod(stat.S_IMODE(old.st_mode) & 0o777)


def _sync_folder(folder: Path) -> None:
    """Write the entries of a folder to the disk, on systems that support it."""
    if os.name != "posix":
        return
    # Errors are ignored: the file is already replaced, and some file systems cannot
    # sync folders.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
