"""Imports follow the contracts of pyproject.toml, which `lint-imports` checks.

Rules that no contract expresses are small tests here: the packages of others that a
package may use, public names only, and torch that is not loaded at run time.
"""

import ast
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.private_modules import PrivateModulesContract
from importlinter.contracts.protected import ProtectedContract

ROOT = Path(__file__).parents[1]
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
CONTRACTS = {options["id"]: options for options in CONFIGURATION["contracts_options"]}
TYPES = {
    contract.type_name: contract
    for contract in (
        AcyclicSiblingsContract,
        ForbiddenContract,
        LayersContract,
        PrivateModulesContract,
        ProtectedContract,
    )
}

NUMERIC = {"numpy", "pandas", "scipy", "sklearn"}
DATA = NUMERIC | {"PIL", "joblib", "pooch", "rich"}
NETS = NUMERIC | {"joblib", "skorch", "torch"}
# The packages of others that each package of skmlp may import.
EXTERNAL = {
    "skmlp": set(),
    "skmlp._image_files": {"PIL", "joblib", "numpy"},
    "skmlp._sklearn_bases": {"sklearn"},
    "skmlp._sklearn_compat": {"numpy", "sklearn"},
    "skmlp._warnings": set(),
    "skmlp.exceptions": set(),
    "skmlp.augmentation": {"numpy", "sklearn", "torch"},
    "skmlp.datasets": DATA,
    "skmlp.inspection": NETS | {"matplotlib", "rich"},
    "skmlp.model_selection": NETS,
    # A fit shows its progress.
    "skmlp.neural_network": NETS | {"rich"},
    "skmlp.persistence": NETS | {"onnx", "skl2onnx"},
    "skmlp.preprocessing": DATA,
    "skmlp.storage": NUMERIC | {"safetensors", "torch"},
    # threadpoolctl sets the threads of BLAS.
    "skmlp.training": {"numpy", "scipy", "sklearn", "skorch", "threadpoolctl", "torch"},
}
# Packages that use public names of skmlp's other packages only.
PUBLIC_ONLY = ("benchmarks", "skmlp.inspection", "skmlp.persistence")
PRIVATE_PACKAGES = ("skmlp.storage", "skmlp.training")
# Exceptions: a private module, and the packages that may import it.
SHARED = {
    "skmlp._sklearn_bases": ("skmlp.inspection", "skmlp.persistence"),
    "skmlp._sklearn_compat": ("skmlp.inspection", "skmlp.persistence"),
    "skmlp._warnings": ("skmlp.persistence",),
    "skmlp.neural_network._layers": ("skmlp.inspection",),
    "skmlp.neural_network._pipelines": ("skmlp.inspection",),
    "skmlp.storage": ("skmlp.persistence",),
    "skmlp.training.modules.introspection": ("skmlp.inspection",),
}


