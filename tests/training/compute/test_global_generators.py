"""Blocks that seed or replace global random generators leave them as they were."""

import random
import signal

import numpy as np
import pytest
import torch

from skmlp.training.compute import global_generators
from skmlp.training.compute.global_generators import (
    global_draws_from,
    seeded_global_generators,
)


def states():
    return (
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),
        random.getstate(),
    )


def draw():
    return torch.rand(1).item(), np.random.rand(), random.random()


def test_seeded_generators_draw_equally_and_are_restored():
    before = states()
    with seeded_global_generators(3):
        first = draw()
    with seeded_global_generators(3):
        assert draw() == first
    with seeded_global_generators(4):
        assert draw() != first
    assert states() == before


def test_draws_continue_the_other_generator():
    generator, twin = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    before = states()
    with global_draws_from(generator):
        assert torch.equal(torch.rand(3), torch.rand(3, generator=twin))
    assert torch.equal(
        torch.rand(3, generator=generator), torch.rand(3, generator=twin)
    )
    assert states() == before


def pressing(function):
    """Return the function, with Ctrl-C pressed before its call."""

    def call(*args):
        signal.raise_signal(signal.SIGINT)
        return function(*args)

    return call


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (np.random, "seed"),
        (np.random, "set_state"),
        (random, "seed"),
        (random, "setstate"),
    ],
    ids=["NumPy seed", "NumPy state", "Python seed", "Python state"],
)
def test_interrupted_block_restores_all_generators(owner, name, monkeypatch):
    before = states()
    monkeypatch.setattr(owner, name, pressing(getattr(owner, name)))
    with pytest.raises(KeyboardInterrupt), seeded_global_generators(3):
        draw()
    monkeypatch.undo()
    assert states() == before


class PressingGenerator:
    """torch's global generator, with Ctrl-C pressed before one of its calls."""

    def __init__(self, n_calls_before):
        self.n_calls_before = n_calls_before

    def get_state(self):
        return torch.default_generator.get_state()

    def set_state(self, state):
        if self.n_calls_before == 0:
            signal.raise_signal(signal.SIGINT)
        self.n_calls_before -= 1
        torch.default_generator.set_state(state)


@pytest.mark.parametrize("n_calls_before", [0, 1])
def test_interrupted_draws_restore_the_global_generator(n_calls_before, monkeypatch):
    before = states()
    default = PressingGenerator(n_calls_before)
    monkeypatch.setattr(global_generators, "_default_generator", lambda device: default)
    with pytest.raises(KeyboardInterrupt), global_draws_from(torch.Generator()):
        torch.rand(3)
    assert states() == before
