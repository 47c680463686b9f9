"""The rows of the migration tables in GUIDE.md, and how to run their two sides."""

import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

GUIDE = (Path(__file__).parents[2] / "GUIDE.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    """The code in the two cells of a row."""

    peer: list[str]
    skmlp: list[str]


def read_table(package):
    """Return the rows of the table of a package by their left cells."""
    table = re.search(
        rf"^\| {package} \| skmlp \|\n\| --- \| --- \|\n((?:\|.*\n)+)",
        GUIDE,
        flags=re.MULTILINE,
    )
    cells = [line.strip("| \n").split(" | ") for line in table[1].splitlines()]
    return {
        left: Row(*(re.findall(r"`(.+?)`", cell) for cell in (left, right)))
        for left, right in cells
    }


TABLES = {
    name: read_table(name)
    for name in ("scikit-learn", "skorch", "skorch, your module", "Keras")
}


@pytest.fixture(scope="session")
def migration_tables():
    """Rows of each package by their left cells."""
    return TABLES


@pytest.fixture
def row(request):
    """Row whose left cell is the parameter of the test."""
    (found,) = [
        rows[request.param] for rows in TABLES.values() if request.param in rows
    ]
    return found


@pytest.fixture
def tested_rows(request):
    """Left cells that are parameters of the tests in the module, sorted."""
    functions = vars(request.module).values()
    marks = [mark for f in functions for mark in getattr(f, "pytestmark", [])]
    return sorted(m.args[1][0] for m in marks if m.args[:1] == ("row",))


@pytest.fixture(scope="session")
def evaluate():
    """Function that evaluates code of a row with the given names."""
    return lambda code, **names: eval(code, {"np": np, **names})


@pytest.fixture(scope="session")
def arguments():
    """Function that returns the keyword arguments that code of a row stands for."""
    return lambda code, **names: eval(f"dict({code})", {"np": np, **names})


@pytest.fixture(scope="session")
def digits():
    """X and y of 120 digits of ten classes, in float64."""
    X, y = load_digits(return_X_y=True)
    return X[:120] / 16, y[:120]


@pytest.fixture(scope="session")
def fit_quietly():
    """Function that fits without the warning that `max_iter` was reached."""

    def fit(model, *data, **validation_set):
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            return model.fit(*data, **validation_set)

    return fit


@pytest.fixture(scope="session")
def iris():
    """150 irises and their species, as scikit-learn's own tests use them."""
    return load_iris(return_X_y=True)
