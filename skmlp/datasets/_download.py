"""Download a file that appears only when it is whole and its content is verified.

A transfer goes to a part file whose name no other process uses. When it breaks, the
part is given back under a common name, from which the next attempt, in this process
or a later one, resumes. A part is never taken for data: it becomes the file by being
renamed, after its content was verified.
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

T = TypeVar("T")

_CONNECT_AND_READ_TIMEOUT = (10, 30)  # seconds
_ABANDONED_AFTER = 600  # seconds without a write: its process was killed


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
    """Download a file into a folder from the first mirror that serves it.

    `load` returns the file's content and raises ValueError for a wrong one, which
    also strikes the mirror off; `max_bytes` bounds what a mirror may send. When no
    mirror helps, OSError says what each of them answered.
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
        folder.rmdir()  # nothing came to be kept in it
    answers = "; ".join(f"{mirror}{file_name}: {e}" for mirror, e in failures.items())
    raise OSError(f"download failed ({answers})") from next(iter(failures.values()))


def _download_once(
    url: str, target: Path, load: Callable[[Path], T], max_bytes: int
) -> T:
    """Download to a part file, resumed where possible, verify it, rename it."""
    with _claimed_part(url, target) as part:
        while True:
            resumed = part.exists()
            try:
                _transfer(url, part, max_bytes)
                content = load(part)
            except ValueError:
                part.unlink(missing_ok=True)
                if not resumed:
                    raise
                # Its beginning may stem from another version: once more, from zero.
            else:
                part.replace(target)
                return content


@contextmanager
def _claimed_part(url: str, target: Path) -> Iterator[Path]:
    """Yield a part file of our own, an earlier broken transfer's where there is one."""
    # Mirrors may wrap the same content differently: only the same URL is resumed.
    stem = f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    free = target.with_name(f"{stem}.part")
    own = target.with_name(f"{stem}.{secrets.token_hex(4)}.part")
    for part in (free, *target.parent.glob(f"{stem}.*.part")):
        with suppress(OSError):  # absent, or claimed by another process before us
            if part == free or time.time() - part.stat().st_mtime > _ABANDONED_AFTER:
                part.rename(own)
                own.touch()  # in use again
                break
    try:
        yield own
    finally:
        if own.exists() and own.stat().st_size:
            own.replace(free)
        own.unlink(missing_ok=True)


class _Bounded:
    """A file that refuses to grow beyond a size."""

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes

    def write(self, chunk: bytes) -> None:
        if self._stream.tell() + len(chunk) > self._max_bytes:
            raise ValueError(f"more than the expected {self._max_bytes} bytes are sent")
        self._stream.write(chunk)

    def flush(self) -> None:
        self._stream.flush()


def _transfer(url: str, part: Path, max_bytes: int) -> None:
    """Append to `part` what is missing of the file at `url`."""
    import pooch
    from tqdm import tqdm

    with part.open("ab") as stream, ExitStack() as connections:
        offset = stream.tell()

        def check_range(response: Any, **_: Any) -> None:
            connections.callback(response.close)
            if response.status_code == 416:
                raise ValueError(f"nothing follows the first {offset} bytes")
            if response.status_code == 200:  # the whole file, not the range
                stream.seek(stream.truncate(0))

        # Compressed transfer would make the offset meaningless.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        bar = tqdm(
            desc=part.name.split(".")[0],
            total=max_bytes,  # until the server tells the size
            unit="B",
            unit_scale=True,
            disable=None,  # shown on terminals only
        )
        fetch = pooch.HTTPDownloader(
            progressbar=connections.enter_context(bar),
            timeout=_CONNECT_AND_READ_TIMEOUT,
            headers=headers,
            hooks={"response": check_range},
        )
        fetch(url, _Bounded(stream, max_bytes), None)
        os.fsync(stream.fileno())
