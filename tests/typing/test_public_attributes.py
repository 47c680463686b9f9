"""A type checker knows every public attribute that exists at run time."""

import inspect
import re
from importlib import import_module

import pytest

PACKAGES = (
    "augmentation",
    "inspection",
    "model_selection",
    "neural_network",
    "preprocessing",
)
CLASSES = [
    (package, name)
    for package in PACKAGES
    for name in import_module(f"skmlp.{package}").__all__
    if inspect.isclass(getattr(import_module(f"skmlp.{package}"), name))
]


def public_attributes(cls: type) -> list[str]:
    """Return names of methods, parameters and documented attributes."""
    names = {name for name in dir(cls) if not name.startswith("_")}
    names.update(inspect.signature(cls).parameters)
    doc = inspect.cleandoc(cls.__doc__ or "")
    section = re.search(
        r"^Attributes\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", doc, re.S | re.M
    )
    if section:
        for line in re.findall(r"^(\w[\w, ]*) : ", section[1], re.M):
            names.update(name.strip() for name in line.split(","))
    return sorted(names)


def test_type_checker_knows_every_public_attribute(run_mypy):
    lines = ["import skmlp"]
    for number, (package, name) in enumerate(CLASSES):
        cls = getattr(import_module(f"skmlp.{package}"), name)
        lines.append(f"def use_{number}(value: skmlp.{package}.{name}) -> None:")
        lines.extend(f"    value.{attribute}" for attribute in public_attributes(cls))
    assert run_mypy("\n".join(lines) + "\n") == []


@pytest.mark.parametrize(("package", "name"), CLASSES)
def test_public_methods_have_types(package, name):
    cls = getattr(import_module(f"skmlp.{package}"), name)
    untyped = []
    for attribute, method in inspect.getmembers(cls, inspect.isfunction):
        if attribute.startswith("_") and attribute != "__init__":
            continue
        if not method.__module__.startswith("skmlp."):
            continue
        signature = inspect.signature(method)
        parameters = list(signature.parameters.values())[1:]
        if signature.return_annotation is signature.empty or any(
            parameter.annotation is parameter.empty for parameter in parameters
        ):
            untyped.append(attribute)
    assert untyped == []
