import gzip
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skmlp.datasets import read_idx, write_idx

DTYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        st.sampled_from([f"<{dtype}", f">{dtype}"]),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5),
    )
)


def idx_bytes(array):
    stream = io.BytesIO()
    write_idx(stream, array)
    return stream.getvalue()


class UnseekableStream:
    """A stream without seek, whose reads return at most two bytes."""

    def __init__(self, content):
        self._stream = io.BytesIO(content)

    def read(self, size):
        return self._stream.read(min(size, 2))


@given(arrays)
def test_arrays_survive_a_round_trip(array):
    native = array.astype(array.dtype.newbyteorder("="))
    for content in (idx_bytes(array), gzip.compress(idx_bytes(array))):
        for stream in (io.BytesIO(content), UnseekableStream(content)):
            read = read_idx(stream)
            assert read.dtype == native.dtype
            assert read.dtype.isnative
            assert read.flags.writeable
            np.testing.assert_array_equal(read, native, strict=True)


@given(arrays)
def test_memory_layout_does_not_change_the_file(array):
    by_row, by_column = (np.array(array, order=order) for order in "CF")
    assert idx_bytes(by_column) == idx_bytes(by_row)


@pytest.mark.parametrize("name", ["values", "values.gz"])
@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_equal_arrays_give_equal_files(tmp_path, name, as_type):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = tmp_path / name
    write_idx(as_type(path), array)
    first = path.read_bytes()
    write_idx(as_type(path), array)
    assert path.read_bytes() == first
    assert (first[:2] == b"\x1f\x8b") == name.endswith(".gz")
    np.testing.assert_array_equal(read_idx(as_type(path)), array, strict=True)
    assert list(tmp_path.iterdir()) == [path]


def test_compression_is_recognized_by_the_content(tmp_path):
    path = tmp_path / "values"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(3, dtype="u1"))))
    np.testing.assert_array_equal(read_idx(path), [0, 1, 2])


def test_magic_numbers_and_offsets_equal_those_of_mnist():
    labels = idx_bytes(np.array([7], np.uint8))
    images = idx_bytes(np.full((1, 1, 1), 7, np.uint8))
    assert int.from_bytes(labels[:4], "big") == 2049
    assert int.from_bytes(images[:4], "big") == 2051
    assert (len(labels), labels[8], len(images), images[16]) == (9, 7, 17, 7)


def test_file_object_is_read_from_its_position():
    stream = io.BytesIO(b"before" + idx_bytes(np.arange(3, dtype="u1")))
    stream.seek(6)
    np.testing.assert_array_equal(read_idx(stream), [0, 1, 2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(2, np.int64),
        np.zeros(2, np.uint16),
        np.zeros(2, bool),
        np.zeros(2, np.float16),
        np.zeros(2, object),
        np.zeros(2, [("a", np.uint8)]),
        np.zeros(2, "U1"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_unsupported_dtype_is_refused_and_no_file_is_written(tmp_path, array):
    with pytest.raises(ValueError, match=r"array has dtype .* convert it to one of"):
        write_idx(tmp_path / "values", array)
    assert not list(tmp_path.iterdir())


def test_length_beyond_32_bits_is_refused():
    array = np.lib.stride_tricks.as_strided(np.zeros(1, "u1"), (2**32,), (0,))
    with pytest.raises(ValueError, match=r"shape \(4294967296,\)"):
        write_idx(io.BytesIO(), array)


def header(code, *lengths, ndim=None):
    ndim = len(lengths) if ndim is None else ndim
    return bytes([0, 0, code, ndim]) + b"".join(n.to_bytes(4, "big") for n in lengths)


BROKEN_FILES = {
    "empty": (b"", "truncated: the magic number needs 4 bytes, but only 0"),
    "half a magic number": (b"\0\0\x08", "only 3 are left"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "is not an IDX file: it starts with 0x89504e47"),
    "text": (b"label,pixel1\n", "is not an IDX file: it starts with 0x6c616265"),
    "zeros": (bytes(16), "is not an IDX file: it starts with 0x00000000"),
    "unknown type": (header(0x0A, 1) + b"1", "0x08 .uint8."),
    "no lengths": (header(8, ndim=3), "3 lengths needs 12 bytes, but only 0"),
    "too many dimensions": (header(8, ndim=255), "claims 255 dimensions"),
    "one byte short": (header(8, 3) + b"12", "shape .3,., 11 bytes .* has 10"),
    "one byte more": (header(8, 3) + b"1234", "11 bytes .* has 12"),
    "one value short": (header(0x0E, 2) + bytes(8), "24 bytes .* has 16"),
    "huge": (header(8, 2**32 - 1, 2**20), "has 12"),
    "beyond addresses": (header(0x0E, *[2**32 - 1] * 32), "can address"),
    "empty, yet beyond addresses": (header(8, 0, *[2**32 - 1] * 3), "can address"),
}


@pytest.mark.parametrize(
    ("content", "message"), BROKEN_FILES.values(), ids=BROKEN_FILES
)
def test_broken_file_is_named_with_the_reason(tmp_path, content, message):
    path = tmp_path / "broken-idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"broken-idx.*{message}"):
        read_idx(path)
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="broken-idx"):
        read_idx(path)
    with pytest.raises(ValueError, match="UnseekableStream"):
        read_idx(UnseekableStream(content))


def test_damaged_gzip_file_raises_value_error(tmp_path):
    packed = gzip.compress(idx_bytes(np.arange(200, dtype="u1")))
    path = tmp_path / "packed"
    for damaged in (packed[:-9], packed[:-5] + b"?" + packed[-4:], packed + b"more"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="packed is a damaged gzip file"):
            read_idx(path)


def peak_memory_of_refusal(content):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="header claims"):
            read_idx(io.BytesIO(content))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_false_claim_of_a_large_array_takes_little_memory():
    claim = header(8, 2**30)
    assert peak_memory_of_refusal(claim) < 2**20
    assert peak_memory_of_refusal(gzip.compress(claim)) < 2**20


def test_decompression_bomb_takes_little_memory():
    bomb = gzip.compress(header(8, 10) + bytes(2**26))
    assert peak_memory_of_refusal(bomb) < 2**22


@given(
    array=arrays,
    packed=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), max_size=3),
    cut=st.integers(0, 12),
)
def test_mutated_file_loads_or_raises_value_error(array, packed, changes, cut):
    content = bytearray(idx_bytes(array))
    if packed:
        content = bytearray(gzip.compress(content))
    for position, change in changes:
        content[position % len(content)] ^= change
    try:
        read = read_idx(io.BytesIO(content[: len(content) - cut]))
    except ValueError:
        return
    assert read.size <= 1032 * len(content)


def test_other_objects_than_files_raise_type_error():
    with pytest.raises(TypeError, match="must be a path or a binary file object"):
        read_idx(3)
    with pytest.raises(TypeError, match="opened as text"):
        read_idx(io.StringIO("text"))


def test_missing_file_raises_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        write_idx(tmp_path / "absent" / "values", np.zeros(1, "u1"))
