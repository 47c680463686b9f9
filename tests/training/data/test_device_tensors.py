"""Samples of a large source stay on a GPU, or come there by two pinned buffers."""

import numpy as np
import pytest
import torch
from simulated_cuda import RaceError
from simulated_cuda.streams import Event, Stream

from skmlp.neural_network import MLPClassifier
from skmlp.training.compute.devices import device_of_job
from skmlp.training.data import sources
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.device_tensors import (
    WindowUploader,
    fits_on_gpu,
    read_to_gpu,
)
from skmlp.training.data.sources import Source

CUDA = torch.device("cuda")
X = np.random.RandomState(0).randint(0, 256, (700, 20)).astype(np.uint8)
Y = X[:, 0] // 86

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW_BYTES", 4000)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 400)


@pytest.fixture
def set_free_memory(monkeypatch):
    """Set the free memory of the GPU in bytes."""

    def set_memory(n_bytes):
        monkeypatch.setattr(
            torch.cuda, "mem_get_info", lambda device=None: (n_bytes, 2**40)
        )

    return set_memory


class OutsideMemory:
    """An array that counts how often its rows are read."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.n_read = 0

    def __getitem__(self, key):
        self.n_read += key.stop - key.start
        return self.values[key]


def test_samples_fit_into_half_of_the_free_memory(set_free_memory):
    source, as_floats = Source(X), Source(X.astype(np.float64))
    set_free_memory(2 * X.size)
    assert fits_on_gpu(source, len(X), torch.float32, CUDA)
    assert not fits_on_gpu(as_floats, len(X), torch.float32, CUDA)
    assert not fits_on_gpu(source, len(X), torch.float32, torch.device("cpu"))
    with device_of_job(0, 2):
        assert not fits_on_gpu(source, len(X), torch.float32, CUDA)
    set_free_memory(2 * X.size - 2)
    assert not fits_on_gpu(source, len(X), torch.float32, CUDA)
    assert fits_on_gpu(source, len(X) - 1, torch.float32, CUDA)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.uint16])
def test_source_on_a_gpu_has_its_samples_in_order(dtype):
    rows = np.random.RandomState(1).permutation(len(X))[:600]
    read = read_to_gpu(Source(X.astype(dtype)).take(rows), torch.float32, CUDA)
    assert read.is_cuda
    assert read.dtype == (
        torch.float32 if dtype is np.uint16 else torch.tensor(np.empty(0, dtype)).dtype
    )
    np.testing.assert_array_equal(read.cpu().numpy(), X[rows])


def fitted(free, set_free_memory, **params):
    set_free_memory(free)
    array = OutsideMemory(X)
    model = MLPClassifier(5, batch_size=50, max_iter=4, random_state=0, device="cuda")
    return model.set_params(**params).fit(array, Y), array


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_does_not_depend_on_the_memory_of_the_gpu(shuffle, set_free_memory):
    params = {"shuffle": shuffle, "dtype": "float64", "early_stopping": True}
    resident, read_once = fitted(2**30, set_free_memory, **params)
    windowed, read_often = fitted(0, set_free_memory, **params)
    assert read_once.n_read < read_often.n_read / 2
    assert resident.loss_curve_ == windowed.loss_curve_
    for one, other in zip(resident.coefs_, windowed.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_samples_on_a_gpu_train_in_graphs(set_free_memory, monkeypatch):
    replays = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(
        torch.cuda.CUDAGraph, "replay", lambda g: replays.append(g) or replay(g)
    )
    fitted(0, set_free_memory)
    n_of_windows = len(replays)
    fitted(2**30, set_free_memory)
    # Windows have a graph of one step. The 56 steps need eight graphs of seven steps.
    assert 0 < len(replays) - n_of_windows <= 8
    assert n_of_windows > 50


def batches_of_windows(set_free_memory):
    set_free_memory(0)
    data = DeviceData(Source(X), None, None, torch.float32, CUDA)
    assert data.reads_windows
    return [x for x, *_ in BatchLoader(data, 50)]


def test_windows_have_the_samples_of_the_source(set_free_memory):
    batches = batches_of_windows(set_free_memory)
    np.testing.assert_array_equal(torch.cat(batches).cpu().numpy(), X)


def test_missing_wait_of_the_host_would_be_seen(set_free_memory, monkeypatch):
    monkeypatch.setattr(Event, "synchronize", lambda event: None)
    with pytest.raises(RaceError, match="changed during its copy"):
        batches_of_windows(set_free_memory)


def test_missing_wait_of_the_stream_would_be_seen(set_free_memory, monkeypatch):
    monkeypatch.setattr(Stream, "wait_event", lambda stream, event: None)
    with pytest.raises(RaceError, match="another one"):
        batches_of_windows(set_free_memory)


def test_uploader_keeps_two_buffers():
    uploader = WindowUploader(torch.float32, CUDA)
    windows = [
        np.full((n, 2), float(i), np.float32) for i, n in enumerate([3, 3, 2, 1])
    ]
    uploaded = [uploader.upload(window) for window in windows]
    assert len(uploader._buffers) == 2
    for x, window in zip(uploaded, windows, strict=True):
        np.testing.assert_array_equal(x.cpu().numpy(), window)
