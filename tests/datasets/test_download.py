import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from skmlp.datasets._download import download

CONTENT = bytes(range(256)) * 1000


def exactly_content(path):
    if path.read_bytes() != CONTENT:
        raise ValueError("wrong content")
    return path.name


@pytest.fixture
def fetch(server, tmp_path):
    """Download 'file' into a folder of tmp_path, without retries unless told."""
    server.files["file"] = CONTENT
    defaults = {
        "mirrors": [server.url],
        "load": exactly_content,
        "max_bytes": len(CONTENT),
        "n_retries": 0,
        "delay": 0,
    }
    return lambda **changed: download("file", tmp_path / "home", **defaults | changed)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def break_a_transfer(fetch, server, home):
    """Break a transfer after 2048 bytes; return the part that it leaves."""
    server.break_after["file"] = 2048
    with pytest.raises(OSError, match="download failed"):
        fetch()
    (part,) = home.iterdir()
    assert part.read_bytes() == CONTENT[:2048]
    return part


def test_a_file_is_loaded_before_it_gets_its_name(fetch, tmp_path):
    assert fetch().endswith(".part")
    assert names_in(tmp_path / "home") == ["file"]
    assert (tmp_path / "home/file").read_bytes() == CONTENT


def test_a_broken_transfer_leaves_no_data_and_is_resumed(fetch, server, tmp_path):
    home = tmp_path / "home"
    part = break_a_transfer(fetch, server, home)
    assert part.suffix == ".part"
    fetch()
    assert server.requests == [("file", None), ("file", "bytes=2048-")]
    assert names_in(home) == ["file"]


def test_a_retry_resumes(fetch, server, tmp_path):
    server.break_after["file"] = 2048
    fetch(n_retries=1)
    assert server.requests == [("file", None), ("file", "bytes=2048-")]


def test_a_server_that_ignores_ranges_sends_all_again(fetch, server, tmp_path):
    break_a_transfer(fetch, server, tmp_path / "home")
    server.knows_ranges = False
    fetch()
    assert (tmp_path / "home/file").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"other" * 10, CONTENT, CONTENT + b"more"])
def test_a_part_that_does_not_fit_is_dropped(fetch, server, tmp_path, left):
    part = break_a_transfer(fetch, server, tmp_path / "home")
    part.write_bytes(left)
    fetch()
    assert server.requests[1:] == [("file", f"bytes={len(left)}-"), ("file", None)]
    assert names_in(tmp_path / "home") == ["file"]


def test_the_part_of_a_killed_process_is_taken_over_when_it_is_old(
    fetch, server, tmp_path
):
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


def test_another_mirror_does_not_resume_what_the_first_began(fetch, server, tmp_path):
    break_a_transfer(fetch, server, tmp_path / "home")
    fetch(mirrors=[f"http://localhost:{server.server_port}/"])
    assert server.requests[1:] == [("file", None)]


def test_wrong_content_strikes_a_mirror_off_and_the_next_is_asked(
    fetch, server, tmp_path
):
    server.files.update({"bad/file": b"wrong", "good/file": CONTENT})
    fetch(mirrors=[server.url + "bad/", server.url + "good/"], n_retries=3)
    assert [name for name, _ in server.requests] == ["bad/file", "good/file"]
    with pytest.raises(OSError, match="wrong content"):
        fetch(mirrors=[server.url + "bad/"], n_retries=3)
    assert len(server.requests) == 3
    assert names_in(tmp_path / "home") == ["file"]


def test_more_than_expected_is_not_stored(fetch, tmp_path):
    with pytest.raises(OSError, match="more than the expected 1000 bytes"):
        fetch(max_bytes=1000)
    assert not (tmp_path / "home").exists()


def test_when_no_mirror_helps_the_error_says_what_each_answered(
    fetch, server, tmp_path
):
    mirrors = [server.url + "absent/", "http://127.0.0.1:9/"]
    with pytest.raises(OSError, match=r"absent/file: 404.*:9/file: .*refused") as info:
        fetch(mirrors=mirrors, n_retries=1)
    assert len(server.requests) == 2
    assert info.value.__cause__ is not None
    assert not (tmp_path / "home").exists()


def test_processes_that_download_at_once_do_not_disturb_each_other(server, tmp_path):
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
