"""The data of one fold, and the fit jobs of the tasks that use them."""

import time
from typing import Any, NamedTuple

import joblib
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_method_params, safe_split
from skmlp.model_selection._tasks import Task
from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.packed_fit import FitJob
from skmlp.neural_network._pipelines import final_prefix, split_pipeline
from skmlp.training.data.sources import as_source


class ScoringData(NamedTuple):
    """The samples that a scorer receives, and its further arguments."""

    X: Any
    y: Any
    params: dict[str, Any]


class _Transformed(NamedTuple):
    """Fitted transformers and samplers, and the training samples that they return."""

    steps: list[tuple[str, Any]]
    X: Any
    y: Any


class _DataRecorder(BaseEstimator):
    """Stands for the network of a Pipeline, and records what the network receives."""

    def fit(self, X: Any, y: Any = None) -> "_DataRecorder":
        """Record the arguments."""
        self.X, self.y = X, y
        return self


class FoldData:
    """Training and test samples of one fold.

    Tasks with the same `data_key` share them. Tasks whose Pipelines begin with equal
    transformers also share the fitted transformers.

    Parameters
    ----------
    X, y : object
        All samples.
    task : Task
        Any task with this `data_key`.
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
        self._key = data_key(task)
        if not _is_pairwise(task.estimator):
            X = as_source(X)
        train_X, train_y = safe_split(task.estimator, X, y, task.train)
        test_X, test_y = safe_split(task.estimator, X, y, task.test, task.train)
        train_params, test_params = (
            check_method_params(X, params=score_params, indices=indices)
            for indices in (task.train, task.test)
        )
        self.train = ScoringData(train_X, train_y, train_params)
        self.test = ScoringData(test_X, test_y, test_params)
        self.fit_params: dict[str, Any] = check_method_params(
            X, params=fit_params, indices=task.train
        )
        self._transformed: dict[str, _Transformed] = {}

    def make_job(self, task: Task, index: int) -> FitJob:
        """Return the job that fits the network of a task.

        The transformers and samplers of a Pipeline are fitted here, and the job fits
        the network on their output. An error of theirs becomes the error of the job.
        `index` is the position of the task in the list of the caller.
        """
        X, y = self.train.X, self.train.y
        transformers, network = split_pipeline(task.estimator)
        network_params = _network_params(task.estimator, self.fit_params)
        if transformers is None or network_params is None:
            return FitJob(task.estimator, X, y, self.fit_params, self._key, index)
        key = _transformers_key(transformers, index)
        start = time.perf_counter()
        job = FitJob(
            network,
            X=None,  # set below
            y=y,
            params=network_params,
            data_key=(self._key, key),
            index=index,
        )
        try:
            if key not in self._transformed:
                self._transformed[key] = _fit_transformers(task.estimator, X, y)
            task.estimator.steps[:-1], job.X, job.y = self._transformed[key]
        except Exception as error:  # noqa: BLE001  # `error_score` decides
            job.error = error
        job.seconds = time.perf_counter() - start
        return job


def data_key(task: Task) -> tuple[int, bool]:
    """Return a key that tasks share if they train and score on the same samples."""
    return task.fold, _is_pairwise(task.estimator)


def _is_pairwise(estimator: Any) -> bool:
    """Return whether X holds a similarity or distance of each pair of samples."""
    if is_known_network(estimator):
        return False  # scikit-learn's tags take longer to compute
    return bool(get_tags(estimator).input_tags.pairwise)


def _fit_transformers(pipeline: Pipeline, X: Any, y: Any) -> _Transformed:
    """Fit all steps before the network as the Pipeline's own `fit` does."""
    recorder = _DataRecorder()
    steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], recorder)]
    params = pipeline.get_params(deep=False) | {"steps": steps}
    fitted = type(pipeline)(**params).fit(X, y)
    return _Transformed(fitted.steps[:-1], recorder.X, recorder.y)


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


def _transformers_key(transformers: Pipeline, index: int) -> str:
    """Return a cache key that is equal for equal unfitted transformers."""
    try:
        return str(joblib.hash(transformers))
    except Exception:  # noqa: BLE001  # a transformer that cannot be pickled
        return f"task {index}"  # these transformers are not shared
