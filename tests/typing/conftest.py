"""mypy on a user's script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_mypy(tmp_path):
    """Return a function that checks a script and returns mypy's lines.

    The script sees skmlp as an installed package, whose own errors mypy does not show,
    and no configuration.
    """

    def run(script: str, *options: str) -> list[str]:
        path = tmp_path / "script.py"
        path.write_text(script, encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", "--config-file=", "--no-error-summary"),
                *("--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"),
                *options,
                path.name,
            ],
            cwd=tmp_path,
            env=os.environ | {"MYPYPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert done.returncode in (0, 1), done.stdout
        return done.stdout.splitlines()

    return run
