"""A type checker tells users the real types, and refuses misspelt names."""

import re

import pytest

SET_UP = """\
import numpy as np
from typing import reveal_type

import skmlp
from skmlp.augmentation import RandomHorizontalFlip
from skmlp.datasets import fetch_mnist, load_image_folder
from skmlp.inspection import TrainingCurveDisplay, summary
from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    PackedHalvingRandomSearchCV,
    PackedRandomizedSearchCV,
    TrainSizeSplit,
    packed_cross_validate,
    subsample,
)
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import to_torch
from skmlp.preprocessing import PixelScaler, PixelStandardizer

X = np.zeros((8, 4))
y = np.zeros(8)
mlp = MLPClassifier()
cnn = CNNClassifier()
softmax = SoftmaxRegression()
regressor = MLPRegressor()
ensemble = EnsembleClassifier(mlp, 3)
scaler = PixelScaler()
search = PackedGridSearchCV(mlp, {"alpha": [0.1, 1.0]})
"""

REVEALED = {
    "mlp.fit(X, y)": "MLPClassifier",
    "cnn.fit(X, y)": "CNNClassifier",
    "softmax.fit(X, y)": "SoftmaxRegression",
    "regressor.fit(X, y)": "MLPRegressor",
    "ensemble.fit(X, y)": "EnsembleClassifier",
    "mlp.partial_fit(X, y, [0, 1])": "MLPClassifier",
    "ensemble.partial_fit(X, y, [0, 1])": "EnsembleClassifier",
    "mlp.set_params(alpha=1.0)": "MLPClassifier",
    "mlp.set_fit_request(sample_weight=True)": "MLPClassifier",
    "mlp.get_params()": "dict[str, Any]",
    "mlp.predict(X)": "ndarray",
    "mlp.predict_proba(X)": "ndarray",
    "mlp.predict_log_proba(X)": "ndarray",
    "mlp.score(X, y)": "float",
    "regressor.predict(X)": "ndarray",
    "regressor.score(X, y)": "float",
    "ensemble.predict(X)": "ndarray",
    "ensemble.predict_proba(X)": "ndarray",
    "ensemble.score(X, y)": "float",
    "mlp.fit(X, y).classes_": "ndarray",
    "mlp.fit(X, y).coefs_": "list[ndarray]",
    "mlp.fit(X, y).loss_curve_": "list[float]",
    "mlp.fit(X, y).n_iter_": "int",
    "mlp.fit(X, y).best_epoch_": "int | None",
    "mlp.hidden_activations(X)": "ndarray",
    "mlp.alpha": "float | Sequence[float]",
    "search": "PackedGridSearchCV[MLPClassifier]",
    "search.fit(X, y)": "PackedGridSearchCV[MLPClassifier]",
    "search.best_estimator_": "MLPClassifier",
    "search.best_params_": "dict[str, Any]",
    "search.predict(X)": "ndarray",
    "search.predict_proba(X)": "ndarray",
    "search.score(X, y)": "float",
    "PackedRandomizedSearchCV(cnn, {}).fit(X, y).best_estimator_": "CNNClassifier",
    "PackedHalvingGridSearchCV(cnn, {}).fit(X, y).best_estimator_": "CNNClassifier",
    "PackedHalvingRandomSearchCV(cnn, {}).fit(X, y).best_estimator_": "CNNClassifier",
    "packed_cross_validate(mlp, X, y)": "dict[str, Any]",
    "subsample(X, train_size=0.5)": "ndarray",
    "subsample(X, y, train_size=0.5)": "tuple[ndarray, ndarray]",
    "subsample(X, train_size=0.5, return_indices=True)": "tuple[ndarray, ndarray]",
    "TrainSizeSplit([0.5]).get_n_splits()": "int",
    "load_image_folder('folder')": "Bunch",
    "load_image_folder('folder', return_X_y=True)": "tuple[ndarray, ndarray | None]",
    "fetch_mnist()": "Bunch",
    "fetch_mnist(return_X_y=True)": "tuple[ndarray, ndarray]",
    "skmlp.datasets.fetch_mnist()": "Bunch",
    "scaler.fit(X)": "PixelScaler",
    "scaler.fit(X).transform(X)": "ndarray",
    "scaler.fit_transform(X)": "ndarray",
    "scaler.set_output(transform='pandas')": "PixelScaler",
    "PixelStandardizer().fit(X).inverse_transform(X)": "ndarray",
    "summary(mlp)": "Summary",
    "TrainingCurveDisplay.from_estimator(mlp)": "TrainingCurveDisplay",
    "RandomHorizontalFlip().get_params()": "dict[str, Any]",
    "to_torch(mlp)": "Module",
    "skmlp.__version__": "str",
}

REFUSED = {
    "mlp.fitt(X, y)": "attr-defined",
    "cnn.predict_prob(X)": "attr-defined",
    "regressor.predict_proba(X)": "attr-defined",
    "ensemble.fitt(X, y)": "attr-defined",
    "scaler.transfrm(X)": "attr-defined",
    "search.fitt(X, y)": "attr-defined",
    "search.best_estimator": "attr-defined",
    "search.best_estimator_.fitt(X, y)": "attr-defined",
    "mlp.fit(X, y).losses_": "attr-defined",
    "skmlp.dataset": "attr-defined",
    "skmlp.model_selection.PackedGridSearch": "attr-defined",
    "MLPClassifier(max_itr=3)": "call-arg",
    "mlp.fit(X, targets=y)": "call-arg",
    "PackedGridSearchCV(mlp, {}, folds=3)": "call-arg",
    "fetch_mnist(part='test')": "call-overload",
    "load_image_folder()": "call-overload",
    "subsample(X)": "call-overload",
    "MLPClassifier(max_iter='many')": "arg-type",
}


def simplify(revealed: str) -> str:
    """Return a revealed type without module names and without an array's dtype."""
    text = re.sub(r"\b(?:\w+\.)+(?=\w)", "", revealed)
    start = text.find("ndarray[")
    while start >= 0:
        end, depth = start + len("ndarray"), 0
        while end == start + len("ndarray") or depth:
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            end += 1
        text = text[:start] + "ndarray" + text[end:]
        start = text.find("ndarray[", start + 1)
    return text


@pytest.mark.parametrize("options", [(), ("--strict",)], ids=["plain", "strict"])
def test_user_script_has_real_types_and_refuses_misspelt_names(options, run_mypy):
    reveals = [f"reveal_type({expression})" for expression in REVEALED]
    script = SET_UP + "\n".join([*reveals, *REFUSED]) + "\n"
    expressions = dict(enumerate(script.splitlines(), start=1))
    revealed, refused = {}, {}
    for line in run_mypy(script, *options):
        number, text = re.fullmatch(r"script\.py:(\d+): (.*)", line).groups()
        expression = expressions[int(number)]
        if (note := re.match(r'note: Revealed type is "(.*)"', text)) is not None:
            revealed[expression[len("reveal_type(") : -1]] = simplify(note[1])
        elif (error := re.match(r"error: .* \[([\w-]+)\]", text)) is not None:
            refused[expression] = error[1]
    assert revealed == REVEALED
    assert refused == REFUSED
