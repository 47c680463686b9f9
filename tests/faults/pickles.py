"""Compare the sizes of pickles and copies with the sizes of the weights.

    python tests/faults/pickles.py

prints a row for each fitted estimator: the megabytes of its weights, its pickle and its
joblib file, their ratio, and the seconds of a deep copy. The script ends with status 1
if a pickle holds more than 1.1 times the weights plus 40 kB, or if predictions change
on the way.
"""

import argparse
import copy
import io
import pickle
import sys
import time
import warnings
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

MOST_TIMES, SPARE_BYTES = 1.1, 40_000
SHARED: dict[str, Any] = {"max_iter": 1, "random_state": 0}

RNG = np.random.RandomState(0)
X = RNG.rand(300, 784).astype(np.float32)
Y = np.arange(300) % 10

MODELS = {
    "softmax": SoftmaxRegression(**SHARED),
    "MLP 1000": MLPClassifier((1000,), **SHARED),
    "MLP 1000, early stopping": MLPClassifier((1000,), early_stopping=True, **SHARED),
    "MLP 20 x 256": MLPClassifier((256,) * 20, batch_norm=True, **SHARED),
    "MLP 200, warm start": MLPClassifier((200,), warm_start=True, **SHARED),
    "MLP 200, partial_fit": MLPClassifier((200,), random_state=0),
    "MLP 200, lbfgs": MLPClassifier((200,), solver="lbfgs", **SHARED),
    "CNN 16-32": CNNClassifier((16, 32), **SHARED),
    "regressor 500": MLPRegressor(hidden_layer_sizes=(500,), **SHARED),
    "pipeline 1000": make_pipeline(StandardScaler(), MLPClassifier((1000,), **SHARED)),
    "ensemble of 200": EnsembleClassifier(
        MLPClassifier((2,), max_iter=1), n_estimators=200, random_state=0
    ),
    "ensemble of 5, 10 x 256": EnsembleClassifier(
        MLPClassifier((256,) * 10, max_iter=1), n_estimators=5, random_state=0
    ),
}


def weights_of(model: Any) -> int:
    """Return the bytes of all weights, biases and running statistics.

    The two moments of Adam count where a pickle has to hold them.
    """
    if hasattr(model, "steps"):
        steps = sum(
            array.nbytes
            for _, step in model.steps[:-1]
            for array in vars(step).values()
            if isinstance(array, np.ndarray)
        )
        return weights_of(model[-1]) + steps
    if hasattr(model, "estimators_"):
        return sum(weights_of(member) for member in model.estimators_)
    state = model.net_.module_.state_dict().values()
    moments = 0
    if model.warm_start or model.net_.incremental_:  # training continues from them
        moments = 2 * sum(p.nbytes for p in model.net_.module_.parameters())
    return sum(tensor.nbytes for tensor in state) + moments


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names that begin so")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(
        f"{'estimator':26}{'weights':>9}{'pickle':>9}{'joblib':>9}{'ratio':>7}  copy s"
    )
    failed = 0
    for name, model in MODELS.items():
        if args.only and not name.startswith(args.only):
            continue
        target = Y.astype(float) if "regressor" in name else Y
        fit = model.partial_fit if "partial_fit" in name else model.fit
        fit(X, target, **({"classes": np.arange(10)} if "partial_fit" in name else {}))
        expected = model.predict(X)
        content, file = pickle.dumps(model), io.BytesIO()
        joblib.dump(model, file)
        start = time.perf_counter()
        copied = copy.deepcopy(model)
        seconds = time.perf_counter() - start
        sizes = len(content), len(file.getvalue())
        weights = weights_of(model)
        ratio = (max(sizes) - SPARE_BYTES) / weights
        again = pickle.dumps(copied), pickle.dumps(pickle.loads(content))
        loaded = [copied, pickle.loads(content), joblib.load(file)]
        same = all(np.array_equal(each.predict(X), expected) for each in loaded)
        bad = ratio > MOST_TIMES or not same
        bad |= any(len(other) > MOST_TIMES * weights + SPARE_BYTES for other in again)
        failed += bad
        print(
            f"{name:26}{weights / 1e6:9.3f}{sizes[0] / 1e6:9.3f}{sizes[1] / 1e6:9.3f}"
            f"{max(ratio, 0):7.2f}{seconds:8.3f}{'  FAILED' if bad else ''}"
        )
    print(f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
