"""The data of one fold, and the fit jobs of the tasks that use them."""

import time
from typing import Any, NamedTuple

import joblib
from sklearn.pipeline import Pipeline

from skmlp._sklearn_compat import check_method_params, safe_indexing
from skmlp.model_selection._tasks import Task
from skmlp.neural_network._packs.packed_fit import FitJob
from skmlp.neural_network._pipelines import final_prefix, split_pipeline
from skmlp.training.data.sources import as_source


class ScoringData(NamedTuple):
    """The samples that a scorer receives, and its further arguments."""

    X: Any
    y: Any
    params: dict[str, Any]


class _Transformed(NamedTuple):
    """Fitted transformers and the training samples that they return."""

    transformers: Pipeline
    X: Any


class FoldData:
    """Training and test samples of one fold.

    All tasks of a fold share them. Tasks whose Pipelines begin with equal transformers
    also share the fitted transformers.

    Parameters
    ----------
    X, y : object
        All samples.
    task : Task
        Any task of the fold.
    fit_params, score_params : dict
        Further arguments of `fit` and of the scorer. Arrays of length n_samples are
        indexed like X.

    Attributes
    ----------
    train, test : ScoringData
        Arguments of the scorer on both sets.
    fit_params : dict
        Further arguments of `fit` for the training samples.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        task: Task,
        fit_params: dict[str, Any],
        score_params: dict[str, Any],
    ) -> None:
        X = as_source(X)
        self._fold = task.fold
        self.train, self.test = (
            ScoringData(
                safe_indexing(X, indices),
                None if y is None else safe_indexing(y, indices),
                check_method_params(X, params=score_params, indices=indices),
            )
            for indices in (task.train, task.test)
        )
        self.fit_params: dict[str, Any] = check_method_params(
            X, params=fit_params, indices=task.train
        )
        self._transformed: dict[str, _Transformed] = {}

    def make_job(self, task: Task, number: int) -> FitJob:
        """Return the job that fits the network of a task.

        The transformers of a Pipeline are fitted here, and the job fits the network on
        their output. An error of a transformer becomes the error of the job.
        """
        X, y = self.train.X, self.train.y
        transformers, network = split_pipeline(task.estimator)
        network_params = _network_params(task.estimator, self.fit_params)
        if transformers is None or network_params is None:
            return FitJob(task.estimator, X, y, self.fit_params, self._fold, number)
        key = _transformers_key(transformers, number)
        start = time.perf_counter()
        job = FitJob(network, None, y, network_params, (self._fold, key), number)
        try:
            if key not in self._transformed:
                transformed_X = transformers.fit_transform(X, y)
                self._transformed[key] = _Transformed(transformers, transformed_X)
            fitted, job.X = self._transformed[key]
            task.estimator.steps[:-1] = fitted.steps
        except Exception as error:  # noqa: BLE001  # `error_score` decides
            job.error = error
        job.seconds = time.perf_counter() - start
        return job


def _network_params(
    estimator: Any, fit_params: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the arguments of `fit` without the prefix of the network.

    None if the Pipeline itself must distribute them, because they are routed or belong
    to a transformer.
    """
    prefix = final_prefix(estimator)
    if not all(name.startswith(prefix) for name in fit_params):
        return None
    return {name.removeprefix(prefix): value for name, value in fit_params.items()}


def _transformers_key(transformers: Pipeline, number: int) -> str:
    """Return a text that equal unfitted transformers share."""
    try:
        return str(joblib.hash(transformers))
    except Exception:  # noqa: BLE001  # a transformer that cannot be pickled
        return f"number {number}"
