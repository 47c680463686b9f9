"""Which module may import which: the direction of the design, held by walking it."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

NUMERIC = {"numpy", "pandas", "scipy", "sklearn"}
DATA = NUMERIC | {"PIL", "joblib", "pooch", "rich", "tqdm"}
NETS = NUMERIC | {"joblib", "skorch", "torch"}


@dataclass(frozen=True)
class Rule:
    """What the modules of a package may import besides themselves and Python's own."""

    skmlp: frozenset[str] | set[str] = frozenset()
    packages: frozenset[str] | set[str] | None = frozenset()  # None: any but benchmarks
    public_only: bool = False
    # Single modules that a package may use too, private or not.
    internal: frozenset[str] | set[str] = frozenset()


PUBLIC = {
    "augmentation",
    "datasets",
    "inspection",
    "model_selection",
    "neural_network",
    "persistence",
    "preprocessing",
}

RULES = {
    "skmlp": Rule(skmlp=PUBLIC, public_only=True),
    "skmlp._sklearn_compat": Rule(packages={"sklearn"}),
    # atomic_files needs nothing but Python.
    "skmlp.datasets": Rule(packages=DATA, internal={"skmlp.storage.atomic_files"}),
    "skmlp.preprocessing": Rule(packages=DATA),
    "skmlp.augmentation": Rule(packages={"numpy", "sklearn", "torch"}),
    # threadpoolctl, by which scikit-learn sets the threads of BLAS.
    "skmlp.training": Rule(
        packages={"numpy", "scipy", "sklearn", "skorch", "threadpoolctl", "torch"}
    ),
    "skmlp.storage": Rule(packages=NUMERIC | {"safetensors", "torch"}),
    # A fit shows its progress.
    "skmlp.neural_network": Rule(
        skmlp={"augmentation", "storage", "training"}, packages=NETS | {"rich"}
    ),
    "skmlp.model_selection": Rule(
        skmlp={"neural_network", "storage", "training"}, packages=NETS
    ),
    "skmlp.inspection": Rule(
        skmlp={"neural_network"},
        packages=NETS | {"matplotlib", "rich"},
        public_only=True,
        internal={
            "skmlp.neural_network._layers",
            "skmlp.neural_network._pipelines",
            "skmlp.training.modules.introspection",
        },
    ),
    # A Pipeline is stored with its transformers, a network with its augmentation.
    "skmlp.persistence": Rule(
        skmlp={"augmentation", "neural_network", "preprocessing", "storage"},
        packages=NETS | {"onnx", "onnxscript"},
        public_only=True,
    ),
    "benchmarks": Rule(skmlp=PUBLIC, packages=None, public_only=True),
}


