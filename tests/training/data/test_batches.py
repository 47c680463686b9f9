"""Batches hold every sample once an epoch, in scikit-learn's order."""

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import shuffle

from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER
from skmlp.training.data import batches as batches_module
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.device_tensors import as_tensor, to_dense_aligned
from skmlp.training.data.slices import samples_per_chunk
from skmlp.training.optimizers.flat_parameters import ALIGNMENT

CPU = torch.device("cpu")


def make_data(X, weight=None, dtype=torch.float64):
    X = X if scipy.sparse.issparse(X) else np.asarray(X)
    return DeviceData(X, torch.arange(X.shape[0]), weight, dtype, CPU)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans(), st.integers(0, 5))
def test_every_sample_occurs_once_an_epoch(n_samples, batch_size, shuffled, seed):
    X = np.arange(2.0 * n_samples).reshape(n_samples, 2)
    random_state = np.random.RandomState(seed) if shuffled else None
    batches = BatchLoader(make_data(X), batch_size, random_state)
    for _ in range(2):
        epoch = list(batches)
        assert len(epoch) == len(batches)
        assert all(len(x) <= batch_size for x, *_ in epoch)
        order = torch.cat([y for _, y, *_ in epoch]).numpy()
        np.testing.assert_array_equal(np.sort(order), np.arange(n_samples))
        np.testing.assert_array_equal(torch.cat([x for x, *_ in epoch]), X[order])


def test_each_epoch_shuffles_the_order_before_as_scikit_learn():
    batches = BatchLoader(make_data(np.zeros((9, 1))), 4, np.random.RandomState(0))
    random_state, order = np.random.RandomState(0), np.arange(9)
    for _ in range(3):
        order = shuffle(order, random_state=random_state)
        targets = torch.cat([y for _, y, *_ in batches])
        np.testing.assert_array_equal(targets, order)


def test_unshuffled_samples_stay_in_order():
    batches = BatchLoader(make_data(np.zeros((5, 1))), 2)
    for _ in range(2):
        assert [y.tolist() for _, y, *_ in batches] == [[0, 1], [2, 3], [4]]


def test_batch_weights_sum_to_one_and_keep_their_ratios():
    weight = np.array([1.0, 3.0, 2.0, 2.0, 5.0])
    batches = [
        (w.tolist(), total)
        for *_, w, total in BatchLoader(make_data(np.zeros((5, 1)), weight), 2)
    ]
    assert batches == [([0.25, 0.75], 4.0), ([0.5, 0.5], 4.0), ([1.0], 5.0)]


def test_total_without_weights_is_the_number_of_samples():
    batches = [
        (w, total) for *_, w, total in BatchLoader(make_data(np.zeros((5, 1))), 2)
    ]
    assert batches == [(None, 2.0), (None, 2.0), (None, 1.0)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [3, 4, 5, 100])
def test_term_weights_of_many_batches_are_those_of_each(
    batch_size, weighted, monkeypatch
):
    monkeypatch.setattr(batches_module, "_TARGETS_AT_ONCE", 10)
    n = 23
    sample_weight = np.arange(n) % 5.0 if weighted else None
    loader = BatchLoader(
        make_data(np.zeros((n, 1)), sample_weight),
        batch_size,
        np.random.RandomState(0),
    )
    shapes = []

    def term_weights(y, weight):
        shapes.append(y.shape)
        weight = torch.ones(y.shape) if weight is None else weight
        return torch.stack([y, 2 * weight], dim=-1)

    weights = [w for *_, w, _ in loader.batches(SINGLE_THREAD_TUNER, term_weights)]
    position = 0
    for terms in weights:
        order = loader.order[position : position + batch_size]
        position += batch_size
        of_batch = (
            np.ones(len(order)) if sample_weight is None else sample_weight[order]
        )
        of_batch = of_batch / of_batch.sum() if weighted else of_batch
        np.testing.assert_allclose(terms, np.column_stack([order, 2 * of_batch]))
    assert len(weights) == len(loader) >= len(shapes)


@pytest.mark.parametrize(
    ("batch_size", "n_calls"),
    [(8, 3), (9, 12)],  # batches of 9 samples are not aligned to 64 bytes
)
def test_gathering_several_batches_does_not_change_them(
    batch_size, n_calls, monkeypatch
):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(100, 3)), rng.random(100)
    data = make_data(X, weight)
    monkeypatch.setattr("skmlp.training.data.slices._VALUES_PER_GATHER", 5 * 8 * 3)
    calls, gather = [], data.gather

    def counted(index, n_threads):
        calls.append(len(index))
        return gather(index, n_threads)

    monkeypatch.setattr(data, "gather", counted)
    batches = list(BatchLoader(data, batch_size, np.random.RandomState(1)))
    assert len(calls) == n_calls
    order = shuffle(np.arange(100), random_state=1)
    for i, (x, y, w, total) in enumerate(batches):
        part = order[i * batch_size : (i + 1) * batch_size]
        np.testing.assert_array_equal(x, X[part])
        np.testing.assert_array_equal(y, part)
        np.testing.assert_allclose(w * total, weight[part])
        assert total == weight[part].sum()
        assert x.data_ptr() % ALIGNMENT == 0


