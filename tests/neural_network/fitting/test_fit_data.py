"""Subsets, splits and joins of the data of a fit."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.model_selection import train_test_split

from skmlp.neural_network._fit.fit_data import (
    FitData,
    split_validation,
    take_train_size,
)


def make_data(n_samples=20, sparse=False, weight=None):
    X = np.arange(2.0 * n_samples).reshape(n_samples, 2)
    y = np.arange(n_samples) % 2
    return FitData(
        scipy.sparse.csr_matrix(X) if sparse else X, y, y.astype(float), weight, weight
    )


def test_nested_subsets_index_original_data():
    data = make_data()
    subset = data.subset(np.array([3, 5, 7])).subset(np.array([2, 0]))
    assert subset.X is data.X
    assert subset.n_samples == 2
    assert subset.gather().y.tolist() == [1, 1]
    assert subset.gather().X.tolist() == [[14.0, 15.0], [6.0, 7.0]]


def test_gather_does_not_copy_complete_data():
    data = make_data()
    assert data.gather() is data


@pytest.mark.parametrize("sparse", [False, True])
def test_join_concatenates_samples(sparse):
    one, other = make_data(3, sparse), make_data(4, sparse)
    joined = one.subset(np.array([0, 2])).concatenate(other)
    assert joined.n_samples == 6
    first = joined.X.toarray() if sparse else joined.X
    assert first[:, 0].tolist() == [0, 4, 0, 2, 4, 6]


def test_join_fills_missing_weights_with_one():
    joined = make_data(2).concatenate(make_data(3, weight=np.full(3, 2.0)))
    assert joined.weight.tolist() == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("stratified", [False, True])
def test_validation_split_equals_sklearn_split(stratified):
    data = make_data(30)
    strata = data.y if stratified else None
    train, valid = split_validation(data, 0.2, strata, np.random.RandomState(7))
    expected = train_test_split(
        np.arange(30), test_size=0.2, stratify=strata, random_state=7
    )
    np.testing.assert_array_equal(train.indices, expected[0])
    np.testing.assert_array_equal(valid.indices, expected[1])


@pytest.mark.parametrize(("n_samples", "n_valid"), [(3, 2), (10, 2), (11, 2), (21, 3)])
def test_validation_set_has_at_least_two_samples(n_samples, n_valid):
    _, valid = split_validation(
        make_data(n_samples), 0.1, None, np.random.RandomState(0)
    )
    assert valid.n_samples == n_valid


def test_small_validation_set_holds_every_class():
    data = make_data(9)._replace(y=np.repeat([0, 1, 2], 3))
    _, valid = split_validation(data, 0.1, data.y, np.random.RandomState(0))
    assert sorted(valid.gather().y) == [0, 1, 2]


def test_two_samples_cannot_be_split():
    with pytest.raises(ValueError, match="The validation set is too small"):
        split_validation(make_data(2), 0.1, None, np.random.RandomState(0))


def test_validation_set_without_weight_is_refused():
    weight = np.zeros(20)
    weight[0] = 1.0
    with pytest.raises(ValueError, match="All validation rows have weight 0"):
        split_validation(
            make_data(20, weight=weight), 0.1, None, np.random.RandomState(0)
        )


@pytest.mark.parametrize(
    ("train_size", "n_samples"), [(5, 5), (0.5, 10), (20, 20), (1.0, 20)]
)
def test_train_size_is_count_or_fraction(train_size, n_samples):
    subset = take_train_size(make_data(), train_size, None, np.random.RandomState(0))
    assert subset.n_samples == n_samples
    assert len(set(subset.gather().X[:, 0])) == n_samples


def test_too_large_train_size_is_refused():
    with pytest.raises(ValueError, match="train_size=21, but there are 20"):
        take_train_size(make_data(), 21, None, np.random.RandomState(0))


@pytest.mark.parametrize("train_size", [19, np.int64(19), 0.95, 3])
def test_train_size_subset_holds_rare_classes(train_size):
    data = make_data()
    y = np.repeat([0, 1, 2], [15, 4, 1])
    subset = take_train_size(data, train_size, y, np.random.RandomState(0))
    assert set(y[subset.indices]) == {0, 1, 2}
    assert subset.n_samples == (3 if train_size == 3 else 19)


def test_full_train_size_returns_same_data():
    data = make_data()
    assert take_train_size(data, np.int64(20), data.y, None) is data


def test_train_size_below_class_count_is_refused():
    y = np.repeat([0, 1, 2], [15, 4, 1])
    with pytest.raises(ValueError, match=r"2 of 20 .* cannot hold all 3 classes"):
        take_train_size(make_data(), 2, y, np.random.RandomState(0))


def test_sparse_targets_can_be_split_and_joined():
    data = make_data()
    labels = scipy.sparse.csr_matrix(np.eye(20, 3))
    data = data._replace(y=labels, targets=labels.toarray())
    train, valid = split_validation(data, 0.2, None, np.random.RandomState(0))
    assert (data.n_samples, train.n_samples, valid.n_samples) == (20, 16, 4)
    joined = train.concatenate(valid)
    assert joined.y.shape == (20, 3)
    assert joined.n_samples == 20
