"""Every warning of the package points to the line of the user."""

import ast
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

import skmlp
from skmlp.datasets import load_image_folder
from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    EnsembleRegressor,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

X = np.random.RandomState(0).normal(size=(40, 3))
Y = np.arange(40) % 2
FEW = {"max_iter": 2, "random_state": 0}
MLP = MLPClassifier(4, **FEW)
GRID = {"alpha": [0.1, 1.0]}


class Interrupting(Callback):
    """Raises KeyboardInterrupt after the first epoch begins."""

    def on_epoch_begin(self, net, **kwargs):
        if net.epochs_:
            raise KeyboardInterrupt


def fit_with_checkpoint_of_another_callback(tmp_path):
    class Stateless(Callback):
        pass

    model = MLPClassifier(4, **FEW, checkpoint=tmp_path / "fit")
    model.set_params(callbacks=[Interrupting()]).fit(X, Y)
    model.set_params(callbacks=[Stateless()]).fit(X, Y)


def load_broken_image(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "a" / "1.png")
    Image.new("L", (4, 4)).save(tmp_path / "b" / "1.png")
    (tmp_path / "b" / "2.png").write_bytes(b"broken")
    load_image_folder(tmp_path, on_error="warn")


def call_partial_fit_past_a_planned_end():
    model = MLPClassifier(4, learning_rate="cosine", max_iter=1, random_state=0)
    for _ in range(3):
        model.partial_fit(X, Y, classes=[0, 1])


def diverge():
    model = MLPRegressor(
        activation="identity",
        solver="sgd",
        learning_rate_init=1,
        max_iter=20,
        early_stopping=True,
        random_state=0,
    )
    model.fit(5 * X, X[:, 0])


CASES = {
    "unconverged": lambda: MLP.fit(X, Y),
    "unconverged CNN": lambda: CNNClassifier(2, image_shape=(1, 3), **FEW).fit(X, Y),
    "unconverged softmax": lambda: SoftmaxRegression(**FEW).fit(X, Y),
    "lbfgs": lambda: MLPClassifier(4, solver="lbfgs", max_iter=2).fit(X, Y),
    "column": lambda: MLP.fit(X, Y[:, None]),
    "column of numbers": lambda: MLPRegressor(**FEW).fit(X, X[:, :1]),
    "column in partial_fit": lambda: MLPRegressor(**FEW).partial_fit(X, X[:, :1]),
    "column for an ensemble": lambda: EnsembleClassifier(MLP, 2).fit(X, Y[:, None]),
    "ensemble in turn": lambda: EnsembleClassifier(MLP, 2, n_jobs=1).fit(X, Y),
    "column for a mean": lambda: EnsembleRegressor(MLPRegressor(**FEW), 2).fit(
        X, X[:, :1]
    ),
    "unconverged autoencoder": lambda: MLPAutoencoder(2, 4, **FEW).fit(X),
    "large batch": lambda: MLPClassifier(4, batch_size=99, **FEW).fit(X, Y),
    "divergence": diverge,
    "end of the schedule": call_partial_fit_past_a_planned_end,
    "pipeline": lambda: make_pipeline(StandardScaler(), MLP).fit(X, Y),
    "search": lambda: GridSearchCV(MLP, GRID, cv=2).fit(X, Y),
    "packed search": lambda: PackedGridSearchCV(MLP, GRID, cv=2).fit(X, Y),
    "packed cross-validation": lambda: packed_cross_validate(MLP, X, Y, cv=2),
    "cross-validation": lambda: cross_val_score(MLP, X, Y, cv=2),
    "interrupt": lambda: MLPClassifier(4, callbacks=[Interrupting()], **FEW).fit(X, Y),
    "checkpoint": fit_with_checkpoint_of_another_callback,
    "unreadable image": load_broken_image,
}


@pytest.mark.parametrize("case", CASES)
def test_warnings_point_to_the_users_line(case, tmp_path):
    function = CASES[case]
    arguments = (tmp_path,) if function.__code__.co_argcount else ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("case", "category"),
    [
        ("lbfgs", ConvergenceWarning),
        ("unconverged", ConvergenceWarning),
        ("column", DataConversionWarning),
    ],
)
def test_warnings_have_sklearns_classes(case, category):
    with (
        pytest.warns(category),
        warnings.catch_warnings(action="ignore", category=UserWarning),
        warnings.catch_warnings(action="always", category=category),
    ):
        CASES[case]()


def test_modules_warn_by_the_common_function_only():
    package = Path(skmlp.__file__).parent
    for path in package.rglob("*.py"):
        calls = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute)
            and node.attr == "warn"
            and isinstance(node.value, ast.Name)
            and node.value.id == "warnings"
        ]
        assert not calls or path.name == "_warnings.py", path