def test_batches_do_not_change_the_given_weights():
    weight = np.array([1.0, 3.0, 2.0])
    list(BatchLoader(make_data(np.zeros((3, 1)), weight), 2))
    assert weight.tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shuffled", [False, True])
def test_sparse_samples_become_dense_batches(dtype, shuffled):
    X = scipy.sparse.random(11, 4, density=0.4, format="csr", random_state=0)
    batches = []
    for data in (X, X.toarray()):
        random_state = np.random.RandomState(0) if shuffled else None
        batches.append(list(BatchLoader(make_data(data, dtype=dtype), 3, random_state)))
    for (x_sparse, y_sparse, *_), (x, y, *_) in zip(*batches, strict=True):
        assert x_sparse.dtype == dtype
        assert torch.equal(x_sparse, x)
        assert torch.equal(y_sparse, y)


@pytest.mark.parametrize(
    "dtype", ["f4", "f8", ">f4", ">f8", "f2", "u1", "i1", "u2", "i2", "i4", "i8", "?"]
)
def test_every_dtype_keeps_its_values(dtype):
    X = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    ((x, *_),) = BatchLoader(make_data(X, dtype=torch.float32), 3)
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x, X.astype("f4"))


def test_bytes_are_cast_batch_by_batch():
    data = make_data(np.zeros((3, 2), dtype=np.uint8), dtype=torch.float32)
    assert data.X.dtype == torch.uint8
    assert data.gather(torch.tensor([0]))[0].dtype == torch.float32


@pytest.mark.parametrize(
    "view", [lambda X: X[::-1], lambda X: X[:, ::-1], lambda X: X.T, lambda X: X[::2]]
)
def test_every_layout_keeps_its_values(view):
    X = view(np.arange(16.0).reshape(4, 4))
    np.testing.assert_array_equal(as_tensor(X), X)


def test_read_only_arrays_are_copied_without_a_warning():
    X = np.arange(4.0).reshape(2, 2)
    X.flags.writeable = False
    np.testing.assert_array_equal(as_tensor(X), X)


def test_writeable_arrays_are_not_copied():
    X = np.zeros((2, 2))
    assert np.shares_memory(as_tensor(X).numpy(), X)


def test_batches_are_copies():
    X = np.zeros((4, 2))
    for x, *_ in BatchLoader(make_data(X), 2):
        x += 1
    assert not X.any()


def test_augmentation_is_applied_to_every_batch():
    batches = BatchLoader(make_data(np.ones((5, 2))), 2, augment=lambda x: x * len(x))
    assert [x.unique().tolist() for x, *_ in batches] == [[2.0], [2.0], [1.0]]


@pytest.mark.parametrize("sparse", [False, True])
def test_features_are_the_targets_of_data_without_targets(sparse):
    X = np.arange(12, dtype=np.uint8).reshape(6, 2)
    given = scipy.sparse.csr_matrix(X) if sparse else X
    data = DeviceData(given, None, None, torch.float32, CPU)
    for x, y, _, _ in BatchLoader(data, 4, np.random.RandomState(0)):
        assert x.dtype == y.dtype == torch.float32
        assert torch.equal(x, y)
    assert torch.equal(torch.stack(data[3]), torch.tensor([[6.0, 7.0]] * 2))


def test_noise_leaves_the_targets_unchanged():
    data = DeviceData(np.ones((6, 2)), None, None, torch.float64, CPU)
    batches = BatchLoader(data, 4, augment=lambda x: 2 * x, corrupt=lambda x: x + 5)
    for x, y, _, _ in batches:
        assert (x == 7).all()
        assert (y == 2).all()


def test_augmentation_does_not_change_given_targets():
    (batch,) = BatchLoader(make_data(np.ones((3, 2))), 3, augment=lambda x: 2 * x)
    assert batch[1].tolist() == [0, 1, 2]


def test_device_data_is_a_dataset():
    data = make_data(np.arange(6.0).reshape(3, 2))
    x, y = data[1]
    assert (len(data), x.tolist(), y.item()) == (3, [2.0, 3.0], 1)


@given(st.integers(1, 10**7))
def test_wider_layers_give_smaller_chunks(widest):
    assert samples_per_chunk(widest) >= 1
    assert samples_per_chunk(widest) * widest <= max(2**21, widest)
    assert samples_per_chunk(widest, "cuda") * widest <= max(2**26, widest)


@pytest.mark.parametrize("sparse", [False, True])
def test_features_are_dense_and_aligned(sparse):
    X = np.arange(12.0).reshape(6, 2)[1:]
    x = to_dense_aligned(
        scipy.sparse.csr_matrix(X) if sparse else X, torch.float32, CPU
    )
    assert x.data_ptr() % 64 == 0
    np.testing.assert_array_equal(x, X)


def test_foreign_byte_order_keeps_its_precision():
    X = np.array([[1 / 3]], dtype=">f8")
    assert as_tensor(X).item() == 1 / 3


def test_data_with_other_indices_share_tensors():
    data = make_data(np.arange(12).reshape(6, 2), np.arange(6.0))  # int64 is cast first
    part = data.with_sample_indices(np.array([4, 1]))
    assert len(part) == 2
    assert len(data) == 6
    assert part[0][0].tolist() == [8.0, 9.0]
    assert part.X is data.X
    assert part.weight is data.weight
