"""pyright in its strict mode finds nothing unknown in a user's script."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("pyright", reason="pyright is not installed")

SCRIPT = """\
import numpy as np

from skmlp.augmentation import RandomHorizontalFlip
from skmlp.datasets import fetch_mnist
from skmlp.inspection import TrainingCurveDisplay, summary
from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate, subsample
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import load_model, save_model, to_onnx, to_torch
from skmlp.preprocessing import PixelScaler, PixelStandardizer

X = np.zeros((8, 4))
y = np.zeros(8)
n_units = np.int64(4)
model = MLPClassifier(
    (n_units, 5), max_iter=n_units, batch_size=n_units, random_state=n_units
)
model.fit(X, y)
labels = model.predict(X)
probabilities = model.predict_proba(X)
score = model.score(X, y)
losses = model.loss_curve_
weights = model.coefs_[0]
parameters = model.get_params()
regressor = MLPRegressor(hidden_layer_sizes=n_units, n_iter_no_change=n_units)
predicted = regressor.fit(X, y).predict(X)
convolutions = CNNClassifier((n_units,), kernel_size=n_units)
softmax = SoftmaxRegression(max_iter=n_units).fit(X, y)
ensemble = EnsembleClassifier(model, 3).fit(X, y)
search = PackedGridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=3).fit(X, y)
best = search.best_estimator_
best_score = search.best_score_
scores = packed_cross_validate(model, X, y)
scaled = PixelScaler().fit_transform(X)
standardized = PixelStandardizer().fit(X).transform(X)
fewer = subsample(X, train_size=0.5)
images = fetch_mnist(return_X_y=True)
flip = RandomHorizontalFlip()
display = TrainingCurveDisplay.from_estimator(model)
text = str(summary(model))
save_model(model, "model.safetensors")
loaded = load_model("model.safetensors")
to_onnx(model, "model.onnx")
network = to_torch(model)
"""


def test_strict_pyright_finds_nothing_unknown(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    settings = {
        "typeCheckingMode": "strict",
        "include": ["script.py"],
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
        # Names that a script of examples leaves unused.
        "reportUnusedVariable": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--pythonpath",
            sys.executable,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = SCRIPT.splitlines()
    texts = [
        f"{lines[one['range']['start']['line']]}: {one['message']}" for one in found
    ]
    assert texts == []
