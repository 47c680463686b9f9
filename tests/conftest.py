"""Settings of all tests: array API, torch threads, CUDA."""

import os

# scikit-learn's array API check needs it. SciPy reads it at its first import.
os.environ["SCIPY_ARRAY_API"] = "1"

import pytest
import torch
from hypothesis import settings

# A test may be slow on a busy machine.
settings.register_profile("skmlp", deadline=None)
settings.load_profile("skmlp")

# Networks in tests are too small for threads, and the test workers share the cores.
torch.set_num_threads(1)


@pytest.fixture
def three_threads():
    """Set three torch threads, as on a user's machine, and restore the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="this machine has no CUDA device"))
