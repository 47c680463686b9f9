"""The guide names every integration that is tested, with the version that CI installs.

These tests need no package of others.
"""

import importlib.util
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@pytest.fixture(scope="module")
def integrations():
    """The module that makes the table."""
    path = FOLDER / "integrations.py"
    spec = importlib.util.spec_from_file_location("integrations", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_at_least_thirty_packages_are_tried(integrations):
    packages = {package for package, _ in integrations.read_integrations()}
    assert len(packages) >= 30


def test_guide_holds_the_table_of_its_command(integrations):
    guide = (ROOT / "GUIDE.md").read_text(encoding="utf-8")
    assert "\n".join(integrations.make_table()) in guide


def test_every_package_is_pinned_and_in_the_extra(integrations):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extra = {
        integrations.normalize(text.split(">=")[0].split("[")[0])
        for text in project["project"]["optional-dependencies"]["ecosystem"]
    }
    versions = integrations.read_versions()
    for package, _ in integrations.read_integrations():
        name = integrations.normalize(package)
        assert name in versions, package
        assert name in extra, package
