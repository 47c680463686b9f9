"""If the disk fills up while a file is written, the old file stays unchanged."""

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


def save_in_subprocess(path, limit=0):
    command = [sys.executable, "-c", PROGRAM, str(limit), str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("limit", [1, 4096, 30_000])
def test_model_beyond_the_file_size_limit_keeps_the_old_file(limit, tmp_path):
    pytest.importorskip("resource", reason="only POSIX systems limit a file's size")
    path = tmp_path / "model"
    save_model(PixelScaler(pixel_max=7), path)
    process = save_in_subprocess(path, limit)
    assert process.returncode == 3, process.stderr
    assert "File too large: the model of" in process.stdout
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


def test_model_on_a_full_disk_keeps_the_old_file(small_disk):
    path = small_disk / "model"
    save_model(PixelScaler(pixel_max=7), path)
    process = save_in_subprocess(path)
    assert process.returncode == 3, process.stderr
    assert "No space left on device: the model of" in process.stdout
    assert load_model(path).pixel_max == 7
    assert list(small_disk.iterdir()) == [path]


# A fit of 100 hidden units, which a full disk stops. It is resumed with more space.
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


def fit_in_subprocess(path, limit=0):
    command = [sys.executable, "-c", FIT, str(limit), str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def check_fit_is_stopped_and_resumed(path, error, limit=0, enlarge=lambda: None):
    """Check a fit whose first checkpoint fits on the disk, but not the second."""
    stopped = fit_in_subprocess(path, limit)
    assert stopped.returncode == 3, stopped.stderr
    assert f"{error}: the checkpoint of " in stopped.stdout
    assert "what was there before is untouched" in stopped.stdout
    assert list(path.parent.iterdir()) == [path]
    before = read_checkpoint(path)["stages"]["fit"]
    assert before["state"] is None
    enlarge()
    resumed = fit_in_subprocess(path)
    assert resumed.returncode == 0, resumed.stderr
    assert read_checkpoint(path)["stages"]["fit"]["state"]["epochs"] == 2


def test_fit_beyond_the_file_size_limit_is_resumed(tmp_path):
    pytest.importorskip("resource", reason="only POSIX systems limit a file's size")
    check_fit_is_stopped_and_resumed(tmp_path / "fit", "File too large", 30_000)


def test_fit_on_a_full_disk_is_resumed(small_disk):
    def enlarge():
        command = ["mount", "-o", "remount,size=4m", str(small_disk)]
        subprocess.run(command, check=True, capture_output=True)

    check_fit_is_stopped_and_resumed(
        small_disk / "fit", "No space left on device", enlarge=enlarge
    )