def find_modules() -> dict[str, Path]:
    """Return the path of every module of skmlp and benchmarks by its dotted name."""
    modules = {}
    for package in ("skmlp", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules[".".join(part for part in parts if part != "__init__")] = path
    return modules


MODULES = find_modules()


@pytest.fixture(scope="session")
def graph():
    """Return the imports between all modules, with the packages of others."""
    return grimp.build_graph(
        "skmlp", "benchmarks", include_external_packages=True, cache_dir=None
    )


def is_kept(contract: str, graph) -> bool:
    """Check one contract of pyproject.toml."""
    options = CONTRACTS[contract]
    kind = TYPES[options["type"]]
    checked = kind(options["name"], CONFIGURATION["session_options"], options)
    return checked.check(deepcopy(graph), verbose=False).kept


def package_of(module: str) -> str:
    """Return the package whose rules a module follows."""
    parts = module.split(".")
    return parts[0] if parts[0] == "benchmarks" else ".".join(parts[:2])


@pytest.mark.parametrize("contract", CONTRACTS)
def test_contract_is_kept(contract, graph):
    assert is_kept(contract, graph)


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [
        ("packages", "skmlp.training", "skmlp.neural_network"),
        ("packages", "skmlp.training.net", "skmlp.neural_network._mlp"),
        ("packages", "skmlp.training.compute", "skmlp.neural_network._base"),
        ("packages", "skmlp.neural_network._mlp", "skmlp.model_selection"),
        ("packages", "skmlp.neural_network._base", "skmlp.inspection"),
        ("packages", "skmlp.datasets", "skmlp.training.compute"),
        ("packages", "skmlp.preprocessing", "skmlp.datasets"),
        ("packages", "skmlp.inspection", "skmlp.persistence"),
        ("packages", "skmlp._sklearn_compat", "skmlp.preprocessing"),
        ("training", "skmlp.training.compute", "skmlp.training.net"),
        ("training", "skmlp.training.compute", "skmlp.training.modules"),
        ("training", "skmlp.training.modules", "skmlp.training.data"),
        ("training", "skmlp.training.data", "skmlp.training.optimizers"),
        ("training", "skmlp.training.optimizers", "skmlp.training.steps"),
        ("training", "skmlp.training.net", "skmlp.training.packs"),
        ("networks", "skmlp.neural_network._layers", "skmlp.neural_network._mlp"),
        ("networks", "skmlp.neural_network._fit", "skmlp.neural_network._packs"),
        ("cycles", "skmlp.training.losses", "skmlp.training.net"),
        ("cycles", "skmlp.training.compute", "skmlp.training.packs"),
        ("cycles", "benchmarks.experiments", "benchmarks.__main__"),
        ("benchmarks", "skmlp.persistence", "benchmarks"),
        ("benchmarks", "skmlp.training.net", "benchmarks.speed"),
        ("torch", "skmlp.datasets", "torch"),
        ("torch", "skmlp.datasets", "skmlp.augmentation"),
        ("torch", "skmlp.preprocessing", "skorch"),
        ("torch", "skmlp._sklearn_compat", "torch"),
        ("engine", "benchmarks", "skmlp.training"),
        ("engine", "benchmarks.speed", "skmlp.training.compute"),
        ("engine", "skmlp.inspection", "skmlp.training.net"),
        ("engine", "skmlp", "skmlp.training.net"),
        ("files", "benchmarks", "skmlp.storage"),
        ("files", "skmlp.training.net", "skmlp.storage"),
        ("augmentations", "skmlp.training.net", "skmlp.augmentation"),
        ("data", "skmlp.neural_network._cnn", "skmlp.preprocessing"),
        ("private", "benchmarks", "skmlp.neural_network._mlp"),
        ("private", "benchmarks.speed", "skmlp._sklearn_compat"),
        ("private", "skmlp.inspection", "skmlp.neural_network._mlp"),
        ("private", "skmlp.persistence", "skmlp.augmentation._flip"),
    ],
)
def test_contract_refuses_planted_import(contract, importer, imported, graph):
    planted = deepcopy(graph)
    assert {importer, imported} <= planted.modules
    planted.add_import(importer=importer, imported=imported)
    assert not is_kept(contract, planted)


@pytest.mark.parametrize("package", ["skmlp", "skmlp.training"])
def test_contract_refuses_unlisted_module(package, graph):
    planted = deepcopy(graph)
    planted.add_module(f"{package}.helpers")
    contract = {"skmlp": "packages", "skmlp.training": "training"}[package]
    assert not is_kept(contract, planted)


