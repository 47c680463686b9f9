import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks.definitions.model import WeeklySchedule
from benchmarks.running import weekly_training
from skmlp.neural_network import MLPClassifier

plans = st.builds(
    WeeklySchedule,
    continual=st.booleans(),
    season=st.sampled_from([0.0, 0.3, 0.95]),
    n_weeks=st.integers(1, 20),
)


@settings(deadline=None, max_examples=50)
@given(plans, st.lists(st.integers(0, 9), min_size=20, max_size=300))
def test_every_sample_comes_in_one_week(weeks, labels):
    parts = weekly_training.split_into_weeks(np.array(labels), weeks)
    assert len(parts) == weeks.n_weeks
    together = np.sort(np.concatenate(parts))
    np.testing.assert_array_equal(together, np.arange(len(labels)))


def test_weeks_do_not_depend_on_the_network():
    y = np.repeat(np.arange(10), 50)
    for season in (0.0, 0.95):
        static = weekly_training.split_into_weeks(y, WeeklySchedule(False, season))
        continual = weekly_training.split_into_weeks(y, WeeklySchedule(True, season))
        for one, other in zip(static, continual, strict=True):
            np.testing.assert_array_equal(one, other)


def test_each_class_has_its_own_season():
    y = np.repeat(np.arange(10), 6_000)
    parts = weekly_training.split_into_weeks(y, WeeklySchedule(True, 0.95))
    counts = np.array([np.bincount(y[part], minlength=10) for part in parts])
    assert counts.min() > 0
    most = counts.argmax(axis=0)
    np.testing.assert_array_equal(most, np.rint(np.arange(10) / 10 * 12) % 12)
    # 1 + 0.95 in the best of twelve weeks, 1 - 0.95 in the worst: 195% and 5% of 500.
    assert counts[:, 0].max() == pytest.approx(975, abs=1)
    assert counts[:, 0].min() == pytest.approx(25, abs=1)


def test_weeks_without_seasons_have_equal_class_shares():
    y = np.repeat(np.arange(10), 6_000)
    for part in weekly_training.split_into_weeks(y, WeeklySchedule(True)):
        counts = np.bincount(y[part], minlength=10)
        assert counts.sum() == 5_000
        assert np.abs(counts - 500).max() < 100


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:1200] / 16, y[:1200]), (X[1200:] / 16, y[1200:])


@pytest.mark.parametrize("continual", [False, True])
def test_each_week_is_trained_for_max_iter_epochs(digits, continual):
    train, test = digits
    network = MLPClassifier(20, max_iter=3, random_state=0)
    model, scores = weekly_training.train_weekly(
        network, train, test, WeeklySchedule(continual, n_weeks=4)
    )
    assert len(scores) == 4
    assert scores[-1] == model.score(*test)
    assert model.t_ == 300 * 3 * (4 if continual else 1)
    assert not hasattr(network, "net_")


def test_static_network_is_trained_on_the_last_week_alone(digits):
    train, test = digits
    weeks = WeeklySchedule(False, n_weeks=4)
    network = MLPClassifier(20, max_iter=3, random_state=0, shuffle=False)
    model, _ = weekly_training.train_weekly(network, train, test, weeks)
    rows = weekly_training.split_into_weeks(train[1], weeks)[-1]
    alone = MLPClassifier(
        20, max_iter=3, random_state=np.random.RandomState(0), shuffle=False
    )
    with pytest.warns(ConvergenceWarning):
        alone.fit(train[0][rows], train[1][rows])
    for ours, theirs in zip(model.coefs_, alone.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_continual_training_wins_if_weeks_are_alike(digits):
    train, test = digits
    network = MLPClassifier(50, max_iter=3, random_state=0)
    last = [
        weekly_training.train_weekly(
            network, train, test, WeeklySchedule(continual, n_weeks=6)
        )[1][-1]
        for continual in (False, True)
    ]
    assert last[1] > last[0] + 0.05
