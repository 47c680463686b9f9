"""Fit random networks with scikit-learn and with skmlp, and compare everything.

    python tests/faults/twin_fuzz.py 2000

draws that many cases with fixed seeds: an estimator, its parameters, data and a way to
fit (once, twice with ``warm_start``, or by ``partial_fit``). Both packages run each
case. Weights, losses, epochs, predictions, warnings and errors have to agree. The
script prints the number of cases and every difference that has no explanation, and ends
with status 1 if there is one.

The data are float64, because skmlp trains integers in float32 by design.
"""

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn import neural_network as theirs
from sklearn.datasets import make_multilabel_classification

from skmlp import neural_network as ours

# Both packages sum in different orders. Every epoch multiplies the rounding errors.
TOLERANCE = 1e-5

# Losses beyond this limit mean that training diverges, which multiplies rounding errors
# without limit.
DIVERGED = 1e4


@dataclass
class Case:
    """One random comparison."""

    number: int
    estimator: str
    params: dict[str, Any]
    X: Any
    y: Any
    sample_weight: np.ndarray | None
    method: str

    def __str__(self) -> str:
        params = ", ".join(f"{k}={v!r}" for k, v in self.params.items())
        weighted = "" if self.sample_weight is None else ", sample_weight"
        return (
            f"case {self.number}: {self.estimator}({params}).{self.method}"
            f"({type(self.X).__name__} {self.X.shape}, y of "
            f"{np.asarray(self.y).dtype}{weighted})"
        )


@dataclass
class Result:
    """What one package made of a case."""

    error: str | None = None
    warned: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, list[np.ndarray]] = field(default_factory=dict)
    labels: np.ndarray | None = None


def draw_case(number: int) -> Case:
    """Draw a case from the seed `number`."""
    rng = np.random.RandomState(number)
    classifies = rng.rand() < 0.6
    estimator = "MLPClassifier" if classifies else "MLPRegressor"
    n_samples = int(rng.choice([1, 2, 5, 12, 40, 90]))
    n_features = int(rng.choice([1, 3, 8]))
    X, y = (_draw_classes if classifies else _draw_numbers)(rng, n_samples, n_features)
    method = str(rng.choice(["fit", "fit", "fit", "warm", "partial_fit"]))
    params = _draw_params(rng, n_samples, classifies, method)
    if params["solver"] == "lbfgs" and method == "partial_fit":
        method = "fit"
    weight = None
    if rng.rand() < 0.25:
        weight = rng.choice([0.0, 0.5, 1.0, 3.0], n_samples)
        weight[0] = 1.0
    return Case(number, estimator, params, _draw_container(rng, X), y, weight, method)


def _draw_classes(
    rng: np.random.RandomState, n_samples: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    kind = rng.choice(
        [
            "binary",
            "multiclass",
            "strings",
            "gaps",
            "multilabel",
            "bools",
            "column",
            "one class",
        ]
    )
    if kind == "multilabel":
        X, y = make_multilabel_classification(
            n_samples, n_features, n_classes=3, random_state=rng
        )
        return X / 10.0, y
    n_classes = {"binary": 2, "bools": 2, "one class": 1}.get(kind, 3)
    X = rng.normal(size=(n_samples, n_features))
    y = np.arange(n_samples) % n_classes
    X += y[:, None]
    if kind == "strings":
        y = np.array(["red", "green", "blue"])[y]
    if kind == "gaps":
        y = np.array([-7, 4, 100])[y]
    if kind == "bools":
        y = y.astype(bool)
    return X, y.reshape(-1, 1) if kind == "column" else y


def _draw_numbers(
    rng: np.random.RandomState, n_samples: int, n_features: int
) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n_samples, n_features))
    n_outputs = int(rng.choice([1, 1, 2]))
    y = np.abs(X @ rng.normal(size=(n_features, n_outputs)))
    return X, y.ravel() if n_outputs == 1 else y


def _draw_container(rng: np.random.RandomState, X: np.ndarray) -> Any:
    kind = rng.choice(
        ["array", "array", "fortran", "sparse", "frame", "read-only", "integers"]
    )
    if kind == "fortran":
        return np.asfortranarray(X)
    if kind == "sparse":
        return scipy.sparse.csr_matrix(X)
    if kind == "frame":
        return pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])
    if kind == "integers":
        return np.round(10 * X)
    if kind == "read-only":
        X.flags.writeable = False
    return X


def _draw_params(
    rng: np.random.RandomState, n_samples: int, classifies: bool, method: str
) -> dict[str, Any]:
    def choose(*values: Any) -> Any:
        return values[rng.randint(len(values))]

    params = {
        "hidden_layer_sizes": choose((), (5,), (4, 3)),
        "activation": choose("identity", "logistic", "tanh", "relu"),
        "solver": choose("sgd", "adam", "adam", "lbfgs"),
        "alpha": choose(0.0, 1e-4, 0.1),
        "batch_size": choose("auto", 1, 7, n_samples),
        "learning_rate": choose("constant", "invscaling", "adaptive"),
        "learning_rate_init": choose(0.001, 0.01),
        "power_t": choose(0.5, 0.1),
        "max_iter": choose(1, 4, 12),
        "shuffle": choose(True, True, False),
        "random_state": int(rng.randint(1000)),
        "tol": choose(1e-4, 0.05),
        "momentum": choose(0.0, 0.9),
        "nesterovs_momentum": choose(True, False),
        "n_iter_no_change": choose(1, 3, 10),
        "beta_1": choose(0.9, 0.5),
        "beta_2": choose(0.999, 0.9),
        "epsilon": choose(1e-8, 1e-4),
    }
    if method != "partial_fit" and params["solver"] != "lbfgs" and n_samples >= 40:
        params["early_stopping"] = choose(True, False)
        params["validation_fraction"] = choose(0.1, 0.3)
    if method == "warm":
        params["warm_start"] = True
    if params["solver"] == "lbfgs":
        params["max_fun"] = choose(15000, 7)
    if not classifies:
        params["loss"] = choose("squared_error", "squared_error", "poisson")
    return params