def test_lint_imports_reads_every_kind_of_import_statement(tmp_path):
    for package in ("skmlp", "benchmarks"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "results"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    before = _lint_imports(tmp_path)
    (tmp_path / "skmlp" / "datasets" / "_mnist.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from .. import training\n"
        "from ..neural_network import MLPClassifier\n"
        "import skmlp.augmentation as augmentation\n"
        "if TYPE_CHECKING:\n"
        "    from skmlp.preprocessing import PixelScaler\n"
        "def load():\n"
        "    import torch.nn\n"
    )
    after = _lint_imports(tmp_path)
    assert before.returncode == 0, before.stdout
    assert after.returncode == 1
    for imported in (
        "skmlp.augmentation",
        "skmlp.neural_network",
        "skmlp.preprocessing",
        "skmlp.training",
        "torch",
    ):
        assert f"skmlp.datasets._mnist -> {imported} " in after.stdout


def _lint_imports(folder: Path) -> subprocess.CompletedProcess:
    """Run the command in a folder that holds the packages."""
    command = (
        "from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module", [name for name in MODULES if package_of(name) != "benchmarks"]
)
def test_module_imports_only_allowed_packages(module, graph):
    package = package_of(module)
    assert package in EXTERNAL, f"{package} is not in this file's table; add it."
    external = {
        name
        for name in graph.find_modules_directly_imported_by(module)
        if graph.is_module_squashed(name) and name not in sys.stdlib_module_names
    }
    assert external <= EXTERNAL[package]


def find_private_references(source: str, module: str) -> list[str]:
    """Return private names of other packages that a module reaches.

    It sees what the graph of imports does not: attributes of an imported name, and
    modules that are imported by a string.
    """
    package = package_of(module)
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.add(alias.name)
                first = alias.name.split(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names.add(f"{node.module}.{alias.name}")
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name, *attributes = ast.unparse(node).split(".")
            if name in bound:
                names.add(".".join([bound[name], *attributes]))
    return sorted(name for name in names if _is_private(name, package))


def _is_private(name: str, package: str) -> bool:
    """Tell whether a dotted name is private in skmlp to other packages than this."""

    def within(module: str) -> bool:
        return f"{name}.".startswith(f"{module}.")

    if not within("skmlp") or (package != "benchmarks" and within(package)):
        return False
    if any(within(module) and package in users for module, users in SHARED.items()):
        return False
    parts = name.split(".")
    hidden = any(p.startswith("_") and not p.startswith("__") for p in parts)
    return hidden or any(within(module) for module in PRIVATE_PACKAGES)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if package_of(name) in PUBLIC_ONLY]
)
def test_module_uses_public_names_of_other_packages(module):
    source = MODULES[module].read_text(encoding="utf-8")
    assert find_private_references(source, module) == []


@pytest.mark.parametrize(
    ("module", "source", "name"),
    [
        ("benchmarks.running.fitting", "from skmlp import training", "skmlp.training"),
        (
            "benchmarks.running.fitting",
            "from skmlp.neural_network import _mlp as m",
            "skmlp.neural_network._mlp",
        ),
        (
            "benchmarks.running.fitting",
            "from skmlp.neural_network._mlp import MLPClassifier",
            "skmlp.neural_network._mlp.MLPClassifier",
        ),
        (
            "benchmarks.running.fitting",
            "from skmlp import neural_network as n\nn._mlp.draw()",
            "skmlp.neural_network._mlp.draw",
        ),
        ("benchmarks.experiments.a", "import skmlp\nskmlp._x", "skmlp._x"),
        (
            "benchmarks.experiments.a",
            "import skmlp\nskmlp.training.net",
            "skmlp.training.net",
        ),
        (
            "benchmarks.running.fitting",
            "import_module('skmlp.training')",
            "skmlp.training",
        ),
        (
            "skmlp.inspection._summary",
            "from skmlp.neural_network import _mlp",
            "skmlp.neural_network._mlp",
        ),
        (
            "skmlp.persistence._model",
            "import skmlp.training as t",
            "skmlp.training",
        ),
        (
            "skmlp.inspection._summary",
            "from skmlp.storage import container",
            "skmlp.storage.container",
        ),
    ],
)
def test_private_name_is_seen(module, source, name):
    assert name in find_private_references(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("benchmarks.running.fitting", "import keras, skmlp\nskmlp.__version__"),
        (
            "benchmarks.running.fitting",
            "from skmlp.neural_network import CNNClassifier as C\nC.fit",
        ),
        ("benchmarks.experiments.a", "from .._tables import show"),
        ("benchmarks.running.fitting", "from benchmarks._tables import show"),
        (
            "skmlp.inspection._summary",
            "from skmlp.neural_network._pipelines import split_pipeline",
        ),
        ("skmlp.inspection._summary", "from skmlp.inspection._images import show"),
        ("skmlp.persistence._model", "from skmlp.storage.container import read"),
    ],
)
def test_public_and_own_names_are_allowed(module, source):
    assert find_private_references(source, module) == []


@pytest.mark.parametrize("package", ["_sklearn_bases", "datasets", "preprocessing"])
def test_package_does_not_load_torch(package):
    # A stand-in replaces the parent, because skmlp/__init__.py may load more.
    program = (
        "import importlib, sys, types\n"
        "parent = types.ModuleType('skmlp')\n"
        f"parent.__path__ = [{str(ROOT / 'skmlp')!r}]\n"
        "sys.modules['skmlp'] = parent\n"
        f"importlib.import_module('skmlp.{package}')\n"
        "print(sorted({'torch', 'skorch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
