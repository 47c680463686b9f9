"""Small runs of the scripts that compare random fits and searches with scikit-learn."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("script", "cases"), [("twin_fuzz.py", 60), ("search_fuzz.py", 12)]
)
def test_random_cases_equal_sklearn(script, cases):
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name(script), str(cases)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases} cases, 0 unexplained differences" in done.stdout
