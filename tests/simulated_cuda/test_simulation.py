"""The simulated device sees what a CUDA device would refuse."""

import numpy as np
import pytest
import torch

from simulated_cuda import (
    CaptureError,
    MixedDevicesError,
    RaceError,
    SimulatedCuda,
)


@pytest.fixture
def cuda():
    with SimulatedCuda(n_devices=2) as simulation:
        yield simulation


def test_tensors_are_on_the_requested_device(cuda):
    x = torch.zeros(3, device="cuda")
    assert x.device == torch.device("cuda", 0)
    assert (2 * x[1:]).is_cuda
    assert torch.ones(3).to("cuda:1").device.index == 1
    assert not x.cpu().is_cuda
    assert torch.zeros_like(x).is_cuda
    assert x.new_tensor([1.0]).is_cuda
    assert torch.nn.Linear(2, 2).to("cuda").weight.is_cuda


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_tensors_of_two_devices_are_refused(cuda, device):
    with pytest.raises(MixedDevicesError, match="the same device"):
        torch.zeros(3, device="cuda:0") + torch.zeros(3, device=device)


def test_numbers_of_the_host_are_accepted(cuda):
    assert (torch.ones(3, device="cuda") * torch.tensor(2.0)).tolist() == [2.0] * 3


def test_device_tensors_are_no_arrays(cuda):
    with pytest.raises(TypeError, match="convert cuda"):
        torch.zeros(3, device="cuda").numpy()


def test_generators_of_the_host_are_refused(cuda):
    x = torch.zeros(3, device="cuda")
    with pytest.raises(MixedDevicesError, match="generator"):
        x.bernoulli_(0.5, generator=torch.Generator())
    x.bernoulli_(0.5, generator=torch.Generator("cuda"))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: float(x.sum()),
        lambda x: x.new_tensor([1.0]),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.as_tensor(np.ones(3), device="cuda"),
    ],
)
def test_waits_are_counted(cuda, wait):
    x = torch.ones(3, device="cuda")
    before = cuda.record.n_waits
    wait(x)
    assert cuda.record.n_waits > before


def test_copies_from_pinned_memory_do_not_wait(cuda):
    x = torch.ones(3)
    y = x.pin_memory().to("cuda", non_blocking=True)
    assert y.is_cuda
    assert cuda.record.n_waits == 0
    x.to("cuda", non_blocking=True)  # pageable memory
    assert cuda.record.n_waits == 1


def test_launches_are_counted_but_not_views(cuda):
    x = torch.ones(3, 3, device="cuda")
    cuda.record.clear()
    x.t().mul_(2.0).relu_()
    assert cuda.record.launches == {"mul_": 1, "relu_": 1}


def record(function, *generators):
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        function()
    return graph


def test_replays_repeat_the_operations_on_the_same_tensors(cuda):
    x, total = torch.ones(3, device="cuda"), torch.zeros(3, device="cuda")
    graph = record(lambda: total.add_(2 * x))
    assert total.tolist() == [0.0] * 3  # a capture computes nothing
    for value in (1.0, 10.0):
        x.fill_(value)
        graph.replay()
    assert total.tolist() == [22.0] * 3
    assert cuda.record.graphs == [["mul", "add_"]]


def test_replays_draw_new_random_numbers(cuda):
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.zeros(100, device="cuda")
    graph = record(lambda: x.bernoulli_(0.5, generator=generator), generator)
    drawn = []
    for _ in range(2):
        graph.replay()
        drawn.append(x.tolist())
    generator.manual_seed(0)
    eager = [x.bernoulli_(0.5, generator=generator).tolist() for _ in range(2)]
    assert drawn == eager
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda x: float(x.sum()),
        lambda x: x.cpu(),
        lambda x: x.new_tensor([1.0]),
        lambda x: x.add_(torch.ones(3).mul(2)),
        lambda x: x.bernoulli_(0.5),
        lambda x: x.bernoulli_(0.5, generator=torch.Generator("cuda")),
        lambda x: torch.cuda.synchronize(),
    ],
)
def test_captures_refuse_what_waits(cuda, forbidden):
    x = torch.ones(3, device="cuda")
    with pytest.raises((CaptureError, MixedDevicesError)):
        record(lambda: forbidden(x))


def test_host_must_wait_before_it_changes_copied_memory(cuda):
    buffer, copied = torch.ones(3).pin_memory(), torch.cuda.Event()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        buffer.to("cuda", non_blocking=True)
        copied.record(stream)
    with pytest.raises(RaceError, match="changed during its copy"):
        buffer.zero_()
    copied.synchronize()
    buffer.zero_()


@pytest.mark.parametrize("waits_for", ["event", "stream"])
def test_streams_must_wait_for_each_other(cuda, waits_for):
    stream, copied = torch.cuda.Stream(), torch.cuda.Event()
    with torch.cuda.stream(stream):
        x = torch.ones(3).pin_memory().to("cuda", non_blocking=True)
        copied.record(stream)
        x.add_(1)  # on the stream of the copy
    with pytest.raises(RaceError, match="another one"):
        x.add_(1)
    if waits_for == "event":
        torch.cuda.current_stream().wait_event(copied)
    else:
        torch.cuda.current_stream().wait_stream(stream)
    assert x.add_(1).tolist() == [3.0] * 3


def test_torch_is_restored_afterwards():
    before = torch.Generator, torch.Tensor.device, torch.cuda.is_available
    with SimulatedCuda():
        assert torch.cuda.is_available()
    assert (torch.Generator, torch.Tensor.device, torch.cuda.is_available) == before
