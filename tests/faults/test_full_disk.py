"""A disk that fills up while a file is written costs the new file, not the old one."""

import subprocess
import sys

import pytest

from skmlp.persistence import load_model, save_model
from skmlp.preprocessing import PixelScaler
from skmlp.storage.checkpoint import read_checkpoint

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


# A network of 100 units, killed by the disk and let go on where there is room.
FIT = """
import sys, warnings
from sklearn.datasets import load_digits
from skmlp.neural_network import MLPClassifier
limit, path = int(sys.argv[1]), sys.argv[2]
X, y = load_digits(return_X_y=True)
model = MLPClassifier(max_iter=2, random_state=0, checkpoint=path)
warnings.simplefilter("ignore")
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    model.fit(X / 16, y)
except OSError as error:
    print(error)
    sys.exit(3)
print(model.loss_curve_)
"""


def fit_elsewhere(path, limit=0):
    command = [sys.executable, "-c", FIT, str(limit), str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def check_fit_is_stopped_and_gone_on_with(path, error, limit=0, enlarge=lambda: None):
    """The first file, of a fit that has only begun, is small enough."""
    stopped = fit_elsewhere(path, limit)
    assert stopped.returncode == 3, stopped.stderr
    assert f"{error}: the checkpoint of " in stopped.stdout
    assert "what was there before is untouched" in stopped.stdout
    assert list(path.parent.iterdir()) == [path]
    before = read_checkpoint(path)["stages"]["fit"]
    assert before["state"] is None
    enlarge()
    resumed = fit_elsewhere(path)
    assert resumed.returncode == 0, resumed.stderr
    assert read_checkpoint(path)["stages"]["fit"]["state"]["epochs"] == 2


def test_a_checkpoint_that_must_not_grow(tmp_path):
    pytest.importorskip("resource", reason="only POSIX systems limit a file's size")
    check_fit_is_stopped_and_gone_on_with(tmp_path / "fit", "File too large", 30_000)


def test_a_checkpoint_on_a_full_disk(small_disk):
    def enlarge():
        command = ["mount", "-o", "remount,size=4m", str(small_disk)]
        subprocess.run(command, check=True, capture_output=True)

    check_fit_is_stopped_and_gone_on_with(
        small_disk / "fit", "No space left on device", enlarge=enlarge
    )
