"""Tables that come with scikit-learn, and synthetic ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import scale

Loader = Callable[[], tuple[np.ndarray, np.ndarray]]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def _digits_multilabel() -> tuple[np.ndarray, np.ndarray]:
    """Return three labels for each digit: odd, greater than four, zero."""
    X, y = _digits()
    return X, np.column_stack([y % 2, y > 4, y == 0]).astype(int)


def _breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    return datasets.load_breast_cancer(return_X_y=True)


def _wine() -> tuple[np.ndarray, np.ndarray]:
    return datasets.load_wine(return_X_y=True)


def _iris() -> tuple[np.ndarray, np.ndarray]:
    return datasets.load_iris(return_X_y=True)


def _diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Return ten features and a target, standardized to mean 0 and variance 1."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _wide() -> tuple[np.ndarray, np.ndarray]:
    """Return as many samples and features as a tenth of MNIST has."""
    return datasets.make_classification(
        6000, 784, n_informative=50, n_classes=10, random_state=0
    )


def california_like(n_rows: int = 5_000) -> tuple[np.ndarray, np.ndarray]:
    """Make synthetic districts that resemble the California housing data.

    The California housing data need a download. These are drawn at random instead:

    * The eight columns have the names, ranges and skewed distributions of the original:
      median income, house age, rooms, bedrooms, population, occupants, latitude,
      longitude.
    * Prices rise with income. They fall with the distance to two cities and to a
      slanting coast, and they vary by chance.
    * The classes are the prices below and above the median, as in Grinsztajn et al.
      (2022, arXiv:2207.08815).
    """
    rng = np.random.default_rng(0)
    income = rng.lognormal(1.2, 0.45, n_rows)
    age = rng.integers(1, 53, n_rows)
    rooms = rng.lognormal(1.6, 0.25, n_rows)
    bedrooms = rooms * rng.normal(0.2, 0.02, n_rows)
    population = rng.lognormal(7.0, 0.7, n_rows)
    occupants = rng.lognormal(1.05, 0.2, n_rows)
    latitude = rng.uniform(32.5, 42.0, n_rows)
    coast = -117.0 - 0.75 * (latitude - 32.5)
    longitude = coast + rng.gamma(1.2, 1.3, n_rows)
    cities = ((34.05, -118.24), (37.77, -122.42))
    away = [np.hypot(latitude - a, longitude - b) for a, b in cities]
    log_price = (
        0.75 * np.log(income)
        + 0.6 * np.exp(-((longitude - coast) ** 2))
        + 0.5 * np.exp(-np.minimum(*away))
        + 0.3 * np.log(rooms / occupants)
        + 0.003 * age
        + rng.normal(0.0, 0.2, n_rows)
    )
    columns = (income, age, rooms, bedrooms, population, occupants, latitude, longitude)
    return np.column_stack(columns), (log_price > np.median(log_price)).astype(int)


TABLES: dict[str, Loader] = {
    "breast-cancer": _breast_cancer,
    "wine": _wine,
    "iris": _iris,
    "digits": _digits,
    "california-like": california_like,
    "digits-multilabel": _digits_multilabel,
    "breast-cancer-scaled": lambda: (scale(_breast_cancer()[0]), _breast_cancer()[1]),
    "diabetes": _diabetes,
    "6000x784": _wide,
}
