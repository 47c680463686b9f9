"""Write small pickles of fitted estimators, for tests of later versions.

    python tests/persistence/data/write_pickles.py NAME

writes ``pickles/NAME-ESTIMATOR.pkl.xz`` next to this file, with the version of skmlp
that Python imports. Each file holds a dict:

- ``model``: the fitted estimator.
- ``X``, ``y``: data to predict and to train further.
- ``coefs``: lists of the weights and biases, for an ensemble of its first member.
- ``predictions``: of the fitted estimator.
- ``continued``: predictions after one further `partial_fit`, or None.

The files "modules-..." were written when `skmlp.training.modules` was a module (commit
185d567), and "views-..." by the last version that pickled torch objects.
"""

import lzma
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

FEW = {"max_iter": 2, "random_state": 0, "device": "cpu"}
MODELS = {
    "softmax": SoftmaxRegression(early_stopping=True, **FEW),
    "mlp": MLPClassifier(2, **FEW),
    "partial": MLPClassifier(2, solver="sgd", **FEW),
    "norm": MLPClassifier(
        2, activation="prelu", batch_norm=True, dropout=0.2, warm_start=True, **FEW
    ),
    "lbfgs": MLPClassifier(2, solver="lbfgs", loss="hinge", **FEW),
    "regressor": MLPRegressor("huber", 2, **FEW),
    "cnn": CNNClassifier(
        2, block="residual", head="global_average", image_shape=(4, 2), **FEW
    ),
    "dense_cnn": CNNClassifier(2, hidden_layer_sizes=2, image_shape=(4, 2), **FEW),
    "ensemble": EnsembleClassifier(MLPClassifier(2, **FEW), 2, random_state=0),
}


def predict(model, X):
    """Return probabilities, or what `predict` returns."""
    if getattr(model, "loss", "") in ("hinge", "huber"):
        return model.predict(X)
    return model.predict_proba(X)


def main(name):
    """Write the files."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X, y = (X[:30, 20:28] / 16).astype(np.float32), y[:30] % 3
    for kind, model in MODELS.items():
        target = y * 1.0 if kind == "regressor" else y
        if kind == "partial":
            model.partial_fit(X, target, classes=np.arange(3))
        else:
            model.fit(X, target)
        first = model.estimators_[0] if kind == "ensemble" else model
        content = {
            "coefs": [w.copy() for w in (*first.coefs_, *first.intercepts_)],
            "predictions": predict(model, X),
            "continued": None,
            "X": X,
            "y": target,
        }
        pickled = pickle.dumps(model)
        if kind not in ("softmax", "lbfgs", "ensemble"):
            content["continued"] = predict(model.partial_fit(X, target), X)
        content["model"] = pickle.loads(pickled)
        path = Path(__file__).parent / "pickles" / f"{name}-{kind}.pkl.xz"
        path.write_bytes(lzma.compress(pickle.dumps(content)))


if __name__ == "__main__":
    main(sys.argv[1])
