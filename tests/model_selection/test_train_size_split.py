import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB

from skmlp.model_selection import TrainSizeSplit

X = np.zeros((200, 3))
Y = np.repeat(["a", "b", "c"], [120, 60, 20])


@pytest.mark.parametrize("method", ["stratified", "random"])
@given(
    fractions=st.lists(
        st.floats(0.1, 1.0), min_size=1, max_size=5, unique_by=lambda f: round(f, 2)
    ).map(sorted),
    validation_fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 2**32 - 1),
)
def test_training_subsets_grow_and_validation_set_stays(
    method, fractions, validation_fraction, seed
):
    cv = TrainSizeSplit(
        fractions,
        validation_fraction=validation_fraction,
        method=method,
        random_state=seed,
    )
    try:
        sizes = cv.get_train_sizes(200)
    except ValueError:
        assume(False)
    splits = list(cv.split(X, Y))
    assert [len(train) for train, _ in splits] == sizes.tolist()
    first_validation = splits[0][1]
    before = set()
    for train, validation in splits:
        np.testing.assert_array_equal(validation, first_validation)
        assert before < set(train)
        assert not set(train) & set(validation)
        assert (np.diff(train) > 0).all()
        before = set(train)
    assert len(first_validation) == round(validation_fraction * 200)


def test_largest_subset_and_validation_set_are_all_samples():
    *_, (train, validation) = TrainSizeSplit(random_state=0).split(X, Y)
    np.testing.assert_array_equal(np.sort(np.r_[train, validation]), np.arange(200))


def test_classes_are_in_proportion_in_all_sets():
    cv = TrainSizeSplit((0.1, 0.5, 1.0), random_state=3)
    for train, validation in cv.split(X, Y):
        for indices in (train, validation):
            proportions = pd.Series(Y[indices]).value_counts(normalize=True)
            expected = pd.Series({"a": 0.6, "b": 0.3, "c": 0.1})
            np.testing.assert_allclose(
                proportions[expected.index], expected, atol=1 / len(indices)
            )


def test_class_of_one_sample_is_in_every_training_subset():
    y = np.r_[np.zeros(99, int), 1]
    for train, _ in TrainSizeSplit((0.05, 1.0), random_state=0).split(np.eye(100), y):
        assert 99 in train


def test_seed_determines_the_split_and_numpys_generator_stays():
    before = np.random.get_state()[1].copy()
    cv = TrainSizeSplit(random_state=1)
    for (a, b), (c, d) in zip(cv.split(X, Y), cv.split(X, Y), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    other = next(TrainSizeSplit(random_state=2).split(X, Y))[1]
    assert set(other) != set(next(cv.split(X, Y))[1])


def test_changing_yielded_indices_changes_no_later_split():
    parts = TrainSizeSplit(random_state=1).split(X, Y)
    first = next(parts)[1]
    expected = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(next(parts)[1], expected)


@pytest.mark.parametrize(
    "features",
    [
        np.zeros((200, 4, 4, 3), np.uint8),
        sparse.csr_array((200, 5)),
        pd.DataFrame(X, index=np.arange(200)[::-1]),
        X.tolist(),
    ],
    ids=["images", "sparse", "frame", "list"],
)
def test_only_the_number_of_samples_matters(features):
    expected = next(TrainSizeSplit(random_state=0).split(X, Y))
    got = next(TrainSizeSplit(random_state=0).split(features, pd.Series(Y)))
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


def test_train_sizes_are_fractions_or_numbers_of_samples():
    cv = TrainSizeSplit((0.1, 0.55, 1.0))
    np.testing.assert_array_equal(cv.get_train_sizes(60_000), [4800, 26_400, 48_000])
    cv = TrainSizeSplit([10, 100])
    np.testing.assert_array_equal(cv.get_train_sizes(200), [10, 100])
    # As in scikit-learn's learning_curve, one float makes a fraction of 1 too.
    cv = TrainSizeSplit((0.5, 1))
    np.testing.assert_array_equal(cv.get_train_sizes(200), [80, 160])
    cv = TrainSizeSplit(np.linspace(0.2, 1, 5))
    np.testing.assert_array_equal(cv.get_train_sizes(10), [2, 3, 5, 6, 8])
    assert cv.get_n_splits() == 5


def test_cross_validate_scores_every_size():
    X, y = load_digits(return_X_y=True)
    cv = TrainSizeSplit(random_state=0)
    scores = cross_validate(GaussianNB(), X, y, cv=cv, return_indices=True)
    n_train = [len(indices) for indices in scores["indices"]["train"]]
    assert n_train == cv.get_train_sizes(len(X)).tolist()
    train, validation = (scores["indices"][part][2] for part in ("train", "test"))
    model = GaussianNB().fit(X[train], y[train])
    assert scores["test_score"][2] == model.score(X[validation], y[validation])


@pytest.mark.parametrize("routing", [False, True])
def test_grid_search_accepts_the_splitter(routing):
    X, y = load_digits(return_X_y=True)
    cv = TrainSizeSplit((0.2, 1.0), random_state=0)
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=cv)
        search.fit(X, y)
    assert search.n_splits_ == 2
    assert search.cv_results_["split1_test_score"].min() > 0.5


