"""A disk that fills up while a model is saved costs the new file, not the old one."""

import subprocess
import sys

import pytest

from skmlp.persistence import load_model, save_model
from skmlp.preprocessing import PixelScaler

# Mean, variance and scale of 2000 columns: 48 kB.
PROGRAM = """
import sys
import numpy as np
from skmlp.persistence import save_model
from skmlp.preprocessing import PixelStandardizer
limit, path = int(sys.argv[1]), sys.argv[2]
model = PixelStandardizer().fit(np.random.default_rng(0).normal(size=(5, 2000)))
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    save_model(model, path)
except OSError as error:
    print(error)
    sys.exit(3)
"""


def save_elsewhere(path, limit=0):
    command = [sys.executable, "-c", PROGRAM, str(limit), str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("limit", [1, 4096, 30_000])
def test_a_file_that_must_not_grow(limit, tmp_path):
    pytest.importorskip("resource", reason="only POSIX systems limit a file's size")
    path = tmp_path / "model"
    save_model(PixelScaler(pixel_max=7), path)
    done = save_elsewhere(path, limit)
    assert done.returncode == 3, done.stderr
    assert "File too large: the model of" in done.stdout
    assert load_model(path).pixel_max == 7
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "skmlp-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(small_disk):
    path = small_disk / "model"
    save_model(PixelScaler(pixel_max=7), path)
    done = save_elsewhere(path)
    assert done.returncode == 3, done.stderr
    assert "No space left on device: the model of" in done.stdout
    assert load_model(path).pixel_max == 7
    assert list(small_disk.iterdir()) == [path]
