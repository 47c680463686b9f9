"""Settings of all tests: array API, torch threads, simulated CUDA.

Without a CUDA device, tests with the marker ``cuda`` run on a simulated one. Tests with
the marker ``on_cuda_too`` run a second time on it: ``device="auto"`` then is 'cuda'.
The option ``--simulated-cuda`` runs all tests on it.
"""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

# scikit-learn's array API check needs it. SciPy reads it at its first import.
os.environ["SCIPY_ARRAY_API"] = "1"

import pytest
import torch
from hypothesis import settings

# The package `simulated_cuda`.
sys.path.append(str(Path(__file__).parent))

from simulated_cuda import SimulatedCuda

# A test may be slow on a busy machine.
settings.register_profile("skmlp", deadline=None)
settings.load_profile("skmlp")

# Networks in tests are too small for threads, and the test workers share the cores.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def close_figures():
    """Close a test's figures. matplotlib warns when more than twenty are open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def no_mode_is_left():
    """Fail the test that leaves a mode of torch on, not all later ones."""
    yield
    n_modes = torch._C._len_torch_function_stack()
    for _ in range(n_modes):
        torch.overrides._pop_mode()
    assert n_modes == 0
    assert torch._C._functorch.maybe_get_level(torch.empty(0)) == -1
    assert torch._C._functorch.peek_interpreter_stack() is None


@pytest.fixture
def three_threads():
    """Set three torch threads, as on a user's machine, and restore the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def pytest_addoption(parser):
    parser.addoption(
        "--simulated-cuda",
        action="store_true",
        help="run all tests on a simulated CUDA device",
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    # A module may fit an estimator when it is imported.
    simulates = session.config.getoption("simulated_cuda")
    with SimulatedCuda() if simulates else nullcontext():
        return (yield)


def pytest_generate_tests(metafunc):
    if metafunc.definition.get_closest_marker("on_cuda_too"):
        metafunc.fixturenames.append("default_device")
        metafunc.parametrize("default_device", ["cpu", "cuda"])


def needs_simulation(item):
    if item.config.getoption("simulated_cuda"):
        return True
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if params.get("default_device") == "cuda":
        return True
    return item.get_closest_marker("cuda") and not torch.cuda.is_available()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with SimulatedCuda() if needs_simulation(item) else nullcontext():
        return (yield)
