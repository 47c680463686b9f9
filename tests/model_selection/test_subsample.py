import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skmlp.model_selection import subsample

METHODS = ["stratified", "random", "every"]
SAMPLES = np.arange(100)
LABELS = np.repeat(["a", "b", "c"], [70, 20, 10])


def test_every_selects_each_tenth_sample_of_mnist():
    indices = subsample(np.arange(60_000), train_size=0.1, method="every")
    np.testing.assert_array_equal(indices, np.arange(0, 60_000, 10))
    same = subsample(np.arange(60_000), train_size=6000, method="every")
    np.testing.assert_array_equal(indices, same)


@given(n=st.integers(1, 300), data=st.data())
def test_every_selects_evenly_spaced_samples(n, data):
    size = data.draw(st.integers(1, n))
    indices = subsample(np.arange(n), train_size=size, method="every")
    assert len(indices) == size
    assert indices[0] == 0
    steps = np.diff(indices)
    assert set(steps) <= {n // size, -(-n // size)}


@pytest.mark.parametrize("method", METHODS)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_selected_samples_are_distinct_and_in_order(method, counts, seed, data):
    y = np.repeat(np.arange(len(counts)), counts)
    size = data.draw(st.integers(len(counts), len(y)))
    indices, y_taken = subsample(
        np.arange(len(y)), y, train_size=size, method=method, random_state=seed
    )
    assert len(indices) == size
    assert (np.diff(indices) > 0).all()
    np.testing.assert_array_equal(y_taken, y[indices])


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_stratified_subset_has_every_class_in_proportion(counts, seed, data):
    y = np.repeat(np.arange(len(counts)), counts)
    size = data.draw(st.integers(len(counts), len(y)))
    _, taken = subsample(y, y, train_size=size, random_state=seed)
    taken_counts = np.bincount(taken, minlength=len(counts))
    assert taken_counts.min() >= 1
    # Method of Sainte-Lague for the classes with more than one sample: no exchange of
    # a sample between two classes brings both closer to their proportions.
    counts = np.array(counts)
    last_taken = np.where(taken_counts > 1, (taken_counts - 0.5) / counts, 0)
    next_left = np.where(taken_counts < counts, (taken_counts + 0.5) / counts, 1)
    assert last_taken.max() <= next_left.min()


def test_stratified_subset_is_exact_for_whole_proportions():
    _, y = subsample(SAMPLES, LABELS, train_size=0.1, random_state=0)
    assert pd.Series(y).value_counts().to_dict() == {"a": 7, "b": 2, "c": 1}


def test_stratified_subset_selects_samples_of_a_class_equally_often():
    y = np.repeat([0, 1], [6, 4])
    chosen = np.zeros(10)
    for seed in range(2000):
        chosen[subsample(np.arange(10), y, train_size=5, random_state=seed)[0]] += 1
    np.testing.assert_allclose(chosen / 2000, 0.5, atol=0.06)


@pytest.mark.parametrize("method", ["stratified", "random"])
@given(
    sizes=st.tuples(st.integers(3, 100), st.integers(3, 100)), seed=st.integers(0, 99)
)
def test_smaller_subset_is_part_of_larger_subset(method, sizes, seed):
    small, large = (
        set(
            subsample(SAMPLES, LABELS, train_size=n, method=method, random_state=seed)[
                0
            ]
        )
        for n in sorted(sizes)
    )
    assert small <= large


@pytest.mark.parametrize("method", METHODS)
def test_seed_determines_the_subset_and_numpys_generator_stays(method):
    before = np.random.get_state()[1].copy()
    first, second = (
        subsample(SAMPLES, LABELS, train_size=0.3, method=method, random_state=7)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_different_seeds_give_different_subsets():
    for method in ("stratified", "random"):
        one = subsample(SAMPLES, LABELS, train_size=0.3, method=method, random_state=0)[
            0
        ]
        two = subsample(SAMPLES, LABELS, train_size=0.3, method=method, random_state=1)[
            0
        ]
        assert set(one) != set(two)


def test_train_size_of_one_selects_all_samples():
    for method in METHODS:
        X, y = subsample(SAMPLES, LABELS, train_size=1.0, method=method)
        np.testing.assert_array_equal(X, SAMPLES)
        np.testing.assert_array_equal(y, LABELS)


@pytest.mark.parametrize("method", METHODS)
def test_types_of_all_inputs_stay(method):
    images = np.arange(100 * 12, dtype=np.uint8).reshape(100, 2, 2, 3)
    frame = pd.DataFrame({"a": SAMPLES}, index=SAMPLES + 1000)
    matrix = sparse.coo_array(np.eye(100))
    series = pd.Series(LABELS, dtype="category")
    listed = SAMPLES.tolist()
    X, y, df, csr, items, indices = subsample(
        images,
        series,
        frame,
        matrix,
        listed,
        train_size=0.2,
        method=method,
        random_state=0,
        return_indices=True,
    )
    np.testing.assert_array_equal(X, images[indices], strict=True)
    pd.testing.assert_series_equal(y, series.iloc[indices])
    pd.testing.assert_frame_equal(df, frame.iloc[indices])
    assert csr.format == "csr"
    np.testing.assert_array_equal(csr.toarray(), np.eye(100)[indices])
    assert items == indices.tolist()


def test_output_has_an_object_for_every_input():
    options = {"train_size": 5, "method": "every"}
    assert isinstance(subsample(SAMPLES, **options), np.ndarray)
    X, indices = subsample(SAMPLES, **options, return_indices=True)
    np.testing.assert_array_equal(X, indices)
    X, y, weights = subsample(SAMPLES, None, SAMPLES / 2, **options)
    assert y is None
    np.testing.assert_array_equal(weights, X / 2)


@pytest.mark.parametrize("train_size", [0, 0.0, -1, 1.5, -0.1, "half", None, np.nan])
def test_invalid_train_size_is_refused(train_size):
    with pytest.raises(
        ValueError, match="The 'train_size' parameter of subsample must"
    ):
        subsample(SAMPLES, train_size=train_size, method="random")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("train_size", "n_train"), [(101, 101), (0.001, 0)])
def test_too_small_and_too_large_subsets_are_refused(method, train_size, n_train):
    with pytest.raises(
        ValueError, match=rf"={train_size} asks for {n_train} of 100 rows"
    ):
        subsample(SAMPLES, LABELS, train_size=train_size, method=method)


def test_stratified_requires_class_labels():
    with pytest.raises(ValueError, match="needs the class labels y; pass y or method="):
        subsample(SAMPLES, train_size=0.5)
    with pytest.raises(ValueError, match="but y is continuous; use method='random'"):
        subsample(SAMPLES, SAMPLES / 7, train_size=0.5)
    with pytest.raises(ValueError, match="but y is multilabel-indicator"):
        subsample(SAMPLES, np.eye(100, 3), train_size=0.5)


def test_stratified_refuses_fewer_samples_than_classes():
    with pytest.raises(ValueError, match="2 training rows cannot hold the 3 classes"):
        subsample(SAMPLES, LABELS, train_size=2)


def test_inconsistent_lengths_and_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        subsample(SAMPLES, LABELS[:-1], train_size=0.5)
    with pytest.raises(ValueError, match="The 'method' parameter of subsample must be"):
        subsample(SAMPLES, LABELS, train_size=0.5, method="first")
