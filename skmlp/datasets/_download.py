"""Download a file, resume broken transfers, and verify the content.

- Each process downloads to its own temporary file, a part file.
- When the transfer breaks, the part file is renamed to a shared name. The next attempt
  resumes from it, in this process or in a later one.
- The part file is renamed to the final name after its content is verified. A file with
  the final name is therefore whole and correct.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from skmlp.datasets._progress import progress_bar
from skmlp.storage.atomic_files import resolve_file

T = TypeVar("T")

_CONNECT_AND_READ_TIMEOUT = (10, 30)  # seconds
# After this time without a write, a part file is considered abandoned.
_ABANDONED_AFTER_SECONDS = 600


def download(
    file_name: str,
    folder: Path,
    *,
    mirrors: Sequence[str],
    load: Callable[[Path], T],
    max_bytes: int,
    n_retries: int,
    delay: float,
) -> T:
    """Download a file from the first mirror that serves it correctly.

    Parameters
    ----------
    file_name : str
        Name of the file, on the mirrors and in `folder`.
    folder : Path
        The folder of the file. It is created if necessary.
    mirrors : sequence of str
        URLs of folders that hold the file.
    load : callable
        Called with the path of the downloaded file. It returns the content. If the
        content is wrong, it raises a ValueError, and the mirror is not used again.
    max_bytes : int
        The largest size that the file may have.
    n_retries : int
        Number of attempts after the first one. Each attempt tries all mirrors.
    delay : float
        Seconds between two tries.

    Returns
    -------
    content : object
        The result of `load`.

    Raises
    ------
    OSError
        If no mirror serves the file. The message has the answer of every mirror.
    """
    failures: dict[str, Exception] = {}
    for attempt in range(1 + n_retries):
        if attempt:
            time.sleep(delay)
        for mirror in mirrors:
            if isinstance(failures.get(mirror), ValueError):
                continue
            try:
                folder.mkdir(parents=True, exist_ok=True)
                return _download_once(
                    mirror + file_name, folder / file_name, load, max_bytes
                )
            except (OSError, ValueError) as error:  # requests raises OSErrors
                failures[mirror] = error
    with suppress(OSError):
        folder.rmdir()  # if it is empty
    answers = "; ".join(f"{mirror}{file_name}: {e}" for mirror, e in failures.items())
    raise OSError(f"download failed ({answers})") from next(iter(failures.values()))


def _download_once(
    url: str, target: Path, load: Callable[[Path], T], max_bytes: int
) -> T:
    """Download to a part file, verify the content, and rename the part file."""
    resolve_file(target)
    with _own_part_file(url, target) as part:
        while True:  # at most twice
            resumed = part.exists()
            try:
                _transfer(url, part, max_bytes)
                content = load(part)
            except ValueError:
                part.unlink(missing_ok=True)
                if not resumed:
                    raise
                # The resumed part may be from another version of the file. It is
                # downloaded again from the beginning.
            else:
                part.replace(resolve_file(target))
                return content


@contextmanager
def _own_part_file(url: str, target: Path) -> Iterator[Path]:
    """Yield the path of a part file that no other process uses.

    If an earlier transfer of the same URL broke, its part file is taken over.
    """
    # Mirrors may compress the content differently, so only the same URL is resumed.
    stem = f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    shared = target.with_name(f"{stem}.part")
    own = target.with_name(f"{stem}.{secrets.token_hex(4)}.part")
    for part in (shared, *target.parent.glob(f"{stem}.*.part")):
        with suppress(OSError):  # it does not exist, or another process took it
            if (
                part == shared
                or time.time() - part.stat().st_mtime > _ABANDONED_AFTER_SECONDS
            ):
                part.rename(own)
                own.touch()  # mark it as in use
                break
    try:
        yield own
    finally:
        if own.exists() and own.stat().st_size:
            own.replace(shared)
        own.unlink(missing_ok=True)


class _LimitedWriter:
    """A file that raises an error when it grows beyond a size."""

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes

    def write(self, content: bytes) -> None:
        """Append bytes."""
        if self._stream.tell() + len(content) > self._max_bytes:
            raise ValueError(f"more than the expected {self._max_bytes} bytes are sent")
        self._stream.write(content)

    def flush(self) -> None:
        """Flush the file."""
        self._stream.flush()


def _transfer(url: str, part: Path, max_bytes: int) -> None:
    """Append the missing bytes of the file at `url` to the part file."""
    import pooch

    with part.open("ab") as stream, ExitStack() as resources:
        offset = stream.tell()

        def check_range(response: Any, **_: Any) -> None:
            resources.callback(response.close)
            if response.status_code == 416:
                raise ValueError(f"the server has no bytes after byte {offset}")
            if response.status_code == 200:  # the server sends the whole file
                stream.seek(0)
                stream.truncate()

        # Without compression, so that the offset refers to bytes of the file.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        # pooch replaces the total by the size that the server sends.
        bar = resources.enter_context(
            progress_bar(part.name.split(".")[0], max_bytes, in_bytes=True)
        )
        fetch = pooch.HTTPDownloader(
            progressbar=bar or False,
            timeout=_CONNECT_AND_READ_TIMEOUT,
            headers=headers,
            hooks={"response": check_range},
        )
        fetch(url, _LimitedWriter(stream, max_bytes), None)
        os.fsync(stream.fileno())
