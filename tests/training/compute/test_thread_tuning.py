"""The number of threads is chosen by measurement, and does not change results."""

import threading

import numpy as np
import pytest
import torch

from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.training.compute import dense_products as products
from skmlp.training.compute import thread_tuning
from skmlp.training.compute.thread_tuning import ThreadTuner
from skmlp.training.compute.threads import (
    available_threads,
    single_threaded,
    using_threads,
)


class Clock:
    """A clock that moves by the seconds of a step on each number of threads."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.now = 0.0
        self.wait = 0.0  # by which the clock moves when it is read

    def __call__(self):
        self.now += self.wait
        return self.now

    def train(self, tuner, n_steps):
        """Return the number of threads of each step."""
        n_threads = []
        for _ in range(n_steps):
            tuner.begin_step()
            n_threads.append(tuner.n_threads)
            self.now += self.seconds[tuner.n_threads]
        return n_threads


@pytest.fixture
def clock(monkeypatch):
    clock = Clock({1: 1.0, 2: 0.7, 4: 0.6, 6: 0.9})
    monkeypatch.setattr(thread_tuning, "perf_counter", clock)
    return clock


@pytest.mark.parametrize(
    ("max_threads", "candidates"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])],
)
def test_candidates_double_up_to_all_threads(max_threads, candidates):
    assert ThreadTuner(max_threads).candidates == candidates


def test_fastest_number_of_threads_is_kept(clock):
    tuner = ThreadTuner(6)
    n_threads = clock.train(tuner, 6 * thread_tuning._STEPS_PER_TIMING)
    n_trials = 5 * thread_tuning._STEPS_PER_TIMING
    assert sorted(set(n_threads[:n_trials])) == [1, 2, 4, 6]
    assert set(n_threads[n_trials:]) == {4}


@pytest.mark.parametrize(("seconds", "n_steps"), [(1e-4, 6), (0.004, 3), (1.0, 1)])
def test_trials_of_slow_steps_are_short(seconds, n_steps, clock):
    clock.seconds = {1: seconds, 2: 0.7 * seconds}
    n_threads = clock.train(ThreadTuner(2), 20)
    n_steps += 1  # the first step of a training is not timed
    assert n_threads == [1] * n_steps + [2] * (20 - n_steps)


def test_first_step_is_not_timed(clock):
    """It allocates memory."""
    tuner = ThreadTuner(2)
    clock.seconds = {1: 100.0, 2: 100.0}
    clock.train(tuner, 1)
    clock.seconds = {1: 1.0, 2: 1.5}
    clock.train(tuner, 10)
    assert tuner.n_threads == 1


@pytest.mark.parametrize(("seconds", "chosen"), [(0.97, 1), (0.9, 2)])
def test_more_threads_have_to_be_clearly_faster(seconds, chosen, clock):
    tuner = ThreadTuner(2)
    clock.seconds = {1: 1.0, 2: seconds}
    clock.train(tuner, 4 * thread_tuning._STEPS_PER_TIMING)
    assert tuner.n_threads == chosen


def test_threads_that_wait_for_cores_are_not_tried(clock, monkeypatch):
    class WaitingThreads(using_threads):
        def __enter__(self):
            clock.wait = 0.003 if self.n_threads > 1 else 0.0
            return super().__enter__()

        def __exit__(self, *error):
            clock.wait = 0.0

    monkeypatch.setattr(thread_tuning, "using_threads", WaitingThreads)
    assert set(clock.train(ThreadTuner(4), 100)) == {1}


def test_slow_threads_are_given_up_after_one_timed_step(clock):
    clock.seconds = {1: 1.0, 2: 100.0}
    n_threads = clock.train(ThreadTuner(2), 4 * thread_tuning._STEPS_PER_TIMING)
    assert n_threads.count(2) == 2  # the first step after a change is not timed


def test_tuner_returns_to_one_thread_when_the_cores_are_taken(clock):
    tuner = ThreadTuner(2)
    clock.train(tuner, 4 * thread_tuning._STEPS_PER_TIMING)
    assert tuner.n_threads == 2
    clock.seconds = {1: 1.1, 2: 100.0}
    n_threads = clock.train(tuner, 2 * thread_tuning._STEPS_PER_TIMING)
    assert n_threads.count(2) <= 2


def test_slower_numbers_are_retried_after_growing_pauses(clock):
    clock.seconds = {1: 1.0, 2: 1.5}
    tuner = ThreadTuner(2)
    steps_before_retry = (
        thread_tuning._TIMINGS_BEFORE_RETRY * thread_tuning._STEPS_PER_TIMING
    )
    n_threads = clock.train(tuner, 20 * steps_before_retry)
    tried = np.flatnonzero(np.diff([1, *n_threads]) == 1)
    assert len(tried) > 3
    pauses = np.diff(tried)
    assert (pauses[1:] > 1.5 * pauses[:-1]).all()
    clock.seconds = {1: 1.0, 2: 0.5}
    n_threads = clock.train(tuner, 64 * steps_before_retry)
    assert n_threads[-1] == 2


def test_one_thread_is_retried(clock):
    tuner = ThreadTuner(2)
    clock.train(tuner, 4 * thread_tuning._STEPS_PER_TIMING)
    assert tuner.n_threads == 2
    clock.seconds = {1: 0.5, 2: 0.7}
    n_steps = 16 * thread_tuning._TIMINGS_BEFORE_RETRY * thread_tuning._STEPS_PER_TIMING
    assert clock.train(tuner, n_steps)[-1] == 1


def test_time_between_epochs_is_not_measured(clock):
    tuner = ThreadTuner(2)
    for _ in range(8):
        clock.train(tuner, thread_tuning._STEPS_PER_TIMING)
        clock.now += 1000.0 if tuner.n_threads == 2 else 0.0
        tuner.pause()
    assert tuner.n_threads == 2


def test_tuners_do_not_affect_each_other(clock):
    tuner, other = ThreadTuner(2), ThreadTuner(2)
    clock.train(tuner, 4 * thread_tuning._STEPS_PER_TIMING)
    assert tuner.n_threads == 2
    assert other.n_threads == thread_tuning.SINGLE_THREAD_TUNER.n_threads == 1


@pytest.mark.usefixtures("three_threads")
def test_operations_of_the_only_fit_may_use_threads():
    with single_threaded():
        assert available_threads() == 3
        with using_threads(2) as shared:
            assert shared
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
        with single_threaded():  # like that of a fit in another thread
            assert available_threads() == 1
            with using_threads(2) as shared:
                assert not shared
                assert torch.get_num_threads() == 1
    with using_threads(2) as shared:
        assert not shared


@pytest.mark.usefixtures("three_threads")
def test_threads_outside_of_a_fit_get_no_threads_to_use():
    """Such a thread may train a network that uses several threads anyway."""
    found = []

    def outside_of_the_fit():
        torch.set_num_threads(3)
        with using_threads(2) as shared:
            found.extend([available_threads(), shared, torch.get_num_threads()])
        found.append(torch.get_num_threads())

    with single_threaded():
        thread = threading.Thread(target=outside_of_the_fit)
        thread.start()
        thread.join()
    assert found == [1, False, 3, 3]


@pytest.fixture
def changing_threads(monkeypatch):
    """Let tuners change the number of threads often; list the numbers."""
    seen = []

    def choose(tuner):
        candidates = tuner.candidates
        position = candidates.index(tuner.n_threads) + 1
        seen.append(candidates[position % len(candidates)])
        return seen[-1]

    monkeypatch.setattr(thread_tuning, "_STEPS_PER_TIMING", 1)
    monkeypatch.setattr(thread_tuning, "_STEPS_PER_TRIAL", 1)
    monkeypatch.setattr(ThreadTuner, "_choose", choose)
    return seen


@pytest.mark.usefixtures("three_threads")
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("network", [MLPClassifier, CNNClassifier])
def test_fits_give_equal_bits_on_any_threads(changing_threads, network, solver, dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 400)).astype(dtype), rng.integers(0, 5, 400)
    params = {"conv_channels": (3,)} if network is CNNClassifier else {}
    model = network(
        hidden_layer_sizes=(90, 300),
        solver=solver,
        batch_size=40,
        max_iter=2,
        random_state=0,
        device="cpu",
        **params,
    )
    weights = [w.tobytes() for w in model.fit(X, y).coefs_]
    assert set(changing_threads) == {1, 2, 3}
    torch.set_num_threads(1)
    assert [w.tobytes() for w in model.fit(X, y).coefs_] == weights


@pytest.mark.usefixtures("three_threads")
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("n_units", [128, 700])
def test_large_batches_give_equal_bits_on_any_threads(n_units, changing_threads):
    """Threads share each product of these batches."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(800, 784)).astype(np.float32), rng.integers(0, 10, 800)
    model = MLPClassifier((n_units,), batch_size=200, max_iter=6, random_state=0)
    model.set_params(device="cpu")
    weights = [w.tobytes() for w in model.fit(X, y).coefs_]
    assert set(changing_threads) == {1, 2, 3}
    torch.set_num_threads(1)
    assert [w.tobytes() for w in model.fit(X, y).coefs_] == weights


@pytest.mark.usefixtures("three_threads")
def test_products_with_sums_split_by_threads_use_one_thread(monkeypatch):
    """Products of many inputs and few units are such products."""
    monkeypatch.setattr(products, "_same_bits", {})
    numbers = []

    def cut(x, weight, bias):
        numbers.append(torch.get_num_threads())
        parts = (t.tensor_split(numbers[-1], 1) for t in (x, weight))
        return sum(a @ b.mT for a, b in zip(*parts, strict=True))

    monkeypatch.setattr(products, "_onednn_linear", cut)
    monkeypatch.setattr(products, "_is_faster_by_onednn", lambda x, weight: True)
    x, weight = torch.randn(4, 100_000), torch.randn(4, 100_000)
    with single_threaded():
        products.linear_without_grad(x, weight, n_threads=3)
        assert numbers == [1, 3, 1]  # the trial, and the product
        products.linear_without_grad(x, weight, n_threads=3)
        assert numbers == [1, 3, 1, 1]
