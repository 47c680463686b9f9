"""Comparison of values and a path, for all tests of persistence."""

import numpy as np
import pytest


def are_same(a, b):
    """Return whether two values have equal types and equal bits, at every depth."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and repr(a) == repr(b)  # NaN equals NaN
    if isinstance(a, np.ndarray):
        alike = a.dtype == b.dtype and a.shape == b.shape
        if a.dtype == object:
            return alike and are_same(a.ravel().tolist(), b.ravel().tolist())
        return alike and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(are_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(are_same, a, b))
    if isinstance(a, np.random.RandomState):
        return are_same(a.get_state(), b.get_state())
    if isinstance(a, float):
        return repr(a) == repr(b)
    if hasattr(a, "get_params"):
        return are_same(a.get_params(deep=False), b.get_params(deep=False))
    return a == b


@pytest.fixture(scope="session")
def same():
    """Return the function that compares two values."""
    return are_same


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"
