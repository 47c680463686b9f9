"""Print a hash of the results of twenty fits: ``python tests/exactness/fit_hashes.py``.

The script uses public names only. Run it before and after a change of the code on the
same machine. Equal lines show that the results are equal to the bit. Hashes differ
between machines, because their BLAS libraries round differently.
"""

import hashlib
import warnings

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from skmlp.augmentation import Compose, GaussianNoise, RandomAffine
from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler, PixelStandardizer

DIGITS, DIGIT_LABELS = load_digits(return_X_y=True)
DIGITS32 = (DIGITS / 16).astype(np.float32)
CANCER, CANCER_LABELS = load_breast_cancer(return_X_y=True)
CANCER = (CANCER - CANCER.mean(0)) / CANCER.std(0)
DIABETES, PROGRESSION = load_diabetes(return_X_y=True)
SEED = {"random_state": 0}


def _weights(model):
    """Return the weights, biases and loss curve of a fitted network."""
    return [*model.coefs_, *model.intercepts_, getattr(model, "loss_curve_", [])]


def _digits(model, **fit_params):
    return _weights(model.fit(DIGITS32[:1000], DIGIT_LABELS[:1000], **fit_params))


def _search(search):
    search.fit(DIGITS32[:600], DIGIT_LABELS[:600])
    results = search.cv_results_
    return [results["mean_test_score"], *_weights(search.best_estimator_)]


def _warm_start():
    model = MLPClassifier((20,), max_iter=4, warm_start=True, **SEED)
    model.fit(DIGITS32, DIGIT_LABELS)
    return _digits(model.set_params(learning_rate_init=0.01))


def _partial_fit():
    model = MLPClassifier((20,), dropout=0.3, **SEED)
    for start in range(0, 900, 300):
        batch = slice(start, start + 300)
        model.partial_fit(DIGITS32[batch], DIGIT_LABELS[batch], classes=range(10))
    return _weights(model)


def _ensemble():
    model = EnsembleClassifier(MLPClassifier((16,), max_iter=5), n_estimators=4, **SEED)
    return [model.fit(DIGITS32, DIGIT_LABELS).predict_proba(DIGITS32)]


def _pipeline():
    model = make_pipeline(
        PixelStandardizer(), PixelScaler(), MLPClassifier((30,), max_iter=5, **SEED)
    )
    return _weights(model.fit(DIGITS, DIGIT_LABELS)[-1])


AUGMENTATION = Compose([RandomAffine(degrees=10), GaussianNoise(0.05)])
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
MLP = MLPClassifier((20,), max_iter=6, batch_size=50, **SEED)

FITS = {
    "softmax": lambda: _digits(SoftmaxRegression(max_iter=8, **SEED)),
    "mlp float32": lambda: _digits(MLPClassifier((50,), max_iter=6, **SEED)),
    "mlp float64, early stopping": lambda: _weights(
        MLPClassifier((40, 20), max_iter=30, early_stopping=True, **SEED).fit(
            CANCER, CANCER_LABELS
        )
    ),
    "mlp sgd adaptive": lambda: _digits(
        MLPClassifier(
            (30,), solver="sgd", learning_rate="adaptive", max_iter=10, **SEED
        )
    ),
    "mlp nadam, onecycle": lambda: _digits(
        MLPClassifier(
            (30,), solver="nadam", learning_rate="onecycle", max_iter=5, **SEED
        )
    ),
    "mlp adamw, batch norm, dropout": lambda: _digits(
        MLPClassifier(
            (30, 30), solver="adamw", batch_norm=True, dropout=0.2, max_iter=5, **SEED
        )
    ),
    "mlp lbfgs": lambda: _digits(
        MLPClassifier((30,), solver="lbfgs", max_iter=30, **SEED)
    ),
    "mlp wide, class weights": lambda: _digits(
        MLPClassifier((600,), class_weight="balanced", max_iter=2, **SEED)
    ),
    "mlp sample weights, refit": lambda: _digits(
        MLPClassifier((20,), early_stopping=True, refit_full=True, max_iter=20, **SEED),
        sample_weight=np.linspace(0.5, 2, 1000),
    ),
    "mlp weight averaging, X_val": lambda: _digits(
        MLPClassifier((20,), weight_averaging=0.99, max_iter=6, **SEED),
        X_val=DIGITS32[1000:],
        y_val=DIGIT_LABELS[1000:],
    ),
    "mlp warm start": _warm_start,
    "mlp partial_fit": _partial_fit,
    "cnn": lambda: _digits(CNNClassifier((8, 16), max_iter=2, **SEED)),
    "cnn batch norm, residual, augmented": lambda: _digits(
        CNNClassifier(
            (8, 8),
            batch_norm=True,
            block="residual",
            augmentation=AUGMENTATION,
            max_iter=2,
            **SEED,
        )
    ),
    "regressor": lambda: _weights(
        MLPRegressor(hidden_layer_sizes=(30,), max_iter=20, **SEED).fit(
            DIABETES, PROGRESSION
        )
    ),
    "ensemble": _ensemble,
    "pipeline": _pipeline,
    "packed grid search": lambda: _search(PackedGridSearchCV(MLP, GRID, cv=3)),
    "packed halving search": lambda: _search(
        PackedHalvingGridSearchCV(MLP, GRID, cv=3, random_state=0)
    ),
    "packed cross-validation": lambda: [
        packed_cross_validate(MLP, DIGITS32, DIGIT_LABELS, cv=4)["test_score"]
    ],
}


def main():
    """Print one line for each fit."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, fit in FITS.items():
        digest = hashlib.sha256()
        for array in fit():
            digest.update(np.ascontiguousarray(array).tobytes())
        print(digest.hexdigest()[:16], name)


if __name__ == "__main__":
    main()