def test_repr_names_the_parameters():
    assert repr(TrainSizeSplit((0.5, 1.0), random_state=4)) == (
        "TrainSizeSplit(method='stratified', random_state=4, train_sizes=(0.5, 1.0),\n"
        "        validation_fraction=0.2)"
    )


def test_pickled_splitter_gives_equal_splits():
    cv = TrainSizeSplit(random_state=0)
    copy = pickle.loads(pickle.dumps(cv))
    np.testing.assert_array_equal(next(copy.split(X, Y))[0], next(cv.split(X, Y))[0])


@pytest.mark.parametrize(
    "train_sizes",
    [
        (),
        0.5,
        "all",
        (0.5, 0.1),
        (0.5, 0.5),
        (0, 1),
        (0.0, 0.5),
        (-1, 5),
        (0.5, 1.1),
        (0.5, np.nan),
        ("a", "b"),
        [[0.1, 0.5]],
        None,
    ],
)
def test_sizes_that_do_not_grow_are_refused(train_sizes):
    with pytest.raises(ValueError, match=r"train_sizes=.* must grow"):
        TrainSizeSplit(train_sizes)


@pytest.mark.parametrize("validation_fraction", [0, 1, 1.0, -0.1, np.nan, "0.2", None])
def test_invalid_validation_fraction_is_refused(validation_fraction):
    with pytest.raises(ValueError, match=r"validation_fraction=.* must be a float"):
        TrainSizeSplit(validation_fraction=validation_fraction)


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method='every' must be"):
        TrainSizeSplit(method="every")


def test_sizes_beyond_the_training_samples_are_refused():
    with pytest.raises(ValueError, match=r"asks for \[10, 161\] of 160 training rows"):
        next(TrainSizeSplit((10, 161)).split(X, Y))
    with pytest.raises(ValueError, match=r"asks for \[0, 1, 2, 3, 4\] of 4 training"):
        next(TrainSizeSplit().split(X[:5], Y[:5]))
    with pytest.raises(ValueError, match="at least 2 rows"):
        next(TrainSizeSplit().split(X[:1], Y[:1]))


def test_stratification_requires_class_labels_and_enough_samples():
    with pytest.raises(ValueError, match="needs the class labels y"):
        next(TrainSizeSplit().split(X))
    with pytest.raises(ValueError, match="but y is continuous"):
        next(TrainSizeSplit().split(X, np.linspace(0, 1.5, 200)))
    with pytest.raises(ValueError, match="2 training rows cannot hold the 3 classes"):
        next(TrainSizeSplit((2, 20)).split(X, Y))
    assert len(next(TrainSizeSplit(method="random").split(X))[0]) == 16


def test_groups_are_refused():
    with pytest.raises(ValueError, match="does not support groups"):
        next(TrainSizeSplit().split(X, Y, groups=Y))
