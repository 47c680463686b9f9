"""Validation losses with a suggested learning rate, and with each rate of a grid.

For every model and seed:

1. A quarter of the samples is the validation set. The split depends on the seed.
2. `LearningRateDisplay` suggests a rate. It sees the training set only.
3. The network is trained with the suggested rate and with ten rates from 1e-4 to 1,
   from the same initial weights. The loss of a rate is the validation loss of the best
   epoch.

The best rate of a single small validation set is a matter of chance: the rate that is
best in the other splits often loses more than 5 %. So small tables are judged by the
mean over several splits, until about `N_VALIDATION` samples validated the rates.

The splits that judge the rule of the suggestion begin with `FIRST_SPLIT`. Other splits
chose it:

- A first rule was chosen with the splits from 100 on and with other networks. It
  trained once with each rate. The splits 0 to 2 judged it, and it failed on small
  tables.
- A second rule trained up to 5 times on small tables. The split 10 judged it, and it
  failed on the smallest tables.
- The present rule trains up to 20 times. The splits from 300 on chose it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container, Iterator
from time import process_time
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from benchmarks.data import datasets
from benchmarks.data.bundled_tables import TABLES, california_like
from benchmarks.definitions.experiment import BUNDLED
from benchmarks.definitions.model import Model
from benchmarks.definitions.request import Request
from benchmarks.result_store.result_files import Key, Record, request_key
from benchmarks.running.fitting import describe_run
from benchmarks.running.preparation import QUICK_EPOCHS
from skmlp.inspection import LearningRateDisplay
from skmlp.model_selection import PackedGridSearchCV

GRID = np.geomspace(1e-4, 1.0, 10)
N_IMAGES = 1000
N_VALIDATION = 250
FIRST_SPLIT = 20
_VALIDATION_FRACTION = 0.25


def run_all(
    request: Request,
    data: None,
    on_start: Callable[[Model, int], None] = lambda model, seed: None,
    done: Container[Key] = (),
) -> Iterator[Record]:
    """Yield a record for every model and every seed from 0.

    A small table has several splits for each seed of the request.
    """
    for model in request.experiment.select(request.models):
        for seed in range(request.seeds * _count_splits(model, request.quick)):
            if request_key(request, BUNDLED, model.name, seed) not in done:
                on_start(model, seed)
                yield {
                    **describe_run(request, BUNDLED, model, seed),
                    "parameters": dict(model.estimator.params),
                    **judge_suggestion(model, seed, request.quick),
                    "device_name": "cpu",
                    "error": None,
                }


def judge_suggestion(model: Model, seed: int, quick: bool) -> Record:
    """Train with the suggested rate and with the rates of the grid."""
    assert model.dataset is not None
    regression = model.estimator.path.endswith("Regressor")
    X, y = _load(model.dataset, quick)
    y = scale(y) if regression else y
    X_train, X_valid, y_train, y_valid = train_test_split(
        X,
        y,
        test_size=_VALIDATION_FRACTION,
        random_state=FIRST_SPLIT + seed,
        stratify=None if regression else y,
    )
    network = model.estimator.build(random_state=FIRST_SPLIT + seed)
    if quick:
        network.set_params(max_iter=QUICK_EPOCHS)
    started = process_time()
    display = LearningRateDisplay.from_estimator(network, X_train, y_train)
    suggested = display.suggest()
    seconds = process_time() - started
    rates = [*GRID.tolist(), suggested]
    losses = _validation_losses(
        network, rates, X_train, y_train, {"X_val": X_valid, "y_val": y_valid}
    )
    return {
        "rows": {"train": len(X_train), "validation": len(X_valid), "test": 0},
        "rates": rates[:-1],
        "losses": [losses[rate] for rate in rates[:-1]],
        "suggested_rate": suggested,
        "suggested_loss": losses[suggested],
        "suggestion_seconds": round(seconds, 3),
    }


def _count_splits(model: Model, quick: bool) -> int:
    """Return the number of splits for each seed."""
    assert model.dataset is not None
    n_validation = round(_VALIDATION_FRACTION * len(_load(model.dataset, quick)[1]))
    return 1 if quick else math.ceil(N_VALIDATION / n_validation)


def _load(dataset: str, quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return scaled features, and the target."""
    if dataset in ("mnist", "fashion-mnist"):
        data = datasets.load("digits" if quick else dataset)
        data = data.take_evenly(N_IMAGES, 1)
        X = data.X_train / np.float32(data.pixel_max or 1)
        return X.astype(np.float32), data.y_train
    if dataset == "california-like":
        X, y = california_like(2000)
    else:
        X, y = TABLES[dataset]()
    return scale(X), y


def _validation_losses(
    network: Any,
    rates: list[float],
    X: np.ndarray,
    y: np.ndarray,
    validation: dict[str, np.ndarray],
) -> dict[float, float]:
    """Return the validation loss of the best epoch with each rate.

    It is infinite where the training fails.
    """
    losses = dict.fromkeys(rates, np.inf)

    def read_loss(fitted: Any, X: np.ndarray, y: np.ndarray) -> float:
        by_epoch = [record.get("valid_loss", np.inf) for record in fitted.history_]
        losses[fitted.learning_rate_init] = float(np.nanmin(by_epoch))
        return 0.0

    search = PackedGridSearchCV(
        network,
        {"learning_rate_init": rates},
        cv=[(np.arange(len(y)), np.arange(1))],
        scoring=read_loss,
        refit=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", category=FitFailedWarning)
        warnings.filterwarnings("ignore", message="Training loss became non-finite")
        warnings.filterwarnings("ignore", message="One or more of the test scores")
        search.fit(X, y, **validation)
    return losses
