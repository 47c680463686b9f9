"""What every test shares: the array API switch, one torch thread, devices."""

import os

# SciPy reads it once, at its first import; scikit-learn's array API check needs it.
os.environ["SCIPY_ARRAY_API"] = "1"

import pytest
import torch
from hypothesis import settings

# A busy machine is no fault of the code.
settings.register_profile("skmlp", deadline=None)
settings.load_profile("skmlp")

# Networks in tests are too small to share out, and workers may share the cores.
torch.set_num_threads(1)


@pytest.fixture
def three_threads():
    """As many threads as a user has, before the test that chooses others."""
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
