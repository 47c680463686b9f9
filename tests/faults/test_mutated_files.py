"""Damaged and hostile files raise the documented error, or are read correctly.

A few hundred files are tried here. `python tests/faults/fuzz_files.py model 10000`
tries more.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUZZ = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fuzz_files.py"))))
SHARED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module", params=FUZZ.KINDS)
def fuzzed(request):
    return FUZZ.KINDS[request.param]()


@pytest.fixture(scope="module")
def tally(fuzzed):
    return FUZZ.Tally(fuzzed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_mutated_files_are_refused_or_read(tally, path):
    for number in range(300):
        tally.try_file(number, path)
    assert tally.failures == []
    assert tally.outcomes["refused"] > 100
    assert tally.outcomes["read"] > 0


edits = st.lists(
    st.tuples(st.integers(0, 2**17), st.binary(max_size=9), st.integers(0, 40)),
    min_size=1,
    max_size=4,
)


@SHARED
@given(seed=st.integers(0, 99), edits=edits)
def test_edited_files_are_refused_or_read(tally, path, seed, edits):
    """An edit replaces some bytes by others, whose number may differ."""
    tally.failures.clear()
    seed %= len(tally.fuzzed.seeds)
    content = tally.fuzzed.seeds[seed]
    for at, new, n_old in edits:
        at %= len(content) + 1
        content = content[:at] + new + content[at + n_old :]
    tally.judge("edited", path, FUZZ.File(content, seed))
    assert tally.failures == []


def test_files_without_mutation_are_read(tally, path):
    before = tally.outcomes["read"]
    for seed, content in enumerate(tally.fuzzed.seeds):
        tally.judge(f"seed {seed}", path, FUZZ.File(content, seed))
    assert tally.failures == []
    assert tally.outcomes["read"] == before + len(tally.fuzzed.seeds)


# Tests of the tally: if it missed faults, the tests above would always pass.


class FaultyReader:
    """Reads a file with a forbidden action."""

    error = ValueError

    def __init__(self, action):
        self.action = action

    def read(self, path, file):
        return self.action(path)

    def allowed_bytes(self, file):
        return FUZZ.FREE_BYTES


def write_other_file(path):
    path.with_name("other").write_bytes(b"")


def allocate(path):
    bytearray(2 * FUZZ.FREE_BYTES)


def refuse_without_a_name(path):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("action", "failure"),
    [
        (lambda path: exec("1"), "exec"),
        (write_other_file, "open"),
        (allocate, "it took"),
        (lambda path: 1 / 0, "ZeroDivisionError"),
        (lambda path: "it is wrong", "it is wrong"),
        (refuse_without_a_name, "does not name the file"),
    ],
)
def test_tally_reports_a_fault(action, failure, path):
    tally = FUZZ.Tally(FaultyReader(action))
    tally.judge("fault", path, FUZZ.File(b"", 0))
    assert failure in tally.failures[0]


def test_number_determines_the_mutated_file(fuzzed):
    def mutate(number):
        return fuzzed.mutate(np.random.default_rng(number))

    assert all(mutate(number) == mutate(number) for number in range(20))
