"""Threads within a step: chosen by the clock, without a say in the result."""

import threading

import numpy as np
import pytest
import torch

from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.training.compute import dense_products as products
from skmlp.training.compute import thread_tuning as tuner
from skmlp.training.compute.thread_tuning import ThreadTuner, tuned_thread_count
from skmlp.training.compute.threads import (
    available_threads,
    single_threaded,
    using_threads,
)


class Clock:
    """Time that goes on by what steps take on each number of threads."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.now = 0.0

    def __call__(self):
        return self.now

    def train(self, workers, n_steps):
        """Return on how many threads each step was computed."""
        sizes = []
        for _ in range(n_steps):
            workers.begin_step()
            sizes.append(tuned_thread_count())
            self.now += self.seconds[tuned_thread_count()]
        return sizes


@pytest.fixture
def clock(monkeypatch):
    clock = Clock({1: 1.0, 2: 0.7, 4: 0.6, 6: 0.9})
    monkeypatch.setattr(tuner, "perf_counter", clock)
    return clock


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])],
)
def test_sizes_double_up_to_all_threads(most, sizes):
    assert ThreadTuner(most).sizes == sizes


def test_the_fastest_number_of_threads_stays(clock):
    with ThreadTuner(6) as workers:
        sizes = clock.train(workers, 6 * tuner._STEPS)
    assert sorted(set(sizes[: 5 * tuner._STEPS])) == [1, 2, 4, 6]
    assert set(sizes[5 * tuner._STEPS :]) == {4}
    assert tuned_thread_count() == 1


def test_threads_that_come_too_late_are_given_up_at_once(clock):
    clock.seconds = {1: 1.0, 2: 100.0}
    with ThreadTuner(2) as workers:
        sizes = clock.train(workers, 4 * tuner._STEPS)
    assert sizes.count(2) == 2  # the one that is not timed, and the one that is


def test_it_goes_back_when_another_process_takes_the_cores(clock):
    with ThreadTuner(2) as workers:
        clock.train(workers, 4 * tuner._STEPS)
        assert tuned_thread_count() == 2
        clock.seconds = {1: 1.1, 2: 100.0}
        sizes = clock.train(workers, 2 * tuner._STEPS)
    assert sizes.count(2) <= 2


def test_what_was_slower_is_tried_again_and_ever_more_seldom(clock):
    clock.seconds = {1: 1.0, 2: 1.5}
    with ThreadTuner(2) as workers:
        sizes = clock.train(workers, 20 * tuner._PATIENCE * tuner._STEPS)
        tried = np.flatnonzero(np.diff([1, *sizes]) == 1)
        assert len(tried) > 3
        pauses = np.diff(tried)
        assert (pauses[1:] > 1.5 * pauses[:-1]).all()
        clock.seconds = {1: 1.0, 2: 0.5}
        sizes = clock.train(workers, 64 * tuner._PATIENCE * tuner._STEPS)
    assert sizes[-1] == 2


def test_one_thread_is_tried_again_too(clock):
    with ThreadTuner(2) as workers:
        clock.train(workers, 4 * tuner._STEPS)
        assert tuned_thread_count() == 2
        clock.seconds = {1: 0.5, 2: 0.7}
        sizes = clock.train(workers, 16 * tuner._PATIENCE * tuner._STEPS)
    assert sizes[-1] == 1


def test_what_lies_between_epochs_is_not_timed(clock):
    with ThreadTuner(2) as workers:
        for _ in range(8):
            clock.train(workers, tuner._STEPS)
            clock.now += 1000.0 if tuned_thread_count() == 2 else 0.0
            workers.pause()
        assert tuned_thread_count() == 2


def test_other_threads_have_no_team(clock):
    with ThreadTuner(2) as workers:
        clock.train(workers, 4 * tuner._STEPS)
        assert tuned_thread_count() == 2
        seen = []
        thread = threading.Thread(target=lambda: seen.append(tuned_thread_count()))
        thread.start()
        thread.join()
    assert seen == [1]


@pytest.mark.usefixtures("three_threads")
def test_one_operation_has_the_threads_of_the_only_fit():
    with single_threaded():
        assert available_threads() == 3
        with using_threads(2) as shared:
            assert shared
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
        with single_threaded():  # as of a fit in another thread
            assert available_threads() == 1
            with using_threads(2) as shared:
                assert not shared
                assert torch.get_num_threads() == 1
    with using_threads(2) as shared:
        assert not shared


@pytest.mark.usefixtures("three_threads")
def test_a_thread_beside_the_fit_has_nothing_to_share():
    """Such as one that trains a network for which one thread is not enough."""
    found = []

    def beside():
        torch.set_num_threads(3)
        with using_threads(2) as shared:
            found.extend([available_threads(), shared, torch.get_num_threads()])
        found.append(torch.get_num_threads())

    with single_threaded():
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    assert found == [1, False, 3, 3]


@pytest.fixture
def restless(monkeypatch):
    """A team that takes another number of threads in every step."""
    seen = []

    def choose(workers):
        sizes = workers.sizes
        seen.append(sizes[(sizes.index(tuned_thread_count()) + 1) % len(sizes)])
        return seen[-1]

    monkeypatch.setattr(tuner, "_STEPS", 1)
    monkeypatch.setattr(ThreadTuner, "_choose", choose)
    return seen


@pytest.mark.usefixtures("three_threads")
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("network", [MLPClassifier, CNNClassifier])
def test_the_bits_do_not_depend_on_the_threads(restless, network, solver, dtype):
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
    assert set(restless) == {1, 2, 3}
    torch.set_num_threads(1)
    assert [w.tobytes() for w in model.fit(X, y).coefs_] == weights


@pytest.mark.usefixtures("three_threads")
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_bits_of_larger_batches_do_not_depend_on_the_threads(restless):
    """Of a dense network, all of whose many products are shared one by one."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(800, 784)).astype(np.float32), rng.integers(0, 10, 800)
    model = MLPClassifier((128,), batch_size=200, max_iter=6, random_state=0)
    model.set_params(device="cpu")
    weights = [w.tobytes() for w in model.fit(X, y).coefs_]
    assert set(restless) == {1, 2, 3}
    torch.set_num_threads(1)
    assert [w.tobytes() for w in model.fit(X, y).coefs_] == weights


@pytest.mark.usefixtures("three_threads")
def test_a_product_whose_sums_are_cut_by_threads_is_not_shared(monkeypatch):
    """Such as those of long rows by few units."""
    monkeypatch.setattr(products, "_same_bits", {})
    monkeypatch.setattr(products, "tuned_thread_count", lambda: 3)
    numbers = []

    def cut(x, weight, bias):
        numbers.append(torch.get_num_threads())
        parts = (t.tensor_split(numbers[-1], 1) for t in (x, weight))
        return sum(a @ b.mT for a, b in zip(*parts, strict=True))

    monkeypatch.setattr(products, "_call", cut)
    monkeypatch.setattr(products, "_worth_onednn", lambda x, weight: True)
    x, weight = torch.randn(4, 100_000), torch.randn(4, 100_000)
    with single_threaded():
        products.affine(x, weight)
        assert numbers == [1, 3] * products._DRAWS + [1]
        products.affine(x, weight)
        assert numbers == [1, 3] * products._DRAWS + [1, 1]
