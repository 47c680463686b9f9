import os
import socket
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skmlp.datasets import load_image_folder, write_idx
from skmlp.datasets._download import _download_once
from skmlp.persistence import load_model, save_model
from skmlp.preprocessing import PixelScaler
from skmlp.storage.atomic_files import remove_part_files, replace_file
from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint


def save_image_map(path):
    folder = path.with_name("images")
    folder.mkdir(exist_ok=True)
    Image.new("L", (2, 2)).save(folder / "a.png")
    load_image_folder(folder, labels_from=None, memmap=path)


def download(path):
    # The URL has no scheme: a transfer would raise another error.
    _download_once("nowhere", path, Path.read_bytes, 9)


WRITERS = {
    "save_model": lambda path: save_model(PixelScaler(pixel_max=7), path),
    "write_idx": lambda path: write_idx(path, np.arange(3, dtype=np.uint8)),
    "write_checkpoint": lambda path: write_checkpoint(path, {"a": 1}),
    "load_image_folder": save_image_map,
}


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))


def make_device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except OSError as error:
        pytest.skip(f"device nodes are not permitted here: {error}")


NO_REGULAR_FILES = {
    "folder": Path.mkdir,
    "pipe": lambda path: os.mkfifo(path),
    "socket": make_socket,
    "device": make_device,
    "circle of links": lambda path: path.symlink_to(path),
}


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have these kinds")
@pytest.mark.parametrize("kind", NO_REGULAR_FILES)
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("write", [*WRITERS.values(), download])
def test_path_that_is_no_regular_file_is_refused(kind, linked, write, tmp_path):
    target = tmp_path / "target"
    NO_REGULAR_FILES[kind](target)
    before = target.lstat()
    path = target
    if linked:
        path = tmp_path / "link"
        path.symlink_to(target)
    with pytest.raises(OSError, match=f"(?i)it is a {kind} and no regular file"):
        write(path)
    after = target.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert path.is_symlink() == (linked or kind == "circle of links")
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_permissions_of_the_old_file_stay(mode, write, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() != b"old"


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have permissions")
def test_new_file_has_the_permissions_of_the_mask(write, tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have permissions")
def test_new_content_of_a_private_file_is_never_public(tmp_path):
    path = tmp_path / "file"
    path.touch(0o600)
    with replace_file(path) as part:
        part.write_bytes(b"new")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
def test_owner_of_the_old_file_stays(write, tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 12345, 23456)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize("exists", [False, True])
def test_symbolic_links_are_followed(exists, write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "file"
    if exists:
        target.write_bytes(b"old")
    path = tmp_path / "link"
    try:
        (tmp_path / "second").symlink_to(Path("elsewhere", "file"))
        path.symlink_to("second")
    except OSError as error:
        pytest.skip(f"no symbolic links: {error}")
    write(path)
    assert path.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() not in (b"", b"old")
    assert list(target.parent.iterdir()) == [target]


def test_linked_files_are_read(tmp_path):
    (tmp_path / "model").symlink_to("file")
    WRITERS["save_model"](tmp_path / "model")
    assert load_model(tmp_path / "model").pixel_max == 7
    (tmp_path / "link").symlink_to("checkpoint")
    WRITERS["write_checkpoint"](tmp_path / "link")
    assert read_checkpoint(tmp_path / "link") == {"a": 1}


def test_part_files_of_a_linked_file_are_removed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere" / "file")
    with pytest.raises(FileNotFoundError), replace_file(path) as part:
        left = part.rename(part.with_name(part.name.replace(".skmlp", ".other")))
    left.rename(part)
    remove_part_files(path)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_file_is_replaced_only_if_the_block_succeeds(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway():
        with replace_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    with replace_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
