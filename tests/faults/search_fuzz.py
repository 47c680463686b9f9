"""Run random searches packed and one by one, and compare every score.

    python tests/faults/search_fuzz.py 500

draws that many cases with fixed seeds: an estimator, alone or at the end of a Pipeline,
candidates, data, splits, scorers and a kind of search. scikit-learn's search fits the
same estimators one by one. Scores, ranks, predictions, errors and failed fits have to
agree. The script prints the number of cases and every difference that has no
explanation, and ends with status 1 if there is one.
"""

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    PackedRandomizedSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import MLPClassifier, MLPRegressor, SoftmaxRegression

# float64 scores of one network trained alone and in a pack.
TOLERANCE = 1e-8

PAIRS = {
    "grid": (GridSearchCV, PackedGridSearchCV),
    "randomized": (RandomizedSearchCV, PackedRandomizedSearchCV),
    "halving": (HalvingGridSearchCV, PackedHalvingGridSearchCV),
    "cross-validation": (cross_validate, packed_cross_validate),
}


@dataclass
class Case:
    """One random comparison."""

    number: int
    kind: str
    estimator: Any
    grid: dict[str, list[Any]]
    options: dict[str, Any]
    X: Any
    y: np.ndarray
    fit_params: dict[str, Any]

    def __str__(self) -> str:
        estimator = " ".join(repr(self.estimator).split())
        return (
            f"case {self.number}: {self.kind} over {estimator}, {self.grid}, "
            f"{self.options}, X {type(self.X).__name__} {self.X.shape}, y of "
            f"{self.y.dtype}, fit parameters {sorted(self.fit_params)}"
        )


def draw_case(number: int) -> Case:
    """Draw a case from the seed `number`."""
    rng = np.random.RandomState(number)

    def choose(*values: Any) -> Any:
        return values[rng.randint(len(values))]

    kind = choose("grid", "grid", "randomized", "halving", "cross-validation")
    classifies = rng.rand() < 0.7
    n_samples = int(choose(30, 60, 120))
    X, y = make_classification(
        n_samples,
        6,
        n_informative=4,
        n_classes=3,
        random_state=rng.randint(1000),
    )
    if not classifies:
        y = X[:, 0] + np.abs(X[:, 1])
    elif choose(True, False):
        y = np.array(["a", "b", "c"])[y]
    network, grid = _draw_network(rng, choose, classifies)
    estimator, prefix = _draw_pipeline(choose, network)
    grid = {prefix + name: values for name, values in grid.items()}
    options: dict[str, Any] = {
        "cv": choose(2, 3, KFold(3, shuffle=True, random_state=1), _shuffled(rng)),
        "scoring": _draw_scoring(choose, classifies),
    }
    if classifies and choose(True, False):
        options["cv"] = StratifiedKFold(3)
    _add_options(kind, options, choose, rng)
    fit_params = {}
    if kind != "halving" and isinstance(network, MLPClassifier) and rng.rand() < 0.2:
        fit_params[f"{prefix}sample_weight"] = rng.choice([0.5, 1.0, 2.0], n_samples)
    return Case(
        number,
        kind,
        estimator,
        grid,
        options,
        _draw_container(choose, X),
        y,
        fit_params,
    )


def _shuffled(rng: np.random.RandomState) -> ShuffleSplit:
    return ShuffleSplit(2, test_size=0.4, random_state=int(rng.randint(100)))


def _draw_network(
    rng: np.random.RandomState, choose: Any, classifies: bool
) -> tuple[Any, dict[str, list[Any]]]:
    shared = {"max_iter": choose(2, 6), "random_state": int(rng.randint(1000))}
    if not classifies:
        network: Any = MLPRegressor(hidden_layer_sizes=(6,), **shared)
    elif rng.rand() < 0.15:
        network = SoftmaxRegression(**shared)
    else:
        network = MLPClassifier(choose((6,), (5, 4)), **shared)
    network.set_params(
        solver=choose("adam", "adam", "sgd", "adamw", "nadam"),
        batch_size=choose("auto", 8, 20),
        early_stopping=bool(choose(False, False, True)),
        validation_fraction=0.3,
    )
    candidates = {
        "alpha": [1e-4, 1e-2, 1.0],
        "learning_rate_init": [1e-3, 1e-2],
        "momentum": [0.0, 0.9],
        "beta_1": [0.5, 0.9],
        "random_state": [0, 1],
        "tol": [1e-4, 0.1],
        "n_iter_no_change": [1, 10],
        "solver": ["adam", "sgd"],
        "learning_rate": ["constant", "invscaling", "adaptive", "cosine"],
        "shuffle": [True, False],
        "learning_rate_init ": [-1.0, 1e-3],  # an invalid candidate
    }
    if not isinstance(network, SoftmaxRegression):
        candidates["activation"] = ["relu", "tanh"]
        candidates["hidden_layer_sizes"] = [(4,), (6,), (9,)]
        candidates["dropout"] = [0.0, 0.3]
        candidates["batch_norm"] = [False, True]
    names = rng.choice(sorted(candidates), 2, replace=False)
    return network, {name.strip(): candidates[name] for name in names}


