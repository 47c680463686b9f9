"""When training ends, and which weights are kept."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmlp.training.stopping import Monitor


def monitor(tol=1e-4, n_iter_no_change=2, early_stopping=False):
    watching = Monitor()
    watching.configure(tol, n_iter_no_change, early_stopping)
    return watching


def epochs_until_stalled(watching, losses, scores=None):
    scores = scores or [None] * len(losses)
    for epoch, (loss, score) in enumerate(zip(losses, scores, strict=True), start=1):
        watching.add_epoch(loss, score)
        if watching.stop_message():
            return epoch
    return None


def sklearn_epochs(values, tol, patience):
    """Return when scikit-learn stops on these losses."""
    best, count = math.inf, 0
    for epoch, value in enumerate(values, start=1):
        count = count + 1 if value > best - tol else 0
        best = min(best, value)
        if count > patience:
            return epoch
    return None


numbers = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(numbers, st.sampled_from([0.0, 0.05]), st.integers(1, 4))
def test_loss_stalls_as_in_scikit_learn(losses, tol, patience):
    found = epochs_until_stalled(monitor(tol, patience), losses)
    assert found == sklearn_epochs(losses, tol, patience)


@given(numbers)
def test_first_epoch_with_the_best_score_is_kept(scores):
    watching = monitor(n_iter_no_change=math.inf, early_stopping=True)
    kept = [e for e, s in enumerate(scores, 1) if watching.add_epoch(1.0, s)]
    assert kept[-1] == watching.best_epoch == scores.index(max(scores)) + 1
    assert watching.best_validation_score == max(scores)
    assert watching.validation_scores == scores


@pytest.mark.parametrize("ties_by_loss", [False, True])
def test_nan_scores_and_losses_are_never_the_best(ties_by_loss):
    watching = Monitor()
    watching.configure(1e-4, 2, early_stopping=True, ties_by_loss=ties_by_loss)
    for score, loss in [(math.nan, 0.1), (0.5, math.nan), (0.7, 0.4), (math.nan, 0.3)]:
        watching.add_epoch(1.0, score, loss)
    assert (watching.best_epoch, watching.best_validation_score) == (3, 0.7)
    for _ in range(3):
        watching.add_epoch(1.0, 0.5, 0.9)
    assert watching.stop_message()


def test_nan_losses_are_replaced_by_any_loss():
    watching = by_loss()
    for loss in (math.nan, 0.9, 0.8):
        watching.add_epoch(1.0, 0.5, loss)
    assert watching.best_epoch == 3


def test_early_stopping_uses_the_score():
    losses = [1.0] * 5
    scores = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert epochs_until_stalled(monitor(early_stopping=True), losses, scores) is None
    assert epochs_until_stalled(monitor(), losses, scores) == 4


def test_best_score_is_recorded_without_early_stopping():
    watching = monitor(n_iter_no_change=9)
    epochs_until_stalled(watching, [1.0, 0.5, 0.2], [0.3, 0.9, 0.5])
    assert watching.best_epoch == 2


def test_infinite_patience_never_stalls():
    watching = monitor(n_iter_no_change=math.inf)
    assert epochs_until_stalled(watching, [1.0] * 50) is None


def test_lowered_learning_rate_resets_the_count():
    watching = monitor(n_iter_no_change=1)
    assert epochs_until_stalled(watching, [1.0, 1.0, 1.0]) == 3
    watching.reset_patience()
    assert watching.stop_message() is None


@pytest.mark.parametrize(
    ("early_stopping", "what"), [(False, "Training loss"), (True, "Validation score")]
)
def test_message_equals_that_of_scikit_learn(early_stopping, what):
    watching = monitor(1e-4, 1, early_stopping)
    epochs_until_stalled(watching, [1.0] * 3, [0.5] * 3)
    assert watching.stop_message() == (
        f"{what} did not improve more than tol=0.000100 for 1 consecutive epochs."
    )


def by_loss(tol=1e-4, n_iter_no_change=2):
    watching = Monitor()
    watching.configure(tol, n_iter_no_change, early_stopping=True, ties_by_loss=True)
    return watching


@given(numbers, st.sampled_from([0.0, 0.05]), st.integers(1, 4))
def test_validation_loss_decides_between_equal_scores(losses, tol, patience):
    watching, stop = by_loss(tol, patience), None
    for epoch, loss in enumerate(losses, start=1):
        watching.add_epoch(1.0, 0.5, loss)
        if watching.stop_message() and stop is None:
            stop = epoch
    assert watching.best_epoch == losses.index(min(losses)) + 1
    assert stop == sklearn_epochs(losses, tol, patience)


@given(st.permutations([0.1, 0.3, 0.5, 0.7]), numbers)
def test_better_score_outweighs_any_loss(scores, losses):
    watching = by_loss(n_iter_no_change=math.inf)
    for score, loss in zip(scores, losses, strict=False):
        watching.add_epoch(1.0, score, loss)
    seen = scores[: len(losses)]
    assert watching.best_epoch == seen.index(max(seen)) + 1


def test_scores_within_tol_of_the_best_are_ties():
    watching = by_loss(tol=0.1)
    kept = [
        watching.add_epoch(1.0, score, loss)
        for score, loss in [(0.8, 0.5), (0.75, 0.4), (0.6, 0.1), (0.85, 0.45)]
    ]
    assert kept == [True, True, False, False]
    assert (watching.best_epoch, watching.best_validation_score) == (2, 0.75)


@given(numbers, numbers, st.floats(0, 0.5))
def test_ties_neither_hide_better_scores_nor_drift_from_them(scores, losses, tol):
    watching = by_loss(tol, math.inf)
    for score, loss in zip(scores, losses, strict=False):
        watching.add_epoch(1.0, score, loss)
    seen = watching.validation_scores
    assert abs(max(seen) - watching.best_validation_score) <= tol + 1e-12
    assert seen[watching.best_epoch - 1] == watching.best_validation_score
