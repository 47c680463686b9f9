"""The stub of scikit-learn's bases describes scikit-learn, and every module uses it."""

import ast
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from skmlp import _sklearn_bases

ROOT = Path(__file__).parents[2]
MODULES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "skmlp").rglob("*.py"))
    if path.name not in {"_sklearn_bases.py", "_sklearn_compat.py"}
]
# Differences from scikit-learn that are meant.
ALLOWED = (
    # The first parameter has another name.
    r"BaseEstimator\._html_repr",
    # scikit-learn adds these methods to the classes whose methods accept metadata.
    r"BaseEstimator\.set_(fit|partial_fit|score)_request",
    # A property that only reads.
    r"BaseSearchCV\.n_features_in_",
)


def test_stub_agrees_with_sklearn(tmp_path):
    allowed = tmp_path / "allowed.txt"
    allowed.write_text(
        "".join(rf"skmlp\._sklearn_bases\.{name}" + "\n" for name in ALLOWED)
    )
    options = ["--ignore-missing-stub", "--ignore-unused-allowlist", "--concise"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "skmlp._sklearn_bases", *options),
            *("--allowlist", str(allowed)),
            *("--mypy-config-file", str(ROOT / "pyproject.toml")),
        ],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_module_takes_typed_names_from_stub(module):
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    untyped = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(("sklearn", "skmlp._sklearn_compat"))
        for alias in node.names
    } & set(_sklearn_bases.__all__)
    assert untyped == set()


@pytest.mark.parametrize("name", ["py.typed", "_sklearn_bases.pyi"])
def test_package_holds_type_information(name):
    assert files("skmlp").joinpath(name).is_file()
