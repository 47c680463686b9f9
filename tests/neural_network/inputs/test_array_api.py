"""Tensors of torch go in and come out under scikit-learn's array API dispatch.

scikit-learn needs the variable SCIPY_ARRAY_API before SciPy is imported. So each test
runs a script in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import scipy
from packaging.version import Version

pytestmark = pytest.mark.skipif(
    Version(scipy.__version__) < Version("1.14"),
    reason="scikit-learn's array API dispatch needs SciPy 1.14",
)

ROOT = Path(__file__).parents[3]
SET_UP = """\
import warnings

import numpy as np
import torch
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import MLPClassifier, MLPRegressor
from skmlp.preprocessing import PixelScaler, PixelStandardizer

warnings.simplefilter("ignore")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
X, y = load_iris(return_X_y=True)
TX, TY = torch.tensor(X, device=DEVICE), torch.tensor(y, device=DEVICE)
FEW = {"max_iter": 5, "random_state": 0, "device": DEVICE}


def assert_tensor(values, expected):
    assert isinstance(values, torch.Tensor), type(values)
    assert values.device == TX.device
    np.testing.assert_allclose(values.cpu().numpy(), expected, rtol=1e-9)
"""


@pytest.fixture
def run():
    """Function that runs a script after the set-up."""

    def run(script):
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {
            "SCIPY_ARRAY_API": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        done = subprocess.run(
            [sys.executable, "-c", SET_UP + script],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run


def test_estimators_and_transformers_return_tensors_on_the_device_of_X(run):
    run(
        """
classifier = MLPClassifier(5, **FEW).fit(X, y)
regressor = MLPRegressor(hidden_layer_sizes=5, **FEW).fit(X, y)
scaler, standardizer = PixelScaler().fit(X), PixelStandardizer().fit(X)
with config_context(array_api_dispatch=True):
    of_tensors = MLPClassifier(5, **FEW).fit(TX, TY)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        expected = getattr(classifier, method)(X)
        assert isinstance(expected, np.ndarray)
        assert_tensor(getattr(of_tensors, method)(TX), expected)
    assert of_tensors.score(TX, TY) == classifier.score(X, y)
    of_tensors.partial_fit(TX, TY)
    other = MLPRegressor(hidden_layer_sizes=5, **FEW).fit(TX, TY * 1.0)
    assert_tensor(other.predict(TX), regressor.predict(X))
    weights = torch.ones(150, device=DEVICE)
    MLPClassifier(5, **FEW).fit(TX, TY, weights)
    assert_tensor(scaler.transform(TX), scaler.transform(X))
    assert_tensor(standardizer.fit(TX).transform(TX), standardizer.transform(X))
"""
    )


def test_pipelines_and_scores_take_tensors(run):
    run(
        """
model = make_pipeline(StandardScaler(), MLPClassifier(5, **FEW))
expected = cross_val_score(model, X, y, cv=3)
with config_context(array_api_dispatch=True):
    scores = cross_val_score(model, TX, TY, cv=3)
np.testing.assert_allclose(scores, expected)
"""
    )


def test_tensors_on_the_cpu_are_not_copied_and_strings_stay_in_numpy(run):
    run(
        """
from skmlp._sklearn_compat import to_numpy

tensor = torch.tensor(X)
assert to_numpy(tensor).ctypes.data == tensor.data_ptr()
words = np.array(list("abc"))[y]
model = MLPClassifier(5, **FEW).fit(X, words)
without_dispatch = model.predict_proba(TX)
assert isinstance(without_dispatch, np.ndarray)
with config_context(array_api_dispatch=True):
    assert isinstance(model.predict(TX), np.ndarray)
    assert isinstance(model.predict_proba(X), np.ndarray)
"""
    )