def _draw_pipeline(choose: Any, network: Any) -> tuple[Any, str]:
    """Return an estimator and the prefix of the network's parameters."""
    steps = choose(
        None,
        None,
        [("scale", StandardScaler())],
        [("scale", MinMaxScaler()), ("project", PCA(4, random_state=0))],
        [("select", SelectKBest(k=3))],
        [("skip", "passthrough"), ("scale", StandardScaler())],
        [("columns", make_column_transformer((StandardScaler(), slice(0, 4))))],
        [("nested", make_pipeline(StandardScaler(), PCA(3)))],
    )
    if steps is None:
        return network, ""
    return Pipeline([*clone(Pipeline(steps)).steps, ("network", network)]), "network__"


def _draw_scoring(choose: Any, classifies: bool) -> Any:
    if not classifies:
        return choose(None, "neg_mean_squared_error", ["r2", "max_error"])
    return choose(None, "balanced_accuracy", ["accuracy", "f1_macro"])


def _add_options(
    kind: str, options: dict[str, Any], choose: Any, rng: np.random.RandomState
) -> None:
    options["return_train_score"] = bool(choose(True, False))
    options["error_score"] = choose(np.nan, np.nan, -1.0)
    if kind == "cross-validation":
        options["return_estimator"] = bool(choose(True, False))
        return
    if isinstance(options["scoring"], list):
        options["refit"] = choose(options["scoring"][0], False)
    if kind == "randomized":
        options |= {"n_iter": 3, "random_state": int(rng.randint(100))}
    if kind == "halving":
        options |= {"factor": 2, "random_state": 0, "cv": 2}
        options |= choose(
            {"resource": "n_samples"},
            {"resource": "max_iter", "max_resources": 8, "min_resources": 2},
        )
        if isinstance(options["scoring"], list):
            options["scoring"] = options["scoring"][0]
            options.pop("refit", None)


def _draw_container(choose: Any, X: np.ndarray) -> Any:
    kind = choose("array", "array", "frame", "sparse")
    if kind == "frame":
        return pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])
    return scipy.sparse.csr_matrix(X) if kind == "sparse" else X


def run(case: Case, search: Any) -> dict[str, Any]:
    """Return all that a search, or a cross-validation, made of a case."""
    options, grid = dict(case.options), case.grid
    if case.kind == "halving" and case.options["resource"] != "n_samples":
        step = "network__" if isinstance(case.estimator, Pipeline) else ""
        options["resource"] = f"{step}{options['resource']}"
        grid = {k: v for k, v in grid.items() if k != options["resource"]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if case.kind == "cross-validation":
                found = search(
                    clone(case.estimator),
                    case.X,
                    case.y,
                    params=case.fit_params or None,
                    **options,
                )
                result = {k: v for k, v in found.items() if "score" in k}
                if "estimator" in found:
                    result["predictions"] = np.concatenate(
                        [model.predict(case.X) for model in found["estimator"]]
                    )
            else:
                fitted = search(clone(case.estimator), grid, **options)
                fitted.fit(case.X, case.y, **case.fit_params)
                result = {
                    k: v
                    for k, v in fitted.cv_results_.items()
                    if "time" not in k and "param" not in k and k != "packed"
                }
                if hasattr(fitted, "best_estimator_"):
                    result["predictions"] = fitted.predict(case.X)
            result.pop("score_time", None)
        except Exception as error:  # noqa: BLE001  # every error is compared
            return {"error": type(error).__name__, "text": str(error)}
    failed = [w for w in caught if w.category.__name__ == "FitFailedWarning"]
    return {"error": None, "failed": len(failed), **result}


def compare(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Return the differences between two results."""
    if expected["error"] or got["error"]:
        same = expected["error"] == got["error"]
        return [] if same else [f"errors {expected} and {got}"]
    differences = [f"keys {sorted(expected)} and {sorted(got)}"] * (
        expected.keys() != got.keys()
    )
    for name in expected.keys() & got.keys():
        if name.startswith("rank") and _has_ties(
            expected[name.replace("rank", "mean")]
        ):
            continue  # rounding errors decide on the order of equal scores
        a, b = np.asarray(expected[name]), np.asarray(got[name])
        if a.dtype.kind in "OU" or a.dtype.kind == "S":
            same = np.array_equal(a, b)
        else:
            same = a.shape == b.shape and np.allclose(
                a.astype(float),
                b.astype(float),
                rtol=TOLERANCE,
                atol=TOLERANCE,
                equal_nan=True,
            )
        if not same:
            differences.append(f"{name}: {a} and {b}")
    return differences


def _has_ties(scores: np.ndarray) -> bool:
    """Whether two scores differ by rounding errors only."""
    return bool((np.diff(np.sort(scores)) < TOLERANCE).any())


def main(argv: list[str] | None = None) -> int:
    """Run the cases and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=int, nargs="?", default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    unexplained = 0
    kinds: Counter[str] = Counter()
    for number in range(args.first, args.first + args.cases):
        case = draw_case(number)
        kinds[case.kind] += 1
        theirs, ours = PAIRS[case.kind]
        differences = compare(run(case, theirs), run(case, ours))
        if differences:
            unexplained += 1
            print(case, *differences, sep="\n    ")
    print(*(f"{count} of {kind}" for kind, count in kinds.items()), sep=", ")
    print(f"{args.cases} cases, {unexplained} unexplained differences")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
