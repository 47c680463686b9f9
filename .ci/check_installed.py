"""Fit, predict, save and load with the installed skmlp, as a new user would."""

import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmlp
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier
from skmlp.persistence import load_model, save_model

assert "site-packages" in skmlp.__file__, skmlp.__file__
X, y = load_iris(return_X_y=True)
network = MLPClassifier((20,), solver="lbfgs", random_state=0)
model = make_pipeline(StandardScaler(), network)
accuracy = cross_val_score(model, X, y, cv=3).mean()
assert accuracy > 0.9, accuracy
network.set_params(solver="adam", learning_rate_init=0.01, n_iter_no_change=50)
search = PackedGridSearchCV(network, {"alpha": [0.001, 0.1]}, cv=3).fit(X, y)
assert search.best_score_ > 0.9, search.best_score_
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "model.skmlp")
    save_model(model.fit(X, y), path)
    assert (load_model(path).predict(X) == model.predict(X)).all()
version = ".".join(map(str, sys.version_info[:2]))
print(f"skmlp {skmlp.__version__} works on Python {version}.")
