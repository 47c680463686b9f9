"""Convolutional networks in packs: each member ends as it would have ended alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from skmlp.neural_network import CNNClassifier
from skmlp.training.packs.pack import pack_key, train_pack
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.trainer import train

X, Y = load_digits(n_class=3, return_X_y=True)
X = X / 16


def member_of(n_samples=60, seed=0, data=X, **params):
    """Return a run of an estimator that trains on some of the samples."""
    defaults = {"max_iter": 3, "batch_size": 20, "random_state": seed}
    defaults |= {"conv_channels": (3, 4), "hidden_layer_sizes": 5}
    estimator = CNNClassifier(**(defaults | params))
    chosen = np.random.RandomState(seed).permutation(len(data))[:n_samples]
    inputs = estimator._check_fit_inputs(data[chosen], Y[chosen])
    return estimator._prepare_training(inputs)


def assert_members_end_as_alone(make):
    """Train members in a pack and alone, and compare all results."""
    members, alone = make(), make()
    (key,) = {pack_key(member) for member in members}
    assert key is not None
    train_pack(members)
    for one, other in zip(members, alone, strict=True):
        start = other.net.flat_.values.clone()
        train(other)
        assert not torch.equal(start, other.net.flat_.values)
        torch.testing.assert_close(
            one.net.flat_.values, other.net.flat_.values, rtol=0, atol=1e-10
        )
        monitors = one.net.monitor, other.net.monitor
        for curve in ("loss_curve", "validation_scores"):
            np.testing.assert_allclose(
                *(getattr(monitor, curve) for monitor in monitors), rtol=1e-9
            )
        assert one.net.epochs_ == other.net.epochs_
        state, expected = (
            net.optimizer_.state[net.flat_.values] for net in (one.net, other.net)
        )
        torch.testing.assert_close(state["exp_avg"], expected["exp_avg"])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"padding": "valid", "pool_padding": "same"},
        {"kernel_size": 2},
        {"kernel_size": (5, 1), "conv_strides": (2, 1), "pool": None},
        {"conv_strides": (1, 3), "pool": (None, "avg"), "pool_padding": "valid"},
        {"pool": "avg", "pool_size": 3},
        {"pool": "max", "pool_size": 3},
        {"pool": "avg", "activation": "tanh"},
        {"activation": "logistic"},
        {"activation": "identity", "pool": None},
        {"head": "global_average"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (30, 40)},
        {"conv_channels": 1},
        {"conv_channels": (2, 3, 2, 4)},
        {"image_shape": (4, 4, 4)},
        {"image_shape": (1, 64)},
        {"kernel_size": ((3, 2), (1, 4)), "pool_size": ((1, 2), 2)},
        {"conv_strides": ((1, 2), (3, 1)), "pool": ("avg", None)},
        {"conv_dims": 1},
        {"conv_dims": 1, "image_shape": (16, 4), "kernel_size": (4, 5)},
        {"conv_dims": 1, "pool": "avg", "conv_strides": 2, "kernel_size": 2},
        {"conv_dims": 1, "pool": "max", "pool_size": 3, "padding": "valid"},
        {"conv_dims": 1, "conv_dropout": 0.4, "head": "global_average"},
        {"conv_dims": 1, "conv_dropout": 0.4, "channel_dropout": True},
        {"conv_dropout": 0.3, "dropout": 0.5},
        {"conv_dropout": (0.0, 0.4), "pool": None},
        {"conv_dropout": 0.4, "channel_dropout": True},
        {"conv_dropout": 0.4, "kernel_size": 2, "conv_channels": (1, 3)},
        {"max_grad_norm": 0.01},
        {"alpha": 1.0},
        {"label_smoothing": 0.1},
    ],
    ids=str,
)
def test_every_kind_of_layer_trains_in_a_pack(params):
    assert_members_end_as_alone(
        lambda: [member_of(60 - 7 * seed, seed, **params) for seed in range(3)]
    )


OWN = st.fixed_dictionaries(
    {
        "n_samples": st.integers(40, 60),
        "seed": st.integers(0, 3),
        "learning_rate_init": st.sampled_from([0.001, 0.03]),
        "learning_rate": st.sampled_from(["constant", "cosine"]),
        "alpha": st.sampled_from([0.0, 0.01]),
        "max_iter": st.integers(1, 5),
        "n_iter_no_change": st.integers(1, 2),
        "tol": st.sampled_from([1e-4, 0.1]),
        "shuffle": st.booleans(),
    }
)


@settings(max_examples=10, derandomize=True)
@given(
    st.lists(OWN, min_size=2, max_size=4),
    st.sampled_from([7, 20, 33]),
    st.booleans(),
)
def test_members_end_as_they_would_alone(own, batch_size, early_stopping):
    shared = {"batch_size": batch_size, "early_stopping": early_stopping}
    shared |= {"conv_dropout": 0.2, "conv_channels": 2, "activation": "tanh"}
    assert_members_end_as_alone(lambda: [member_of(**shared, **one) for one in own])


def test_members_with_shared_samples_end_as_they_would_alone():
    def make():
        inputs, members = None, []
        for i in range(4):
            estimator = CNNClassifier(
                (3, 4), alpha=0.1 * i, max_iter=2 + i % 2, random_state=i // 2
            )
            checked = estimator._check_fit_inputs(X[:90], Y[:90])
            inputs = inputs or checked.with_shared_device_tensors()
            estimator.set_params(batch_size=25)
            members.append(estimator._prepare_training(inputs))
        return members

    assert_members_end_as_alone(make)


@pytest.mark.cuda
def test_packs_on_a_gpu_match_those_on_the_cpu():
    params = {"conv_dropout": 0.0, "pool": ("max", "avg"), "kernel_size": (3, 2)}
    params["dtype"] = "float64"
    both = [
        [member_of(seed=seed, device=device, **params) for seed in range(3)]
        for device in ("cpu", "cuda")
    ]
    for members in both:
        train_pack(members)
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(
            one.net.flat_.values, other.net.flat_.values.cpu(), rtol=0, atol=1e-8
        )


def test_diverging_members_do_not_change_their_neighbors():
    def make(*rates):
        return [member_of(solver="sgd", learning_rate_init=rate) for rate in rates]

    members, others = make(0.01, 1e200, 0.02), make(0.01, 0.02)
    train_pack(members)
    train_pack(others)
    assert members[1].error is not None
    for one, other in zip(members[::2], others, strict=True):
        assert one.error is None
        ours, theirs = one.net.flat_.values, other.net.flat_.values
        # cuBLAS chooses a kernel by the number of products.
        atol = 0.0 if ours.is_cpu else 1e-12
        torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def test_packed_kernels_have_the_layout_of_flat_parameters():
    members = [member_of(seed=seed) for seed in range(2)]
    before = [member.net.flat_.values.clone() for member in members]
    parameters = PackParameters([member.net for member in members], [1, 1])
    # (members, out, height, width, in)
    assert parameters.values.tensors[0].shape == (2, 3, 3, 3, 1)
    for i, member in enumerate(members):
        member.net.flat_.values.zero_()
        parameters.write_back(i)
        assert torch.equal(member.net.flat_.values, before[i])


@pytest.mark.parametrize(
    "params",
    [
        {"batch_norm": True},
        {"block": "residual"},
        {"activation": "gelu"},
        {"augmentation": torch.flip},
    ],
    ids=lambda params: next(iter(params)),
)
def test_unpackable_networks_have_no_key(params):
    assert pack_key(member_of(**params)) is None


def test_batches_in_chunks_have_no_key():
    images = np.zeros((len(X), 32 * 32))
    params = {"data": images, "batch_size": 40, "conv_channels": 60}
    assert pack_key(member_of(**params)) is None
    assert pack_key(member_of(**(params | {"batch_size": 30}))) is not None


@pytest.mark.parametrize(
    "params",
    [
        {"conv_channels": (3, 5)},
        {"kernel_size": 1},
        {"conv_strides": 2},
        {"padding": "valid", "pool_padding": "same"},
        {"pool": None},
        {"pool": "avg"},
        {"activation": "tanh"},
        {"conv_dropout": 0.5},
        {"conv_dropout": 0.5, "channel_dropout": True},
        {"image_shape": (4, 4, 4)},
        {"conv_dims": 1},
        {"kernel_size": ((3, 1), 3)},
        {"head": "global_average"},
        {"hidden_layer_sizes": (5, 5)},
    ],
    ids=str,
)
def test_parameters_that_cannot_vary_are_in_the_key(params):
    keys = {pack_key(member_of(**params)), pack_key(member_of(conv_dropout=0.5))}
    if params != {"conv_dropout": 0.5}:
        assert len(keys | {pack_key(member_of())}) == 3
