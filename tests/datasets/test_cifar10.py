import gzip
import tarfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmlp.datasets import fetch_cifar10
from skmlp.datasets._cifar10 import read_batches


def link_to(target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo("batch.bin")
    member.type, member.linkname = kind, target
    return member


def read(folder, content, names=("batch.bin",)):
    path = folder / "archive.tar.gz"
    path.write_bytes(content)
    return read_batches(path, names, images_per_batch=2, max_bytes=2**16)


def test_images_are_channels_last_and_in_the_order_of_the_batches(
    photographs, tmp_path
):
    for part in ("train", "test"):
        bunch = fetch_cifar10(data_home=tmp_path, subset=part)
        np.testing.assert_array_equal(
            bunch.images, photographs.images[part], strict=True
        )
        np.testing.assert_array_equal(bunch.target, photographs.target[part])
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.data.shape == (2, 3072)
    assert bunch.target.dtype == np.int64
    assert bunch.target_names[3] == "cat"
    assert bunch.feature_names[:4] == [
        "pixel_0_0_red",
        "pixel_0_0_green",
        "pixel_0_0_blue",
        "pixel_0_1_red",
    ]


def test_subset_all_is_train_followed_by_test(photographs, server, tmp_path):
    X, y = fetch_cifar10(data_home=tmp_path, subset="all", return_X_y=True)
    images = np.concatenate(list(photographs.images.values()))
    np.testing.assert_array_equal(X, images.reshape(6, -1))
    np.testing.assert_array_equal(y, np.concatenate([*photographs.target.values()]))
    frame = fetch_cifar10(data_home=tmp_path, subset="all", as_frame=True).frame
    np.testing.assert_array_equal(frame, np.column_stack([X, y]))
    assert len(server.requests) == 1


def test_archive_with_another_hash_is_refused(photographs, server, tmp_path, tar_gz):
    folder = tmp_path / "few-photographs"
    folder.mkdir()
    (folder / "cifar-10-binary.tar.gz").write_bytes(tar_gz(("test_0.bin", b"")))
    with pytest.raises(ValueError, match=r"binary\.tar\.gz .* it has MD5"):
        fetch_cifar10(data_home=tmp_path)
    assert not server.requests


def test_broken_transfer_is_resumed(photographs, server, tmp_path):
    server.break_after["cifar-10-binary.tar.gz"] = 5120
    bunch = fetch_cifar10(data_home=tmp_path, delay=0)
    np.testing.assert_array_equal(bunch.images, photographs.images["train"])
    assert [byte_range for _, byte_range in server.requests] == [None, "bytes=5120-"]


def test_folder_with_other_files_is_not_accepted(tmp_path):
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "0000.jpg").touch()
    with pytest.raises(OSError, match=r"CIFAR-10: .* was not found"):
        fetch_cifar10(data_home=tmp_path, download_if_missing=False)


BATCH = bytes([1, *[0] * 3072, 9, *[255] * 3072])

BROKEN_ARCHIVES = {
    "no archive": (lambda tar_gz: b"no archive", "damaged"),
    "no tar": (lambda tar_gz: gzip.compress(b"no tar" * 1000), "damaged"),
    "empty": (lambda tar_gz: b"", "damaged"),
    "truncated": (lambda tar_gz: tar_gz(("batch.bin", BATCH))[:-20], "damaged"),
    "without the batch": (
        lambda tar_gz: tar_gz(("batch.txt", BATCH)),
        "'batch.bin'. are missing",
    ),
    "too short": (
        lambda tar_gz: tar_gz(("batch.bin", BATCH[1:])),
        "has 6145 bytes, .* 6146 bytes",
    ),
    "too long": (lambda tar_gz: tar_gz(("batch.bin", BATCH + b"0")), "has 6147 bytes"),
    "twice": (
        lambda tar_gz: tar_gz(("batch.bin", BATCH), ("a/batch.bin", BATCH)),
        "one file of",
    ),
    "symbolic link": (lambda tar_gz: tar_gz(link_to("/etc/passwd")), "one file of"),
    "hard link": (lambda tar_gz: tar_gz(link_to("x", tarfile.LNKTYPE)), "one file of"),
    "device": (lambda tar_gz: tar_gz(link_to("", tarfile.CHRTYPE)), "one file of"),
    "label 10": (
        lambda tar_gz: tar_gz(("batch.bin", b"\x0a" + BATCH[1:])),
        "holds the label 10",
    ),
    "bomb": (
        lambda tar_gz: tar_gz(("a", bytes(2**24)), ("batch.bin", BATCH)),
        "has 16777216 bytes",
    ),
    "bomb of names": (
        lambda tar_gz: tar_gz(*[("a", b"")] * 101, ("batch.bin", BATCH)),
        "at most 100",
    ),
    "bomb of long names": (
        lambda tar_gz: tar_gz(("a" * 2**20, b"")),
        "more bytes than the format",
    ),
}


@pytest.mark.parametrize(
    ("make_content", "message"), BROKEN_ARCHIVES.values(), ids=BROKEN_ARCHIVES
)
def test_broken_archive_is_named_with_the_reason(
    tmp_path, tar_gz, make_content, message
):
    with pytest.raises(ValueError, match=rf"archive\.tar\.gz.*{message}"):
        read(tmp_path, make_content(tar_gz))


@pytest.mark.parametrize("name", ["../../batch.bin", "/batch.bin", "a/../b/batch.bin"])
def test_member_paths_do_not_lead_out_of_the_archive(tmp_path, tar_gz, name):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    images, target = read(folder, tar_gz((name, BATCH)))
    assert list(target) == [1, 9]
    assert images[0].max() == 0
    assert images[1].min() == 255
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [folder / "archive.tar.gz"]


def test_member_that_claims_an_exabyte_is_refused_at_once(tmp_path):
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136] = b"\x80" + (2**60).to_bytes(11, "big")
    header[156:157] = tarfile.GNUTYPE_SPARSE  # a sparse file has a second size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(ValueError, match=r"archive\.tar\.gz"):
        read(tmp_path, gzip.compress(bytes(header) + bytes(1024)))


def test_decompression_bomb_takes_little_memory(tmp_path, tar_gz):
    bomb = tar_gz(("a" * 2**26, b""))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more bytes than the format"):
            read(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@given(
    packed=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 1023), st.integers(1, 255)), max_size=4),
)
def test_mutated_archive_loads_or_raises_value_error(
    tmp_path_factory, tar_gz, packed, changes
):
    content = bytearray(gzip.decompress(tar_gz(("batch.bin", BATCH), ("a", b"0"))))
    if packed:
        content = bytearray(gzip.compress(content))
    for position, change in changes:
        content[position % len(content)] ^= change
    folder = tmp_path_factory.mktemp("mutated")
    try:
        images, _ = read(folder, content if packed else gzip.compress(content))
    except ValueError:
        return
    assert images.shape == (2, 32, 32, 3)


def test_published_archive_has_the_published_images():
    try:
        bunch = fetch_cifar10(subset="all", download_if_missing=False)
    except OSError as error:
        pytest.skip(str(error))
    assert bunch.images.shape == (60000, 32, 32, 3)
    assert (np.bincount(bunch.target[:50000]) == 5000).all()
    assert (np.bincount(bunch.target[50000:]) == 1000).all()
