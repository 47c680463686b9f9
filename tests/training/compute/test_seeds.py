"""Random states and generators of a fit do not change the global ones."""

import copy

import numpy as np
import pytest
import torch

from skmlp.training.compute.seeds import resolve_random_state, torch_generator

CPU = torch.device("cpu")


def test_integer_seeds_draw_as_in_scikit_learn():
    expected = np.random.RandomState(7).normal(size=3)
    np.testing.assert_array_equal(resolve_random_state(7).normal(size=3), expected)


@pytest.mark.parametrize("seed", [0, np.int32(3), 2**32 - 1])
def test_seeded_state_equals_that_of_numpy(seed):
    random_state, theirs = resolve_random_state(seed), np.random.RandomState(int(seed))
    for copied in (random_state, copy.deepcopy(random_state)):
        for of_ours, of_theirs in zip(
            copied.get_state(), theirs.get_state(), strict=True
        ):
            np.testing.assert_array_equal(of_ours, of_theirs)


def test_given_random_state_is_returned_unchanged():
    random_state = np.random.RandomState(0)
    assert resolve_random_state(random_state) is random_state


def test_none_gives_a_fresh_state_and_not_the_global_one():
    before = np.random.get_state()
    first, second = (resolve_random_state(None).normal(size=4) for _ in range(2))
    assert not np.array_equal(first, second)
    after = np.random.get_state()
    np.testing.assert_array_equal(after[1], before[1])
    assert after[2:] == before[2:]


def test_torch_generator_is_seeded_by_one_draw():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        random_state = np.random.RandomState(3)
        generator = torch_generator(random_state, CPU)
        draws.append(torch.rand(4, generator=generator))
    assert torch.equal(*draws)
    expected = np.random.RandomState(3)
    expected.randint(2**31 - 1)
    assert random_state.randint(1000) == expected.randint(1000)
    assert torch.equal(torch.get_rng_state(), before)


def test_generators_of_one_state_differ():
    random_state = np.random.RandomState(0)
    one, two = (torch_generator(random_state, CPU) for _ in range(2))
    assert one.initial_seed() != two.initial_seed()
