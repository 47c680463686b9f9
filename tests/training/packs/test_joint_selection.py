"""One best epoch for all members of a pack."""

import math

from skmlp.training.packs.joint_selection import JointSelection


def test_epoch_with_the_highest_mean_is_the_best():
    selection = JointSelection(2)
    assert selection.is_best([0.1, 0.3])
    assert not selection.is_best([0.0, 0.4])  # the same mean
    assert selection.is_best([0.5, 0.0])
    assert selection.best_score == 0.25


def test_no_epoch_is_selected_after_a_member_has_ended():
    selection = JointSelection(2)
    assert selection.is_best([0.1, 0.3])
    assert not selection.is_best([0.9])


def test_epochs_without_a_mean_are_not_selected():
    selection = JointSelection(2)
    assert not selection.is_best([0.1, math.nan])
    assert selection.is_best([0.1, 0.1])
