"""Kill a few processes; `python tests/faults/kill_fit.py fit 50` kills more of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("kill_fit.py")


@pytest.mark.skipif(sys.platform == "win32", reason="a fork and SIGKILL need POSIX")
@pytest.mark.parametrize("job", ["fit", "search"])
def test_killed_process_is_resumed(job):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), job, "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(rf"{job}: killed [23] times, ", done.stdout)
    assert "; 0 unreadable checkpoints; 0 results that differ" in done.stdout
