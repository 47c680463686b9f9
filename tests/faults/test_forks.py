"""A forked process computes, whatever its parent did with torch before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("forks.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_every_method_ends_in_forked_process():
    # A process of its own: pytest does not fork, and has no threads that could be lost.
    command = [sys.executable, "-W", "ignore", str(SCRIPT)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.endswith(" forks, 0 faults\n")
