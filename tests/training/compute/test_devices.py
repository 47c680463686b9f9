"""Devices, dtypes and repeatable convolutions."""

import numpy as np
import pytest
import torch

from skmlp.training.compute.devices import (
    deterministic_cudnn,
    device_of_job,
    highest_precision_float,
    jobs_per_device,
    resolve_device,
    resolve_dtype,
)

CPU, MPS = torch.device("cpu"), torch.device("mps")


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_cpu_is_resolved_to_itself(device):
    assert resolve_device(device).type == "cpu"


def test_auto_without_cuda_is_the_cpu(no_cuda):
    assert resolve_device("auto") == torch.device("cpu")


def test_auto_prefers_cuda(two_gpus):
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
def test_missing_cuda_device_is_refused_by_name(no_cuda, device):
    with pytest.raises(ValueError, match="but this machine has no CUDA device; use"):
        resolve_device(device)


def test_missing_device_error_says_what_to_use(no_cuda):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        resolve_device("cuda")
    assert str(raised.value) == (
        "device='cuda' was requested, but this machine has no CUDA device; "
        "use device='auto' or 'cpu'."
    )


def test_too_high_device_index_is_refused(two_gpus):
    with pytest.raises(ValueError, match=r"'cuda:2' .* has 2 CUDA device\(s\)"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("device", ["gpu", "CPU", "", "cuda:x"])
def test_unknown_device_name_is_refused(device):
    with pytest.raises(ValueError, match="is no torch device; use 'auto'"):
        resolve_device(device)


def test_devices_that_cannot_train_are_refused():
    with pytest.raises(ValueError, match="no META device"):
        resolve_device("meta")


@pytest.mark.cuda
def test_cuda_device_is_resolved():
    assert resolve_device("auto").type == "cuda"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("f8", torch.float64),
        (">f8", torch.float64),
        ("f4", torch.float32),
        ("f2", torch.float32),
        ("u1", torch.float32),
        ("i8", torch.float32),
    ],
)
def test_dtype_is_that_of_the_data_or_float32(data, expected):
    assert resolve_dtype(None, np.dtype(data), CPU) == expected


@pytest.mark.parametrize("data", ["f8", "f4", "u1"])
def test_given_dtype_overrides_that_of_the_data(data):
    assert resolve_dtype("float32", np.dtype(data), CPU) == torch.float32
    assert resolve_dtype("float64", np.dtype(data), CPU) == torch.float64


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_mps_refuses_float64(dtype):
    assert resolve_dtype(dtype, np.dtype("f8"), MPS) == torch.float32
    with pytest.raises(ValueError, match="'mps' has no float64; use dtype='float32'"):
        resolve_dtype("float64", np.dtype("f8"), MPS)
    assert (highest_precision_float(MPS), highest_precision_float(CPU)) == (
        torch.float32,
        torch.float64,
    )


def test_convolutions_are_repeatable_until_the_last_block_ends(monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "deterministic", False)
    first, second = deterministic_cudnn(), deterministic_cudnn()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cudnn.deterministic
    second.__exit__(None, None, None)
    assert not cudnn.deterministic


def test_jobs_use_the_devices_in_turn(two_gpus):
    chosen = []
    for number in range(3):
        with device_of_job(number, n_at_once=3):
            chosen.append(str(resolve_device("auto")))
            assert str(resolve_device("cuda:1")) == "cuda:1"
            assert resolve_device("cpu").type == "cpu"
            assert jobs_per_device() == 2
    assert chosen == ["cuda:0", "cuda:1", "cuda:0"]
    assert resolve_device("auto") == torch.device("cuda")


def test_gpus_train_in_float32_unless_dtype_is_given():
    cuda, double = torch.device("cuda"), np.dtype(np.float64)
    assert resolve_dtype(None, double, cuda) == torch.float32
    assert resolve_dtype("float64", double, cuda) == torch.float64
    assert resolve_dtype(None, double, torch.device("cpu")) == torch.float64
