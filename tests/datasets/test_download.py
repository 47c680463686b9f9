import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from skmlp.datasets._download import download

CONTENT = bytes(range(256)) * 1000


def load_content(path):
    if path.read_bytes() != CONTENT:
        raise ValueError("wrong content")
    return path.name


@pytest.fixture
def fetch(server, tmp_path):
    """Return a function that downloads 'file', by default without retries."""
    server.files["file"] = CONTENT
    defaults = {
        "mirrors": [server.url],
        "load": load_content,
        "max_bytes": len(CONTENT),
        "n_retries": 0,
        "delay": 0,
    }
    return lambda **changed: download("file", tmp_path / "home", **defaults | changed)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def break_a_transfer(fetch, server, home):
    """Break a transfer after 2048 bytes; return the part file that it leaves."""
    server.break_after["file"] = 2048
    with pytest.raises(OSError, match="download failed"):
        fetch()
    (part,) = home.iterdir()
    assert part.read_bytes() == CONTENT[:2048]
    return part


def test_file_is_loaded_before_it_gets_its_name(fetch, tmp_path):
    assert fetch().endswith(".part")
    assert names_in(tmp_path / "home") == ["file"]
    assert (tmp_path / "home/file").read_bytes() == CONTENT


def test_broken_transfer_leaves_a_part_file_and_is_resumed(fetch, server, tmp_path):
    home = tmp_path / "home"
    part = break_a_transfer(fetch, server, home)
    assert part.suffix == ".part"
    fetch()
    assert server.requests == [("file", None), ("file", "bytes=2048-")]
    assert names_in(home) == ["file"]


def test_retry_resumes_a_broken_transfer(fetch, server, tmp_path):
    server.break_after["file"] = 2048
    fetch(n_retries=1)
    assert server.requests == [("file", None), ("file", "bytes=2048-")]


def test_server_without_ranges_sends_the_whole_file_again(fetch, server, tmp_path):
    break_a_transfer(fetch, server, tmp_path / "home")
    server.supports_ranges = False
    fetch()
    assert (tmp_path / "home/file").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"other" * 10, CONTENT, CONTENT + b"more"])
def test_part_file_with_other_content_is_dropped(fetch, server, tmp_path, left):
    part = break_a_transfer(fetch, server, tmp_path / "home")
    part.write_bytes(left)
    fetch()
    assert server.requests[1:] == [("file", f"bytes={len(left)}-"), ("file", None)]
    assert names_in(tmp_path / "home") == ["file"]


def test_old_part_file_of_killed_process_is_taken_over(fetch, server, tmp_path):
    home = tmp_path / "home"
    part = break_a_transfer(fetch, server, home)
    orphan = part.with_name(f"{part.stem}.0123abcd.part")
    part.rename(orphan)
    fetch()
    assert server.requests[1:] == [("file", None)]  # it may still be written to
    assert orphan.exists()
    os.utime(orphan, (0, 0))
    fetch()
    assert server.requests[2:] == [("file", "bytes=2048-")]
    assert names_in(home) == ["file"]


def test_transfer_is_not_resumed_from_another_mirror(fetch, server, tmp_path):
    break_a_transfer(fetch, server, tmp_path / "home")
    fetch(mirrors=[f"http://localhost:{server.server_port}/"])
    assert server.requests[1:] == [("file", None)]


def test_mirror_with_wrong_content_is_not_tried_again(fetch, server, tmp_path):
    server.files.update({"bad/file": b"wrong", "good/file": CONTENT})
    fetch(mirrors=[server.url + "bad/", server.url + "good/"], n_retries=3)
    assert [name for name, _ in server.requests] == ["bad/file", "good/file"]
    with pytest.raises(OSError, match="wrong content"):
        fetch(mirrors=[server.url + "bad/"], n_retries=3)
    assert len(server.requests) == 3
    assert names_in(tmp_path / "home") == ["file"]


def test_file_that_is_too_large_is_not_stored(fetch, tmp_path):
    with pytest.raises(OSError, match="more than the expected 1000 bytes"):
        fetch(max_bytes=1000)
    assert not (tmp_path / "home").exists()


def test_error_contains_the_answer_of_every_mirror(fetch, server, tmp_path):
    mirrors = [server.url + "absent/", "http://127.0.0.1:9/"]
    with pytest.raises(OSError, match=r"absent/file: 404.*:9/file: .*refused") as info:
        fetch(mirrors=mirrors, n_retries=1)
    assert len(server.requests) == 2
    assert info.value.__cause__ is not None
    assert not (tmp_path / "home").exists()


def test_processes_can_download_the_same_file_at_once(server, tmp_path):
    server.files["file"] = CONTENT
    task = partial(
        download,
        "file",
        tmp_path,
        mirrors=[server.url],
        load=Path.read_bytes,
        max_bytes=len(CONTENT),
        n_retries=0,
        delay=0,
    )
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        futures = [processes.submit(task) for _ in range(6)]
        assert all(future.result() == CONTENT for future in futures)
    assert names_in(tmp_path) == ["file"]
