"""A model file is loaded with other threads, locale, time zone and packages."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import save_model
from skmlp.preprocessing import PixelStandardizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"max_iter": 2, "random_state": 0, "device": "cpu"}
MODELS = {
    "softmax": SoftmaxRegression(**FEW),
    "mlp": MLPClassifier(10, **FEW),
    "regressor": MLPRegressor(hidden_layer_sizes=10, dtype="float64", **FEW),
    "cnn": make_pipeline(PixelStandardizer(), CNNClassifier(4, **FEW)),
    "ensemble": EnsembleClassifier(MLPClassifier(10, **FEW), 2, random_state=0),
}

PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())

import locale, time
from pathlib import Path
import numpy as np
import torch
from skmlp.persistence import load_model

locale.setlocale(locale.LC_ALL, "")
threads = int(sys.argv[1])
torch.set_num_threads(threads)
folder = Path(sys.argv[2])
X = np.load(folder / "X.npy")
for path in sorted(folder.glob("*.model")):
    model = load_model(path)
    method = getattr(model, "predict_proba", model.predict)
    np.save(path.with_suffix(".npy"), method(X))
assert torch.get_num_threads() == threads
assert not torch.cuda.is_available()
assert "matplotlib" not in sys.modules
print(time.tzname[0], locale.localeconv()["decimal_point"])
"""


def locale_with_a_comma():
    """Return a locale with a decimal comma if the system has one, otherwise C."""
    try:
        done = subprocess.run(["locale", "-a"], capture_output=True, text=True)
    except OSError:
        return "C"
    wanted = ("de_", "fr_", "es_", "it_", "nl_", "pl_")
    return next((n for n in done.stdout.split() if n.startswith(wanted)), "C")


def test_predictions_in_another_environment_are_equal_bits(tmp_path):
    X, y = load_digits(return_X_y=True)
    X = np.tile(X, (20, 1))  # enough for several chunks, and threads, of predictions
    np.save(tmp_path / "X.npy", X)
    expected = {}
    for name, model in MODELS.items():
        model.fit(X[:300], y[:300])
        expected[name] = getattr(model, "predict_proba", model.predict)(X)
        save_model(model, tmp_path / f"{name}.model")
    environment = {
        "LC_ALL": locale_with_a_comma(),
        "TZ": "Asia/Kathmandu",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "3", str(tmp_path)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name, predicted in expected.items():
        loaded = np.load(tmp_path / f"{name}.npy")
        assert loaded.dtype == predicted.dtype
        np.testing.assert_array_equal(loaded, predicted)
