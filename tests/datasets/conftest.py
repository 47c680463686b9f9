"""A local HTTP server, and small image sets that it serves."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from skmlp.datasets import _cifar10, _mnist, write_idx


class FileServer(ThreadingHTTPServer):
    """Serves `files`; the first transfer of a file in `break_after` breaks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: dict[str, int] = {}
        self.supports_ranges = True
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        byte_range = self.headers.get("Range")
        self.server.requests.append((name, byte_range))
        if name not in self.server.files:
            self.send_error(404)
            return
        body, status = self.server.files[name], 200
        if byte_range and self.server.supports_ranges:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            body, status = body[start:], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after.pop(name, len(body))])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FileServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@dataclasses.dataclass
class ServedImageSet:
    """A small image set: its arrays by part, and its files on the server."""

    images: dict[str, np.ndarray]
    target: dict[str, np.ndarray]
    files: dict[str, bytes]


@pytest.fixture
def digits(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> ServedImageSet:
    """Replace MNIST by 5 training and 3 test images on the local server."""
    rng = np.random.default_rng(0)
    served = ServedImageSet({}, {}, {})
    files = {}

    def serve(name: str, array: np.ndarray) -> _mnist.IDXFile:
        stream = io.BytesIO()
        write_idx(stream, array)
        served.files[f"{name}.gz"] = gzip.compress(stream.getvalue(), mtime=0)
        digest = hashlib.sha256(stream.getvalue()).hexdigest()
        return _mnist.IDXFile(name, array.shape, digest)

    for part, n in (("train", 5), ("test", 3)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        target = rng.integers(0, 10, n, dtype=np.uint8)
        served.images[part], served.target[part] = images, target
        files[part] = serve(f"{part}-images", images), serve(f"{part}-labels", target)

    server.files.update(served.files)
    info = dataclasses.replace(
        _mnist.MNIST.info, folder="few-digits", mirrors=(server.url,)
    )
    monkeypatch.setattr(_mnist, "MNIST", _mnist.IDXImageSet(info, files))
    return served


def make_tar_gz(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """Compress an archive of (name, content) pairs, or of members without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture(name="tar_gz", scope="session")
def tar_gz_fixture():
    """Return the function that makes archives."""
    return make_tar_gz


@pytest.fixture
def photographs(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> ServedImageSet:
    """Replace CIFAR-10 by 4 training and 2 test images on the local server."""
    rng = np.random.default_rng(0)
    served = ServedImageSet({}, {}, {})
    members = [("cifar-10-batches-bin/readme.html", b"<p>")]
    for part, n_batches in (("train", 2), ("test", 1)):
        images = rng.integers(0, 256, (2 * n_batches, 32, 32, 3), dtype=np.uint8)
        target = rng.integers(0, 10, 2 * n_batches, dtype=np.uint8)
        served.images[part], served.target[part] = images, target
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        records = np.column_stack([target, planes])
        members += [
            (f"cifar-10-batches-bin/{part}_{number}.bin", batch.tobytes())
            for number, batch in enumerate(np.split(records, n_batches))
        ]
    # The order in the archive is not the order of the batches.
    name = "cifar-10-binary.tar.gz"
    served.files[name] = server.files[name] = make_tar_gz(*members[::-1])
    info = dataclasses.replace(
        _cifar10.CIFAR10.info, folder="few-photographs", mirrors=(server.url,)
    )
    archive = _cifar10.BatchArchive(
        info,
        name,
        hashlib.md5(served.files[name]).hexdigest(),
        {"train": ("train_0.bin", "train_1.bin"), "test": ("test_0.bin",)},
        images_per_batch=2,
    )
    monkeypatch.setattr(_cifar10, "CIFAR10", archive)
    return served
