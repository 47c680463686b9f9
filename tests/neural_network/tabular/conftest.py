"""A small table with all kinds of columns, and small estimators."""

import numpy as np
import pandas as pd
import pytest

from skmlp.neural_network import TabularClassifier, TabularRegressor


@pytest.fixture(scope="session")
def frame():
    """Numbers, gaps, texts, many levels, bools, categories, constant and empty."""
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "normal": rng.normal(size=n),
            "skewed": rng.exponential(size=n),
            "count": rng.integers(0, 9, n),
            "color": rng.choice(["red", "green", "blue"], n),
            "street": rng.choice([f"street {i}" for i in range(15)], n),
            "new": rng.random(n) > 0.5,
            "size": pd.Categorical(rng.choice(["small", "large"], n)),
            "constant": 1.0,
            "empty": np.nan,
        }
    )
    frame.loc[::9, "normal"] = np.nan
    frame.loc[::11, "color"] = None
    return frame


@pytest.fixture(scope="session")
def labels(frame):
    """Two classes that depend on a number and on a category."""
    score = frame["skewed"] + (frame["color"] == "red")
    return np.where(score > score.median(), "yes", "no")


@pytest.fixture(scope="session")
def target(frame):
    """Numbers that depend on a number and on a category."""
    return (frame["skewed"] * 3 + (frame["street"] < "street 4") * 5).to_numpy()


@pytest.fixture(scope="session")
def classifier():
    """Constructor of a small classifier."""

    def make(**params):
        defaults = {"n_estimators": 2, "max_iter": 6, "hidden_layer_sizes": (16,)}
        return TabularClassifier(**defaults | {"random_state": 0} | params)

    return make


@pytest.fixture(scope="session")
def regressor():
    """Constructor of a small regressor."""

    def make(**params):
        defaults = {"n_estimators": 2, "max_iter": 6, "hidden_layer_sizes": (16,)}
        return TabularRegressor(**defaults | {"random_state": 0} | params)

    return make
