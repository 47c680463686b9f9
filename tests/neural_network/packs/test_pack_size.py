"""Pack sizes from memory, from multiplications and from measured times."""

import numpy as np
import pytest
import torch

from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.neural_network._packs import pack_size as _pack_size
from skmlp.training.packs.pack import pack_key


def make_plans(n, units, batch_size=32, n_samples=64):
    """Return plans of networks on 100 features and 10 classes."""
    X, y = np.ones((n_samples, 100)), np.arange(n_samples) % 10
    plans = []
    for seed in range(n):
        estimator = MLPClassifier(
            units, batch_size=batch_size, random_state=seed, device="cpu"
        )
        inputs = estimator._check_fit_inputs(X, y)
        plans.append(estimator._prepare_training(inputs))
    return plans


def make_convolutional_plans(n, channels, batch_size=32):
    """Return plans of convolutions on 10 x 10 pixels."""
    X, y = np.ones((64, 100)), np.arange(64) % 10
    plans = []
    for seed in range(n):
        estimator = CNNClassifier(
            channels,
            batch_size=batch_size,
            hidden_layer_sizes=(),
            random_state=seed,
            device="cpu",
        )
        inputs = estimator._check_fit_inputs(X, y)
        plans.append(estimator._prepare_training(inputs))
    return plans


def pack_size(plans):
    key = pack_key(plans[0])
    return _pack_size.choose_pack_size(key, plans)


@pytest.fixture
def measured(monkeypatch):
    """Times that replace measurements: of one network, and of a member by pack size.

    The unit is seconds a step.
    """
    times = {"alone": 1.0, "together": {}, "calls": 0}

    def together(members, n_packs):
        times["calls"] += 1
        return times["together"][len(members)] * len(members)

    monkeypatch.setattr(_pack_size, "_measured_sizes", {})
    monkeypatch.setattr(_pack_size, "time_single_step", lambda member: times["alone"])
    monkeypatch.setattr(_pack_size, "time_pack_step", together)
    return times


def test_small_networks_are_packed_without_measurement(measured):
    assert pack_size(make_plans(5, units=20)) == 5
    assert measured["calls"] == 0


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([20, 10, 20], [[1, 0, 2]]),
        # Filling up so many networks takes longer than a second pack.
        ([30] * 3 + [2] * 20, [[*range(3, 23)], [0, 1, 2]]),
        # These are too wide to be packed without a measurement.
        ([50, 60], [[0], [1]]),
        ([(5, 20), (20, 5)], [[0, 1]]),
    ],
)
def test_small_networks_of_similar_width_share_pack(widths, expected):
    plans = [plan for units in widths for plan in make_plans(1, units=units)]
    assert _pack_size.group_by_width(plans) == expected


@pytest.mark.parametrize(("units", "expected"), [(60, 5), (200, 1)])
def test_pack_size_without_measurement_depends_on_cost_alone(measured, units, expected):
    plans = make_plans(5, units=units)
    assert _pack_size.choose_pack_size("any", plans, may_measure=False) == expected
    assert measured["calls"] == 0


def test_large_networks_are_never_packed(measured):
    assert pack_size(make_plans(2, units=100, batch_size=800, n_samples=800)) == 1
    assert measured["calls"] == 0


@pytest.mark.parametrize(
    ("channels", "expected"), [(8, 3), ((8, 60), 3), ((8, 90), 1), ((30, 90), 1)]
)
def test_convolutions_are_packed_at_higher_cost(channels, expected, measured):
    plans = make_convolutional_plans(3, channels)
    assert _pack_size.choose_pack_size("any", plans, may_measure=False) == expected
    assert measured["calls"] == 0


def test_large_convolutions_are_measured_or_never_packed(measured):
    measured["together"] = {3: 0.5}
    assert pack_size(make_convolutional_plans(3, (8, 60))) == 3
    assert measured["calls"] == 1
    assert pack_size(make_convolutional_plans(3, (30, 90))) == 1
    assert measured["calls"] == 1


def test_cache_size_limits_pack_of_convolutions(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    (plan,) = make_convolutional_plans(1, (8, 60))
    most = _pack_size.max_pack_size(plan)
    assert 1 < most < 30
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert 2 * most <= _pack_size.max_pack_size(plan) <= 2 * most + 1
    monkeypatch.setattr(_pack_size, "_free_memory", lambda: 1000)
    assert _pack_size.max_pack_size(plan) == 1


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        ({8: 0.5, 10: 0.4}, 10),
        ({8: 0.3, 10: 0.4}, 8),
        ({8: 1.2, 10: 1.1}, 1),
        ({8: 0.99, 10: 0.99}, 1),
    ],
)
def test_fastest_measured_pack_size_is_chosen(together, expected, measured):
    measured["together"] = together
    assert pack_size(make_plans(10, units=60)) == expected


def test_pack_size_is_measured_once_per_process(measured):
    measured["together"] = {8: 0.5, 10: 0.4}
    plans = make_plans(10, units=60)
    assert pack_size(plans) == pack_size(plans) == 10
    assert measured["calls"] == 2


def test_pack_size_grows_with_number_of_plans(measured):
    measured["together"] = {8: 0.5, 10: 0.4}
    plans = make_plans(10, units=60)
    pack_size(plans)
    assert pack_size(plans + make_plans(4, units=60)) == 14


def test_free_memory_limits_pack_size(monkeypatch):
    (plan,) = make_plans(1, units=20)
    most = _pack_size.max_pack_size(plan)
    assert most > 100
    monkeypatch.setattr(_pack_size, "_free_memory", lambda: 10_000_000)
    assert 1 < _pack_size.max_pack_size(plan) < most
    monkeypatch.setattr(_pack_size, "_free_memory", lambda: 1000)
    assert _pack_size.max_pack_size(plan) == 1


def test_thread_count_grows_with_pack_cost(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    (plan,) = make_plans(1, units=20)
    work = _pack_size.step_multiplications(plan)
    assert work == 32 * (100 * 20 + 20 * 10)
    for_two = 2 * _pack_size._MULTIPLICATIONS_PER_THREAD // work
    assert _pack_size.pack_thread_count(plan, for_two) == 1
    assert _pack_size.pack_thread_count(plan, for_two + 1) == 2
    assert _pack_size.pack_thread_count(plan, 10 * for_two) == 4
