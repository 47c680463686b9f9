"""New data every week: a network from scratch each time, or one that goes on.

All training rows come once, spread over the weeks with a seed that is always the same.
Without seasons the weeks are alike but for chance. With them each class has its time of
the year, as sandals and coats have: its share of a week is proportional to ``1 + season
* cos(2 pi (week / n_weeks - k / n_classes))`` for class k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.definitions.model import Weeks

SEED = 0

Part = tuple[np.ndarray, np.ndarray]


def split(y: np.ndarray, weeks: Weeks) -> list[np.ndarray]:
    """Return the numbers of each week's rows, in no order."""
    rng = np.random.default_rng(SEED)
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


def train(
    estimator: Any, train: Part, test: Part, weeks: Weeks
) -> tuple[Any, list[float]]:
    """Train through all weeks; return the last network and the accuracy after each.

    Every week's rows are passed over `estimator.max_iter` times by `partial_fit`: by a
    new network each week, or by one that goes on. Both draw their weights and orders of
    rows from a generator of the same seed, so that their first weeks are equal.
    """
    X, y = train
    classes = np.unique(y)
    seed = estimator.random_state
    model, scores = None, []
    for rows in split(y, weeks):
        if model is None or not weeks.continual:
            model = clone(estimator)
            # A number would give every pass the same order of rows.
            model.set_params(random_state=np.random.RandomState(seed))
        for _ in range(estimator.max_iter):
            model.partial_fit(X[rows], y[rows], classes=classes)
        scores.append(model.score(*test))
    return model, scores
