"""New data every week: a new network each week, or one that is trained further.

Each training sample comes once. The same seed always distributes the samples over the
weeks. Without seasons the weeks differ only by chance. With seasons the share of a
class in a week is proportional to ``1 + season * cos(2 pi (week / n_weeks - k /
n_classes))`` for class k, so each class has its time of the year, like sandals and
coats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.definitions.model import WeeklySchedule

ORDER_SEED = 0

Part = tuple[np.ndarray, np.ndarray]


def split_into_weeks(y: np.ndarray, weeks: WeeklySchedule) -> list[np.ndarray]:
    """Return the indices of each week's samples, in random order."""
    rng = np.random.default_rng(ORDER_SEED)
    if not weeks.season:
        return np.array_split(rng.permutation(len(y)), weeks.n_weeks)
    parts: list[list[np.ndarray]] = [[] for _ in range(weeks.n_weeks)]
    classes = np.unique(y)
    time = np.arange(weeks.n_weeks) / weeks.n_weeks
    for k, label in enumerate(classes):
        rows = rng.permutation(np.flatnonzero(y == label))
        share = 1 + weeks.season * np.cos(2 * np.pi * (time - k / len(classes)))
        ends = np.rint(np.cumsum(share / share.sum()) * len(rows)).astype(int)
        for part, of_week in zip(parts, np.split(rows, ends[:-1]), strict=True):
            part.append(of_week)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def train_weekly(
    estimator: Any, train: Part, test: Part, weeks: WeeklySchedule
) -> tuple[Any, list[float]]:
    """Train through all weeks; return the last network and each week's accuracy.

    `partial_fit` passes over every week's samples `estimator.max_iter` times. The
    network is new each week, or it is the one of the week before. Both kinds draw their
    weights and the order of samples from generators of the same seed, so their first
    weeks are equal.
    """
    X, y = train
    classes = np.unique(y)
    seed = estimator.random_state
    model, scores = None, []
    for rows in split_into_weeks(y, weeks):
        if model is None or not weeks.continual:
            model = clone(estimator)
            # An integer would give every pass the same order of samples.
            model.set_params(random_state=np.random.RandomState(seed))
        for _ in range(estimator.max_iter):
            model.partial_fit(X[rows], y[rows], classes=classes)
        scores.append(model.score(*test))
    return model, scores