def find_modules() -> dict[str, Path]:
    """Return the path of every module of skmlp and benchmarks by its dotted name."""
    found = {}
    for package in ("skmlp", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = find_modules()


def package_of(module: str) -> str:
    """Return the package whose rule a module is under."""
    parts = module.split(".")
    return parts[0] if parts[0] == "benchmarks" else ".".join(parts[:2])


def references(source: str, module: str, *, is_package: bool) -> set[str]:
    """Return the absolute dotted names that a module imports or reaches through them.

    An import under ``if TYPE_CHECKING`` or inside a function counts as any other.
    """
    tree = ast.parse(source)
    here = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.add(alias.name)
                first = alias.name.split(".")[0]
                bound[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = origin if alias.name == "*" else f"{origin}.{alias.name}"
                found.add(name)
                bound[alias.asname or alias.name] = name
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func).rpartition(".")[2]
            target = node.args[0]
            if called in {"import_module", "__import__"} and isinstance(
                target, ast.Constant
            ):
                found.add(str(target.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name, *attributes = ast.unparse(node).split(".")
            if name in bound:
                found.add(".".join([bound[name], *attributes]))
    return found


def breaches(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return what a module refers to although its package may not."""
    package = package_of(module)
    rule = RULES[package]
    return sorted(
        name
        for name in references(source, module, is_package=is_package)
        if not _may_refer_to(name, package, rule)
    )


def _may_refer_to(name: str, package: str, rule: Rule) -> bool:
    """Tell whether the rule of a package lets it refer to a dotted name."""
    top, *rest = name.split(".")
    if top == "skmlp" and package != "skmlp" and f"{name}.".startswith(f"{package}."):
        return True
    if name.startswith("skmlp._sklearn_compat"):
        return package not in {"benchmarks", "skmlp"}
    if top == "skmlp":
        if not rest or rest[0].startswith("__"):
            return True
        if any(f"{name}.".startswith(f"{module}.") for module in rule.internal):
            return True
        private = any(p.startswith("_") and not p.startswith("__") for p in rest)
        return rest[0] in rule.skmlp and not (rule.public_only and private)
    if top == "benchmarks":
        return package == "benchmarks"
    known = rule.packages is None or top in rule.packages
    return known or top in sys.stdlib_module_names


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_the_direction(module):
    path = MODULES[module]
    package = package_of(module)
    assert package in RULES, f"{package} has no rule in this file's table; give it one."
    source = path.read_text(encoding="utf-8")
    is_package = path.name == "__init__.py"
    assert breaches(source, module, is_package=is_package) == []


def test_rules_only_point_downwards():
    def below(package: str) -> set[str]:
        rule = RULES[package]
        direct = {f"skmlp.{name}" for name in rule.skmlp}
        direct |= {package_of(module) for module in rule.internal}
        return direct.union(*(below(name) for name in direct))

    for package in RULES:
        assert package not in below(package)


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("skmlp.datasets._mnist", "import torch", "torch"),
        ("skmlp.datasets._mnist", "from torch.utils import data", "torch.utils.data"),
        ("skmlp.datasets._mnist", "def f():\n    import torch", "torch"),
        ("skmlp.datasets._mnist", "from ..training import net", "skmlp.training.net"),
        ("skmlp.datasets._mnist", "from .. import training", "skmlp.training"),
        ("skmlp.datasets._mnist", "import skmlp.training as t", "skmlp.training"),
        ("skmlp.datasets._mnist", "import skmlp\nskmlp.training", "skmlp.training"),
        (
            "skmlp.datasets._mnist",
            "from skmlp.storage import fingerprints",
            "skmlp.storage.fingerprints",
        ),
        ("skmlp.datasets._mnist", "import_module('torch')", "torch"),
        ("skmlp.datasets._mnist", "importlib.import_module('torch')", "torch"),
        ("skmlp.preprocessing._a", "import skmlp.datasets", "skmlp.datasets"),
        ("skmlp.augmentation._a", "import skorch", "skorch"),
        (
            "skmlp.training.net",
            "from skmlp.neural_network import MLPClassifier",
            "skmlp.neural_network.MLPClassifier",
        ),
        (
            "skmlp.neural_network._mlp",
            "from skmlp.model_selection import subsample",
            "skmlp.model_selection.subsample",
        ),
        (
            "skmlp.inspection._summary",
            "from skmlp.neural_network import _mlp",
            "skmlp.neural_network._mlp",
        ),
        ("skmlp.persistence._save", "import benchmarks._run", "benchmarks._run"),
        ("skmlp.training.net", "from benchmarks import x", "benchmarks.x"),
        ("benchmarks._run", "from skmlp import training", "skmlp.training"),
        (
            "benchmarks._run",
            "from skmlp.neural_network import _mlp as m",
            "skmlp.neural_network._mlp",
        ),
        (
            "benchmarks._run",
            "from skmlp import neural_network as n\nn._mlp.draw()",
            "skmlp.neural_network._mlp.draw",
        ),
        ("benchmarks.experiments.a", "import skmlp\nskmlp._x", "skmlp._x"),
        ("skmlp", "from .training import net", "skmlp.training.net"),
        ("skmlp", "import numpy", "numpy"),
    ],
)
def test_walker_sees_a_breach(module, source, breach):
    assert breach in breaches(source, module, is_package=module == "skmlp")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("skmlp.datasets._mnist", "import pooch, os.path\nfrom ._idx import read_idx"),
        ("skmlp.datasets._mnist", "from skmlp import __version__"),
        ("skmlp.datasets._mnist", "from skmlp.datasets._idx import read_idx"),
        ("skmlp.neural_network._mlp", "from ..training import _net\n_net._private()"),
        ("skmlp.neural_network._mlp", "torch = None\ntorch.x"),
        (
            "skmlp.inspection._summary",
            "from skmlp.neural_network._pipelines import split_pipeline",
        ),
        ("benchmarks._run", "import keras, skmlp\nskmlp.__version__"),
        (
            "benchmarks._run",
            "from skmlp.neural_network import MLPClassifier as M\nM.fit",
        ),
        ("benchmarks.experiments.a", "from .._tables import show"),
        ("skmlp", "from . import neural_network\nfrom .datasets import fetch_mnist"),
    ],
)
def test_walker_lets_the_rest_pass(module, source):
    assert breaches(source, module, is_package=module == "skmlp") == []


def test_a_package_without_a_rule_is_refused():
    assert package_of("skmlp.utils.helpers") not in RULES
    assert package_of("skmlp._helpers") not in RULES


@pytest.mark.parametrize("package", ["datasets", "preprocessing"])
def test_torch_is_not_loaded_by_what_does_not_need_it(package):
    # The parent is a stand-in: what skmlp/__init__.py loads is its own affair.
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
