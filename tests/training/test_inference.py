"""Logits of many samples."""

import numpy as np
import pytest
import scipy.sparse
import torch

from skmlp.training import inference
from skmlp.training.compute import split_products
from skmlp.training.compute.split_products import number_of_sample_parts
from skmlp.training.inference import activate, forward_in_chunks
from skmlp.training.modules.layers import build_mlp, initialize


def make_network(n_features, hidden, n_outputs):
    network = build_mlp(n_features, hidden, n_outputs)
    initialize(network, "auto", "relu", np.random.RandomState(0))
    return network.eval()


@pytest.fixture
def network():
    return make_network(50, [20], 3)


def logits_with(threads, network, X):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = forward_in_chunks(network, X)
        assert torch.get_num_threads() == threads
        return result
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("n_rows", [1, 5, 100_000])
def test_logits_have_equal_bits_on_any_threads(network, n_rows):
    X = np.random.RandomState(0).rand(n_rows, 50).astype(np.float32)
    one, three = logits_with(1, network, X), logits_with(3, network, X)
    assert one.shape == (n_rows, 3)
    assert torch.equal(one, three)


@pytest.mark.parametrize("n_rows", [1000, 1001, 2000])
def test_divided_products_have_equal_bits_on_any_threads(
    n_rows, requested_threads, monkeypatch
):
    """Threads share the products of few samples if the BLAS library is fast."""
    monkeypatch.setattr(inference, "mkl_is_fast", lambda: True)
    monkeypatch.setattr(inference, "cores_are_free", lambda n_threads: True)
    requested = requested_threads(split_products)
    network = make_network(784, [128, 60], 10)
    X = np.random.RandomState(0).rand(n_rows, 784).astype(np.float32)
    one, four = logits_with(1, network, X), logits_with(4, network, X)
    assert requested == [1, min(4, number_of_sample_parts(n_rows, n_rows * 784 * 128))]
    assert torch.equal(one, four)
    with torch.no_grad():
        torch.testing.assert_close(four, network(torch.from_numpy(X)))


def test_divided_products_use_one_thread_beside_other_processes(
    requested_threads, monkeypatch
):
    monkeypatch.setattr(inference, "mkl_is_fast", lambda: True)
    monkeypatch.setattr(inference, "cores_are_free", lambda n_threads: False)
    requested = requested_threads(split_products)
    network = make_network(784, [128], 10)
    logits_with(4, network, np.zeros((1000, 784), dtype=np.float32))
    assert requested == [1]


def test_samples_keep_their_order(network):
    X = np.random.RandomState(0).rand(100_000, 50).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(X))
    torch.testing.assert_close(logits_with(2, network, X), expected)


def test_sparse_samples_give_the_logits_of_dense_ones(network):
    X = scipy.sparse.random(30, 50, 0.2, format="csr", random_state=0, dtype="f4")
    assert torch.equal(
        forward_in_chunks(network, X), forward_in_chunks(network, X.toarray())
    )


def test_unaligned_samples_give_the_same_bits(network):
    X = np.random.RandomState(0).rand(31, 50).astype(np.float32)
    assert torch.equal(
        forward_in_chunks(network, X[1:]), forward_in_chunks(network, X[1:].copy())
    )


@pytest.mark.parametrize("n_rows", [1, 7, 1001])
def test_many_logits_are_activated_in_chunks_to_the_same_bits(n_rows, monkeypatch):
    monkeypatch.setattr("skmlp.training.inference._LOGITS_PER_CHUNK", 100)
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(n_rows, 3)))
    expected, address = torch.softmax(logits, dim=1), logits.data_ptr()
    found = activate(logits, lambda z: torch.softmax(z, dim=1))
    assert torch.equal(found, expected)
    assert (found.data_ptr() == address) == (n_rows == 1001)
    assert found.numpy().flags.writeable


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("n_rows", [1, 100_000])
def test_nonfinite_samples_are_noticed_once(network, value, n_rows):
    X = np.zeros((n_rows, 50), dtype=np.float32)
    X[-1, 3] = value
    calls = []
    forward_in_chunks(network, X, on_nonfinite=lambda: calls.append(1))
    assert calls == [1]
    X[-1, 3] = 0
    forward_in_chunks(network, X, on_nonfinite=lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_rows", [2, 1000, 10_000])
def test_outputs_of_few_units_show_nonfinite_samples(value, n_rows):
    """The outputs of the first layer are tested, also if a feature has no weight."""
    network = make_network(784, [128], 10)
    with torch.no_grad():
        network[0].weight[:, 3] = 0.0
    X, calls = np.zeros((n_rows, 784), dtype=np.float32), []
    forward_in_chunks(network, X, on_nonfinite=lambda: calls.append(1))
    assert calls == []
    X[-1, 3] = value
    forward_in_chunks(network, X, on_nonfinite=lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize("n_rows", [1, 7, 20_000])
def test_output_activation_is_applied_to_every_chunk(network, n_rows):
    X = np.random.RandomState(0).rand(n_rows, 50).astype(np.float32)
    expected = torch.softmax(forward_in_chunks(network, X), dim=1)
    activated = forward_in_chunks(
        network, X, output_activation=lambda z: torch.softmax(z, dim=1)
    )
    torch.testing.assert_close(activated, expected)


def test_dense_layers_equal_their_modules():
    network = build_mlp(50, [20, 30], 3, activation="tanh", batch_norm=True)
    initialize(network, "auto", "tanh", np.random.RandomState(0))
    X = np.random.RandomState(1).rand(200, 50).astype(np.float32)
    with torch.no_grad():
        network(torch.from_numpy(X))  # sets the running statistics
        expected = network.eval()(torch.from_numpy(X))
    torch.testing.assert_close(forward_in_chunks(network, X), expected)