def run(case: Case, package: Any) -> Result:
    """Run a case with one package."""
    result = Result()
    model = getattr(package, case.estimator)(**case.params)
    weight = {} if case.sample_weight is None else {"sample_weight": case.sample_weight}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _train(model, case, weight)
            result.numbers = _numbers_of(model, case.X)
            result.labels = np.asarray(model.predict(case.X))
        except Exception as error:  # noqa: BLE001  # every error is compared
            result.error = f"{type(error).__name__}: {error}"
    result.warned = Counter(warning.category.__name__ for warning in caught)
    return result


def _train(model: Any, case: Case, weight: dict[str, np.ndarray]) -> None:
    if case.method != "partial_fit":
        model.fit(case.X, case.y, **weight)
        if case.method == "warm":
            model.fit(case.X, case.y, **weight)
        return
    classes = {}
    if case.estimator == "MLPClassifier":
        labels = np.asarray(case.y)
        classes = {"classes": np.arange(3) if labels.ndim == 2 else np.unique(labels)}
    for _ in range(3):
        model.partial_fit(case.X, case.y, **classes, **weight)
        classes = {}


def _numbers_of(model: Any, X: Any) -> dict[str, list[np.ndarray]]:
    numbers = {
        "coefs_": model.coefs_,
        "intercepts_": model.intercepts_,
        "n_iter_": [model.n_iter_],
        "t_": [model.t_],
        "loss_": [model.loss_],
        "loss_curve_": [getattr(model, "loss_curve_", [])],
        "best_loss_": [getattr(model, "best_loss_", None) or 0.0],
        "validation_scores_": [getattr(model, "validation_scores_", None) or []],
    }
    if hasattr(model, "predict_proba"):
        numbers["predict_proba"] = [model.predict_proba(X)]
    return {k: [np.asarray(v, dtype=float) for v in vs] for k, vs in numbers.items()}


def compare(expected: Result, got: Result) -> list[str]:
    """Return the differences between scikit-learn's result and ours."""
    if expected.error or got.error:
        return _compare_errors(expected.error, got.error)
    differences = []
    if expected.warned != got.warned:
        differences.append(f"warnings {dict(expected.warned)} and {dict(got.warned)}")
    for name, arrays in expected.numbers.items():
        if not _all_close(arrays, got.numbers[name]):
            differences.append(
                f"{name} {_shorten(arrays)} and {_shorten(got.numbers[name])}"
            )
    if "coefs_" not in "".join(differences) and not _labels_agree(expected, got):
        differences.append("predictions")
    return differences


def _compare_errors(expected: str | None, got: str | None) -> list[str]:
    """Errors have to have one type. Their texts may say more than scikit-learn's."""
    types = [None if text is None else text.split(":")[0] for text in (expected, got)]
    return [] if types[0] == types[1] else [f"errors {expected!r} and {got!r}"]


def _all_close(expected: list[np.ndarray], got: list[np.ndarray]) -> bool:
    return len(expected) == len(got) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
        for a, b in zip(expected, got, strict=True)
    )


def _labels_agree(expected: Result, got: Result) -> bool:
    if expected.labels.dtype.kind == "f":
        return np.allclose(expected.labels, got.labels, rtol=1e-4, atol=1e-4)
    return np.array_equal(expected.labels, got.labels)


def _shorten(arrays: list[np.ndarray]) -> str:
    values = np.concatenate([array.ravel() for array in arrays])
    return np.array2string(values[:4], precision=6)


def explain(case: Case, expected: Result, got: Result) -> str | None:
    """Return why a difference is by design or by rounding, or None."""
    curve = expected.numbers.get("loss_curve_", [np.zeros(0)])[0]
    if curve.size and (not np.isfinite(curve).all() or curve.max() > DIVERGED):
        return "training diverges, so rounding errors grow without limit"
    columns = Counter({"DataConversionWarning": 1})
    if expected.error is got.error is None and set(expected.warned - got.warned) <= set(
        columns
    ):
        quiet = Result(
            warned=got.warned, numbers=expected.numbers, labels=expected.labels
        )
        if not compare(quiet, got):
            return "scikit-learn repeats its warning about labels in a column"
    if case.params["solver"] == "lbfgs" and expected.error is got.error is None:
        losses = [float(result.numbers["loss_"][0]) for result in (expected, got)]
        if abs(losses[0] - losses[1]) <= 1e-3 * max(1.0, abs(losses[0])):
            return "line searches of lbfgs magnify rounding errors; the losses agree"
    if expected.error and expected.error.startswith("ZeroDivisionError"):
        return "scikit-learn fails where all samples of a batch have weight 0"
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the cases and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=int, nargs="?", default=2000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    explained: Counter[str] = Counter()
    unexplained = 0
    for number in range(args.first, args.first + args.cases):
        case = draw_case(number)
        expected, got = run(case, theirs), run(case, ours)
        differences = compare(expected, got)
        if not differences:
            continue
        reason = explain(case, expected, got)
        if reason is not None:
            explained[reason] += 1
            continue
        unexplained += 1
        print(case, *differences, sep="\n    ")
    for reason, count in explained.items():
        print(f"{count} differences: {reason}")
    print(f"{args.cases} cases, {unexplained} unexplained differences")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
