"""Comparisons of ensembles."""

import pytest


@pytest.fixture(scope="session")
def assert_equal_members(assert_equal_weights):
    """Comparison of the members of two ensembles, to the bit by default.

    A network in a pack and the same network alone round sums differently.
    """

    def assert_equal(members, others, atol=0.0):
        assert len(members) == len(others)
        for one, other in zip(members, others, strict=True):
            assert_equal_weights(one, other, atol=atol)

    return assert_equal
