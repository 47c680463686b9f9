"""Arrays outside memory are read in blocks and windows, ahead of their use."""

import mmap
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st

from skmlp.training.data import sources
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.sources import ConcatenatedArrays, Source, as_source


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW_BYTES", 2000)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 200)


class Slices:
    """An array that supports slices only, and records them."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.asked, self.threads = [], set()

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        assert isinstance(key, slice)
        self.asked.append((key.start, key.stop))
        self.threads.add(threading.current_thread().name)
        return self.values[key]


class Lists(Slices):
    """An array that supports lists of indices only."""

    def __getitem__(self, key):
        if not isinstance(key, list):
            raise TypeError("no slices")
        return self.values[key]


def values(n_rows=600, dtype=np.uint8):
    return (np.arange(n_rows * 20) % 251).reshape(n_rows, 20).astype(dtype)


def stored(kind, X, folder):
    """Return X as an array outside memory."""
    if kind == "memmap":
        np.save(folder / "X.npy", X)
        return np.load(folder / "X.npy", mmap_mode="r")
    if kind == "h5py":
        with h5py.File(folder / "X.h5", "w") as file:
            file["X"] = X
        return h5py.File(folder / "X.h5", "r")["X"]
    if kind == "zarr":
        array = zarr.create_array(
            folder / "X.zarr", shape=X.shape, dtype=X.dtype, chunks=(17, 20)
        )
        array[:] = X
        return array
    return {"slices": Slices, "lists": Lists}[kind](X)


KINDS = ["memmap", "h5py", "zarr", "slices", "lists"]


@pytest.fixture(params=KINDS)
def array(request, tmp_path):
    found = stored(request.param, values(), tmp_path)
    yield found
    if request.param == "h5py":
        found.file.close()


def test_large_arrays_become_sources_and_small_ones_are_read(array):
    source = as_source(array)
    assert isinstance(source, Source)
    assert (source.shape, source.dtype) == ((600, 20), np.uint8)
    small = as_source(array[:50] if not isinstance(array, Lists) else Lists(values(50)))
    assert isinstance(small, np.ndarray)
    np.testing.assert_array_equal(small, values(50))


def test_samples_are_read_in_any_order(array):
    rows = np.array([5, 599, 0, 5, 300, 301, 302])
    np.testing.assert_array_equal(Source(array).read(rows), values()[rows])


def test_window_positions_match_the_order(array):
    order = np.random.RandomState(0).permutation(600)
    seen = []
    for window in Source(array).windows(order, 30):
        np.testing.assert_array_equal(
            window.X[window.positions], values()[order[window.order_slice]]
        )
        assert len(window.sample_index) % 30 == 0
        assert window.X.nbytes <= sources.WINDOW_BYTES
        seen.append(window.order_slice)
    assert [part.start for part in seen] == list(range(0, 600, 90))


def test_indexing_a_source_reads_nothing():
    array = Slices(values())
    part = Source(array)[np.array([7, 3, 400]), ...][1:]
    assert (part.shape, array.asked) == ((2, 20), [])
    np.testing.assert_array_equal(np.asarray(part), values()[[3, 400]])
    # Only the blocks of ten samples that hold them are read.
    assert array.asked == [(3, 4), (400, 401)]


@given(st.integers(1, 700), st.integers(1, 150), st.integers(0, 5))
def test_shuffling_permutes_all_samples(n_rows, batch_size, seed):
    source = Source(Slices(np.zeros((n_rows, 20), np.uint8)))
    random_state = np.random.RandomState(seed)
    order = source.shuffled(np.arange(n_rows), random_state, batch_size)
    np.testing.assert_array_equal(np.sort(order), np.arange(n_rows))


def test_shuffled_windows_hold_blocks_from_the_whole_array():
    array = Slices(values())
    source = Source(array)
    order = source.shuffled(np.arange(600), np.random.RandomState(0), 10)
    window = order[: source.samples_per_window(10)]
    blocks = np.unique(window // source.samples_per_block)
    assert len(blocks) == 10
    assert blocks.max() - blocks.min() > 20
    assert (np.diff(window) != 1).mean() > 0.9


def test_array_chunks_are_read_whole(tmp_path):
    array = stored("zarr", values(), tmp_path)
    assert Source(array).samples_per_block == 17


def test_another_thread_reads_samples_once_an_epoch():
    array = Slices(values())
    rows = DeviceData(
        Source(array), torch.arange(600), None, torch.float32, torch.device("cpu")
    )
    batches = BatchLoader(rows, 30, np.random.RandomState(0))
    for _ in range(2):
        array.asked.clear()
        y = torch.cat([y for _, y, *_ in batches])
        np.testing.assert_array_equal(np.sort(y), np.arange(600))
        read = np.concatenate([np.arange(*asked) for asked in array.asked])
        # A block in two windows is read twice.
        assert len(read) <= 600 + 10 * 6
    assert all(name.startswith("skmlp-reader") for name in array.threads)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8", "f2", "i8", ">f4", "?"])
def test_streamed_batches_equal_those_in_memory(dtype, weighted):
    X = values(dtype=dtype)
    y, weight = torch.arange(600), np.arange(600.0) if weighted else None
    order = np.random.RandomState(3).permutation(600)
    found = []
    for held in (Source(Slices(X)), X):
        rows = DeviceData(held, y, weight, torch.float64, torch.device("cpu"))
        batches = BatchLoader(rows, 64)
        batches.order = order
        found.append(list(batches))
    for streamed, resident in zip(*found, strict=True):
        for one, other in zip(streamed, resident, strict=True):
            equal = one == other
            assert equal.all() if isinstance(equal, torch.Tensor) else equal


def test_read_errors_end_the_reader():
    class Broken(Slices):
        def __getitem__(self, key):
            if key.start > 300:
                raise OSError("the disk is gone")
            return super().__getitem__(key)

    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        list(Source(Broken(values())).windows(np.arange(600), 10))
    assert threading.active_count() == before


def test_abandoned_windows_end_the_reader():
    before = threading.active_count()
    windows = Source(Slices(values())).windows(np.arange(600), 10)
    next(windows)
    assert threading.active_count() == before + 1
    windows.close()
    assert threading.active_count() == before


def test_single_window_needs_no_reader():
    array = Slices(values())
    list(Source(array).windows(np.arange(50), 10))
    assert array.threads == {threading.current_thread().name}


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_non_finite_values_are_reported_with_their_row(value, what):
    X = values(dtype=np.float32)
    X[431, 7] = value
    with pytest.raises(ValueError, match=f"^Input X contains {what} in row 431.$"):
        Source(Slices(X)).check_finite()


def test_integers_are_not_read_to_check_finiteness():
    array = Slices(values())
    Source(array).check_finite()
    assert array.asked == []


def test_largest_value_is_taken_over_all_blocks():
    X = values(dtype=np.int16)
    X[599, 3] = -4000
    assert Source(Slices(X)).max_abs() == 4000


def test_arrays_of_strings_are_refused():
    with pytest.raises(TypeError, match="has to hold numbers"):
        Source(Slices(np.full((9, 2), "a")))


def test_arrays_with_a_wrong_shape_are_refused():
    array = Slices(values())
    array.shape = (700, 20)
    with pytest.raises(ValueError, match=r"X\[600:6\d0\] has shape \(0, 20\)"):
        Source(array).read(np.arange(600, 700))


def test_concatenated_samples_keep_their_order():
    joined = Source(ConcatenatedArrays(Source(Slices(values()))[100:], values(7)))
    rows = np.array([0, 499, 500, 506])
    assert joined.shape == (507, 20)
    np.testing.assert_array_equal(
        joined.read(rows), np.concatenate([values()[100:], values(7)])[rows]
    )


# Arrays in memory


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.bfloat16])
def test_tensors_become_arrays(dtype):
    X = torch.ones(3, 2, dtype=dtype)
    array = as_source(X.requires_grad_() if dtype.is_floating_point else X)
    assert isinstance(array, np.ndarray)
    assert array.tolist() == [[1, 1]] * 3


def test_arrays_in_memory_stay_unchanged():
    X = values()
    assert as_source(X) is X


def test_arrays_shared_by_joblib_count_as_memory(tmp_path):
    # The samples have to be shuffled in the same way for every n_jobs.
    folder = tmp_path / "joblib_memmapping_folder_1_2_3"
    folder.mkdir()
    shared = stored("memmap", values(), folder)
    assert as_source(shared) is shared


# Memory


def resident(array):
    """Return the bytes of a mapped file in the memory of this process."""
    total, found = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            found = str(array.filename) in line
        elif found and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


@pytest.mark.skipif(
    not hasattr(mmap, "MADV_DONTNEED") or not Path("/proc/self/smaps").exists(),
    reason="no pages can be given back here, or none counted",
)
def test_pages_of_mapped_files_are_released(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WINDOW_BYTES", 2**20)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 2**18)
    X = np.zeros((2**26 // 64, 64), np.uint8)  # 64 windows
    array = stored("memmap", X, tmp_path)
    np.add.reduce(array, axis=None)
    assert resident(array) >= X.nbytes
    for _ in Source(array).windows(np.arange(len(X)), 100):
        pass
    assert resident(array) < X.nbytes / 8


@pytest.mark.parametrize(
    "view",
    [
        lambda images: images.transpose(0, 2, 3, 1),
        lambda images: images[:, :, 1:3, 2:4],
        lambda images: images[::2],
    ],
)
def test_transposed_and_cropped_mapped_images_are_read(view, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WINDOW_BYTES", 2**14)
    images = np.random.default_rng(0).integers(0, 255, (4000, 3, 4, 5), np.uint8)
    array = view(stored("memmap", images, tmp_path))
    source = Source(array)
    read = [source.read(np.arange(i, i + 50)) for i in range(0, len(array), 50)]
    for _ in source.windows(np.arange(len(array)), 100):
        pass
    np.testing.assert_array_equal(
        np.concatenate(read), view(images).reshape(len(array), -1)
    )


def test_changes_to_a_private_map_are_not_lost(tmp_path):
    np.save(tmp_path / "X.npy", values())
    array = np.load(tmp_path / "X.npy", mmap_mode="c")
    array[:] = 7
    for _ in range(2):
        assert (np.asarray(as_source(array)) == 7).all()
