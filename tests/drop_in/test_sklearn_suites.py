"""scikit-learn's own tests run over the estimators and searches of skmlp.

A suite is copied from the installed scikit-learn. Its imports are replaced, and its
fixture of seeds is supplied. Every test has to pass, except those that touch private
attributes of scikit-learn's classes.
"""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

NETWORKS = "from skmlp.neural_network import MLPClassifier, MLPRegressor\n"
SEARCHES = """
from skmlp.model_selection import (
    PackedGridSearchCV as GridSearchCV,
    PackedHalvingGridSearchCV as HalvingGridSearchCV,
    PackedHalvingRandomSearchCV as HalvingRandomSearchCV,
    PackedRandomizedSearchCV as RandomizedSearchCV,
)
"""
SEED_FIXTURE = """
import pytest

@pytest.fixture
def global_random_seed():
    return 42
"""

# Tests that touch what is private in scikit-learn, with the attribute.
PRIVATE = {
    "test_mlp": {
        "test_fit": "_random_state, _label_binarizer and others, before fit",
        "test_gradient": "_loss_grad_lbfgs",
        "test_learning_rate_warmstart": "_optimizer",
        "test_adaptive_learning_rate": "_optimizer",
        "test_n_iter_no_change": "_no_improvement_count",
        "test_n_iter_no_change_inf": "_no_improvement_count",
    },
    "test_search": {},
    "test_successive_halving": {},
}
SUITES = {
    "test_mlp": ("sklearn.neural_network.tests", NETWORKS),
    "test_search": ("sklearn.model_selection.tests", SEARCHES),
    "test_successive_halving": ("sklearn.model_selection.tests", SEARCHES),
}


def copy_suite(name, folder):
    """Copy a suite with the imports of skmlp after its own; skip where it is absent."""
    package, imports = SUITES[name]
    found = find_spec(package)
    path = found and Path(found.submodule_search_locations[0], f"{name}.py")
    if not path or not path.exists():
        pytest.skip("this scikit-learn was installed without its tests")
    source = path.read_text(encoding="utf-8")
    last = max(
        node.end_lineno
        for node in ast.parse(source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    lines = source.splitlines(keepends=True)
    copy = folder / f"{name}.py"
    copy.write_text("".join([*lines[:last], imports, *lines[last:]]), encoding="utf-8")
    (folder / "conftest.py").write_text(SEED_FIXTURE, encoding="utf-8")
    return copy


@pytest.mark.parametrize("name", SUITES)
def test_suite_of_sklearn_passes(name, tmp_path):
    copy, report = copy_suite(name, tmp_path), tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), f"--junitxml={report}", str(copy)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {
        case.get("name").split("[")[0]
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(cases) >= 50, done.stdout
    assert failed == set(PRIVATE[name]), done.stdout[-5000:]
