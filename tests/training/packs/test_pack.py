"""Packs: every member ends as it would have ended alone."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from skmlp.neural_network import MLPClassifier
from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.training.compute import thread_tuning
from skmlp.training.compute.thread_tuning import ThreadTuner
from skmlp.training.compute.threads import single_threaded, using_threads
from skmlp.training.optimizers.flat_optimizers import adam_step
from skmlp.training.packs import dense_products as dense_products
from skmlp.training.packs import optimizer as pack_optimizer
from skmlp.training.packs.pack import _Pack, pack_key, train_pack
from skmlp.training.run import TrainingRun
from skmlp.training.trainer import train

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)


def member_of(n_samples=150, seed=0, checkpoint=None, **params):
    """Return a run of an estimator that trains on some of the samples."""
    defaults = {
        "hidden_layer_sizes": 5,
        "max_iter": 5,
        "batch_size": 20,
        "random_state": seed,
    }
    estimator = MLPClassifier(**(defaults | params))
    chosen = np.random.RandomState(seed).permutation(150)[:n_samples]
    inputs = estimator._check_fit_inputs(X[chosen], Y[chosen])
    return estimator._prepare_training(inputs, checkpoint=checkpoint)


def train_alone(member):
    try:
        train(member)
    except FloatingPointError as error:
        member.error = error


def assert_same(members, alone):
    for one, other in zip(members, alone, strict=True):
        if other.error is not None:
            assert one.error is not None
            assert one.error.args == other.error.args
            continue
        assert one.error is None
        values, expected = one.net.flat_.values, other.net.flat_.values
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-10)
        buffers = one.net.module_.buffers(), other.net.module_.buffers()
        for buffer, expected in zip(*buffers, strict=True):
            torch.testing.assert_close(buffer, expected, rtol=1e-10, atol=1e-10)
        assert one.net.epochs_ == other.net.epochs_
        assert one.net.converged_ == other.net.converged_
        np.testing.assert_allclose(
            one.net.monitor.loss_curve, other.net.monitor.loss_curve, rtol=1e-9
        )
        np.testing.assert_allclose(
            one.net.monitor.validation_scores, other.net.monitor.validation_scores
        )
        assert one.net.monitor.best_epoch == other.net.monitor.best_epoch
        assert one.net.monitor.samples_seen == other.net.monitor.samples_seen
        optimizer, alone_optimizer = one.net.optimizer_, other.net.optimizer_
        for name in ("lr",):
            assert optimizer.param_groups[0][name] == pytest.approx(
                alone_optimizer.param_groups[0][name]
            )
        state = optimizer.state[values]
        for name, expected in alone_optimizer.state[other.net.flat_.values].items():
            torch.testing.assert_close(
                torch.as_tensor(state[name], dtype=torch.float64),
                torch.as_tensor(expected, dtype=torch.float64),
                rtol=1e-9,
                atol=1e-10,
            )


def test_pack_is_freed_without_the_garbage_collector():
    members = [member_of(seed=seed, dropout=0.5, batch_norm=True) for seed in (0, 1)]
    pack = _Pack(members, [0, 1])
    with torch.no_grad():
        pack.run_epoch()
    gone = weakref.ref(pack)
    gc.disable()
    try:
        del pack
        assert gone() is None
    finally:
        gc.enable()


PACK_PARAMS = st.fixed_dictionaries(
    {
        "solver": st.sampled_from(["sgd", "adam", "adamw"]),
        "batch_size": st.sampled_from([7, 20, 48]),
        "early_stopping": st.booleans(),
        "activation": st.sampled_from(["relu", "tanh", "logistic"]),
        "max_grad_norm": st.sampled_from([None, 0.5]),
        "dropout": st.sampled_from([0.0, 0.3]),
        "batch_norm": st.booleans(),
    }
)
MEMBER_PARAMS = st.fixed_dictionaries(
    {
        "n_samples": st.integers(70, 150),
        "seed": st.integers(0, 5),
        "learning_rate_init": st.sampled_from([0.001, 0.03, 0.3]),
        "learning_rate": st.sampled_from(["constant", "adaptive", "cosine", "step"]),
        "alpha": st.sampled_from([0.0, 0.01]),
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "beta_1": st.sampled_from([0.8, 0.9]),
        "max_iter": st.integers(1, 12),
        "n_iter_no_change": st.integers(1, 3),
        "tol": st.sampled_from([1e-4, 0.1]),
        "warmup_epochs": st.sampled_from([0.0, 1.5]),
        "shuffle": st.booleans(),
    }
)


@settings(max_examples=15, derandomize=True)
@given(PACK_PARAMS, st.lists(MEMBER_PARAMS, min_size=2, max_size=5), st.integers(1, 3))
def test_members_end_as_they_would_alone(shared, own, n_threads):
    members = [member_of(**shared, **params) for params in own]
    (key,) = {pack_key(member) for member in members}
    assert key is not None
    alone = [member_of(**shared, **params) for params in own]
    train_pack(members, n_threads=n_threads)
    for member in alone:
        train_alone(member)
    assert_same(members, alone)


@settings(max_examples=15, derandomize=True)
@given(
    st.fixed_dictionaries(
        {
            "solver": st.sampled_from(["sgd", "adam", "adamw"]),
            # The next normalization cancels the bias of a linear layer. Its gradient
            # is a rounding error, which Adam would turn into full steps.
            "layer": st.sampled_from(
                [
                    {"activation": "relu"},
                    {"activation": "tanh"},
                    {"activation": "identity"},
                    {"activation": "relu", "batch_norm": True},
                    {"activation": "tanh", "batch_norm": True},
                ]
            ),
            "max_grad_norm": st.sampled_from([None, 0.5]),
            "early_stopping": st.booleans(),
        }
    ),
    st.lists(MEMBER_PARAMS, min_size=2, max_size=4),
    st.lists(st.tuples(*[st.integers(1, 9)] * 2), min_size=4, max_size=4, unique=True),
)
def test_narrow_members_end_as_they_would_alone(shared, own, widths):
    shared |= shared.pop("layer")
    own = [
        {**params, "hidden_layer_sizes": sizes}
        for params, sizes in zip(own, widths, strict=False)
    ]
    members = [member_of(**shared, **params) for params in own]
    assert len({pack_key(member) for member in members}) == 1
    alone = [member_of(**shared, **params) for params in own]
    train_pack(members)
    for member in alone:
        train_alone(member)
    assert_same(members, alone)


@pytest.mark.parametrize(
    "params",
    [{"activation": "logistic"}, {"dropout": 0.3}],
    ids=lambda params: next(iter(params)),
)
def test_widths_are_in_the_key_if_padding_would_change(params):
    narrow, wide = (member_of(hidden_layer_sizes=n, **params) for n in (3, 4))
    assert pack_key(narrow) != pack_key(wide)


@settings(max_examples=15, derandomize=True)
@given(
    PACK_PARAMS,
    st.lists(MEMBER_PARAMS, min_size=2, max_size=5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(sorted),
    st.integers(1, 2),
)
def test_members_continue_from_checkpoints(shared, own, ends, n_threads):
    states = [MemoryCheckpoint({}) for _ in own]
    for end in [*ends, 12]:
        members = [
            member_of(**shared, **params, checkpoint=state)
            for params, state in zip(own, states, strict=True)
        ]
        for member in members:
            member.max_epochs = min(member.max_epochs, end)
        epochs = []
        train_pack(members, epochs.append, n_threads)
        assert sum(epochs) == sum(member.net.epochs_ for member in members)
    alone = [member_of(**shared, **params) for params in own]
    for member in alone:
        train_alone(member)
    assert_same(members, alone)


def members_with_checkpoints(rates):
    """Return members with some learning rates, and their checkpoints."""
    checkpoints = [MemoryCheckpoint({}) for _ in rates]
    members = [
        member_of(checkpoint=checkpoint, solver="sgd", learning_rate_init=rate)
        for checkpoint, rate in zip(checkpoints, rates, strict=True)
    ]
    return members, checkpoints


def states_of(checkpoints):
    return [checkpoint.stages["fit"]["state"] for checkpoint in checkpoints]


def test_failed_members_store_no_checkpoint():
    members, checkpoints = members_with_checkpoints([0.01, 1e200])
    train_pack(members)
    fine, failed = states_of(checkpoints)
    assert fine["epochs"] == 5
    assert failed is None


def test_interrupted_members_store_no_checkpoint(monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "finish_epoch", interrupt)
    members, checkpoints = members_with_checkpoints([0.01, 0.1])
    with pytest.raises(KeyboardInterrupt):
        train_pack(members)
    assert states_of(checkpoints) == [None, None]


def members_of_one_fit_data(n_seeds, alphas, **params):
    """Return members with the same samples, and for one seed in the same order."""
    estimators = [
        MLPClassifier(
            alpha=alpha, random_state=seed, max_iter=3 + 4 * i, batch_size=20, **params
        )
        for i, alpha in enumerate(alphas)
        for seed in range(n_seeds)
    ]
    inputs = estimators[0]._check_fit_inputs(X, Y).with_shared_device_tensors()
    checked_attributes = vars(estimators[0])
    members = []
    for estimator in estimators:
        own_params = estimator.get_params()
        vars(estimator).update(checked_attributes)
        members.append(estimator.set_params(**own_params)._prepare_training(inputs))
    return members


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("hidden", [5, (), (30, 7)])
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_members_with_shared_samples_end_as_they_would_alone(
    n_seeds, hidden, batch_norm, n_threads
):
    """That holds while all members train, and after some of them ended."""
    params = {
        "hidden_layer_sizes": hidden,
        "batch_norm": batch_norm,
        "early_stopping": True,
        "learning_rate_init": 0.02,
    }
    alphas = (0.0, 0.1, 3.0)
    members, alone = (
        members_of_one_fit_data(n_seeds, alphas, **params) for _ in range(2)
    )
    train_pack(members, n_threads=n_threads)
    for member in alone:
        train_alone(member)
    assert_same(members, alone)
    assert {member.net.epochs_ for member in members} == {3, 7, 11}
    for one, other in zip(members, alone, strict=True):
        states = (
            one.train_loader.random_state.get_state(),
            other.train_loader.random_state.get_state(),
        )
        assert pickle.dumps(states[0]) == pickle.dumps(states[1])


def test_members_of_one_fit_data_share_a_tensor():
    addresses = {
        m.train_loader.data.X.data_ptr() for m in members_of_one_fit_data(2, (0.0, 1.0))
    }
    assert len(addresses) == 1


@pytest.mark.parametrize("batch_norm", [False, True])
def test_each_member_stops_at_its_own_epoch(batch_norm):
    params = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 60}
    params["batch_norm"] = batch_norm
    own = [{"seed": seed, "learning_rate_init": 0.01 * (seed + 1)} for seed in range(5)]
    members, alone = ([member_of(**params, **one) for one in own] for _ in range(2))
    train_pack(members)
    for member in alone:
        train_alone(member)
    assert_same(members, alone)
    assert len({member.net.epochs_ for member in members}) > 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_diverging_members_do_not_change_their_neighbors(batch_norm, dtype):
    params = {"solver": "sgd", "batch_norm": batch_norm, "dtype": dtype}
    rates = [0.01, 1e200, 0.02]
    members = [member_of(**params, learning_rate_init=rate) for rate in rates]
    others = [member_of(**params, learning_rate_init=rate) for rate in rates[::2]]
    train_pack(members)
    train_pack(others)
    assert members[1].error.args == (1,)
    for one, other in zip(members[::2], others, strict=True):
        assert one.error is None
        assert torch.equal(one.net.flat_.values, other.net.flat_.values)
        buffers = one.net.module_.buffers(), other.net.module_.buffers()
        assert all(map(torch.equal, *buffers))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_order_of_members_does_not_matter(batch_norm):
    own = [
        {
            "seed": seed,
            "n_samples": 150 - 10 * seed,
            "batch_norm": batch_norm,
            "learning_rate_init": 0.001 * (seed % 2 + 1),
        }
        for seed in range(4)
    ]
    members, reverse = ([member_of(**one) for one in own] for _ in range(2))
    train_pack(members)
    train_pack(reverse[::-1])
    for one, other in zip(members, reverse, strict=True):
        assert torch.equal(one.net.flat_.values, other.net.flat_.values)


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_members", [10, 12])
def test_threads_do_not_change_a_pack(n_members, solver, dtype, monkeypatch):
    granted = []

    class Recorded(using_threads):
        def __enter__(self):
            granted.append(self.n_threads if super().__enter__() else 1)

    monkeypatch.setattr(dense_products, "using_threads", Recorded)
    monkeypatch.setattr(thread_tuning, "MIN_TUNED_PARAMETERS", 0)

    def train_on(n_threads):
        granted.clear()
        monkeypatch.setattr(ThreadTuner, "_choose", lambda tuner: n_threads)
        members = [
            member_of(
                hidden_layer_sizes=(60, 30),
                solver=solver,
                dtype=dtype,
                seed=i // 4,
                alpha=0.01 * i,
                learning_rate_init=0.001 * (i + 1),
                max_iter=12,
                device="cpu",
            )
            for i in range(n_members)
        ]
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            with single_threaded():
                train_pack(members)
        finally:
            torch.set_num_threads(before)
        assert max(granted) == n_threads
        return [member.net.flat_.values for member in members]

    assert all(map(torch.equal, train_on(1), train_on(3)))


def test_members_with_different_learning_rates_share_a_kernel_call(monkeypatch):
    calls = []

    def counted(*args, **options):
        calls.append(args)
        adam_step(*args, **options)

    monkeypatch.setattr(pack_optimizer, "adam_step", counted)
    rates = np.geomspace(1e-4, 1e-1, 6)
    # Some members have more samples, and therefore more steps, than others.
    members = [
        member_of(learning_rate_init=rate, n_samples=n_samples, max_iter=3)
        for rate, n_samples in zip(rates, (150, 130, 90) * 2, strict=True)
    ]
    train_pack(members)
    assert len(calls) == 3 * 8  # 3 epochs with the 8 steps of the largest member


def test_members_draw_from_their_own_generators_only():
    members = [member_of(dropout=0.5, seed=seed) for seed in range(2)]
    before = torch.get_rng_state()
    train_pack(members)
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_counts_epochs_of_members():
    epochs = []
    train_pack([member_of(max_iter=n) for n in (1, 3, 3)], epochs.append)
    assert epochs == [3, 2, 2]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_ends_the_training_of_all_members(n_threads):
    def interrupt(epochs):
        if all(member.net.epochs_ > 1 for member in members):
            raise KeyboardInterrupt

    members = [member_of(max_iter=500, seed=seed) for seed in range(2)]
    with pytest.raises(KeyboardInterrupt):
        train_pack(members, interrupt, n_threads)
    # The slower of the threads raises the interrupt.
    assert min(member.net.epochs_ for member in members) == 2
    for member in members:
        assert member.net.epochs_ == 2 if n_threads == 1 else member.net.epochs_ < 500


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "rmsprop"},
        {"weight_averaging": 0.9},
        {"verbose": True},
        {"alpha": [0.1, 0.2]},
        {"frozen_layers": [0]},
        {"activation": "prelu"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_unpackable_members_have_no_key(params):
    assert pack_key(member_of(**params)) is None


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd"},
        {"batch_size": 30},
        {"activation": "tanh"},
        {"dtype": "float32"},
        {"label_smoothing": 0.1},
        {"early_stopping": True},
        {"dropout": 0.5},
        {"max_grad_norm": 1.0},
        {"batch_norm": True},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_that_cannot_vary_are_in_the_key(params):
    assert pack_key(member_of(**params)) != pack_key(member_of())


def test_parameters_that_can_vary_are_not_in_the_key():
    other = member_of(
        n_samples=90, seed=4, alpha=1.0, learning_rate_init=1.0, max_iter=9
    )
    assert pack_key(other) == pack_key(member_of())
