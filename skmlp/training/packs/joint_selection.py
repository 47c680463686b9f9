"""One best epoch for all members of a pack."""

import math
from collections.abc import Sequence

import numpy as np


class JointSelection:
    """Selects the epoch with the highest mean validation score of all members.

    The scores of one member are noisy. If each member has its own validation set, the
    mean depends on all of these samples.

    With ``early_stopping=True``, the selected epochs count as improvements. So members
    with the same patience end together.

    Parameters
    ----------
    n_members : int
        Number of members. If one of them ends earlier, no later epoch is selected.

    Attributes
    ----------
    best_score : float
        Mean score of the best epoch.
    """

    def __init__(self, n_members: int) -> None:
        self.n_members = n_members
        self.best_score = -math.inf

    def is_best(self, scores: Sequence[float]) -> bool:
        """Return whether an epoch with these scores is the best one so far."""
        if len(scores) < self.n_members:
            return False
        mean = float(np.mean(scores))
        if not mean > self.best_score:
            return False
        self.best_score = mean
        return True
