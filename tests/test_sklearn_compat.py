"""Private names of scikit-learn stand in one module."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import pytest

from skmlp import _sklearn_compat

ROOT = Path(__file__).parents[1]
COMPAT = ROOT / "skmlp" / "_sklearn_compat.py"
MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in ("skmlp", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path != COMPAT
]
# Attributes and modules of scikit-learn that only some supported versions have.
VERSIONED = {"sklearn.callback", "sklearn.__version__", "_skl_callbacks"}


def find_private_names(source: str) -> list[str]:
    """Return scikit-learn's private or versioned names that a module refers to."""
    bound: dict[str, str] = {}
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.append(alias.name)
                first = alias.name.split(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                names.append(name)
                bound[alias.asname or alias.name] = name
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            first, *attributes = ast.unparse(node).split(".")
            names.append(".".join([bound.get(first, first), *attributes]))
        elif isinstance(node, ast.Constant) and node.value in VERSIONED:
            names.append(node.value)
    return sorted({name for name in names if _is_private(name)})


def _is_private(name: str) -> bool:
    """Tell whether a dotted name is a private or versioned one of scikit-learn."""
    top, *rest = name.split(".")
    if any(f"{name}.".startswith(f"{versioned}.") for versioned in VERSIONED):
        return True
    return (
        top == "sklearn"
        # `Class._method` is a hook of a public class for its subclasses.
        and any(
            part.startswith("_") and not parent[:1].isupper()
            for parent, part in zip(name.split("."), rest, strict=False)
        )
    )


@pytest.mark.parametrize("module", MODULES)
def test_module_uses_public_names_of_sklearn(module):
    assert find_private_names((ROOT / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from sklearn.base import _fit_context", "sklearn.base._fit_context"),
        (
            "from sklearn.utils._unique import attach_unique",
            "sklearn.utils._unique.attach_unique",
        ),
        ("import sklearn.utils._unique", "sklearn.utils._unique"),
        ("import sklearn.utils as u\nu._indexing", "sklearn.utils._indexing"),
        ("from sklearn import utils\nutils._tags", "sklearn.utils._tags"),
        ("def f():\n    from sklearn import _config", "sklearn._config"),
        (
            "from sklearn.callback import ProgressBar",
            "sklearn.callback.ProgressBar",
        ),
        ("import sklearn\nsklearn.__version__", "sklearn.__version__"),
        ("getattr(estimator, '_skl_callbacks', ())", "_skl_callbacks"),
    ],
)
def test_private_name_of_sklearn_is_seen(source, name):
    assert name in find_private_names(source)


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.base import BaseEstimator\nBaseEstimator._parameter_constraints",
        "from sklearn import get_config",
        "from skmlp._sklearn_compat import fit_context",
        "import sklearn.utils\nsklearn.utils.gen_batches",
    ],
)
def test_public_name_of_sklearn_is_allowed(source):
    assert find_private_names(source) == []


def test_compat_module_lists_every_name():
    own = {
        name
        for name, value in vars(_sklearn_compat).items()
        if getattr(value, "__module__", "").startswith(("sklearn.", "skmlp."))
        and not isinstance(value, TypeVar)
    }
    constants = {name for name in _sklearn_compat.__all__ if name.isupper()}
    assert own | constants == set(_sklearn_compat.__all__)


def test_compat_module_loads_no_torch():
    program = (
        "import sys\n"
        "import skmlp._sklearn_compat\n"
        "print(sorted({'torch', 'skorch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
