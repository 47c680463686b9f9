"""Data for a user's few lines, and what a package of others may warn about."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale


def pytest_collection_modifyitems(items):
    """Let packages warn: their warnings change with every version of theirs."""
    for item in items:
        if "ecosystem" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def iris():
    """Standardized training samples, test samples and both labels of irises."""
    X, y = load_iris(return_X_y=True)
    return train_test_split(scale(X), y, random_state=0, stratify=y)


@pytest.fixture(scope="session")
def cancer():
    """Standardized training samples, test samples and both labels of two classes."""
    X, y = load_breast_cancer(return_X_y=True)
    return train_test_split(scale(X), y, random_state=0, stratify=y)


@pytest.fixture(scope="session")
def diabetes():
    """Standardized training samples, test samples and both targets of patients."""
    X, y = load_diabetes(return_X_y=True)
    return train_test_split(scale(X), scale(y), random_state=0)


@pytest.fixture(scope="session")
def flights():
    """A table of 300 flights with two categories, missing values, and delays or not."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(
        {
            "distance": rng.uniform(100, 3000, 300),
            "hour": rng.integers(0, 24, 300),
            "airline": rng.choice(["red", "green", "blue"], 300),
            "weather": rng.choice(["sun", "fog"], 300),
        }
    )
    late = (table["weather"] == "fog") | (table["hour"] > 20)
    table.loc[::17, "distance"] = np.nan
    return table, late.to_numpy().astype(int)
