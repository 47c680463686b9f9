"""Cut the samples of a fold, and make the fit jobs of its tasks."""

import time
from typing import Any, NamedTuple

import joblib
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import check_method_params, safe_split
from skmlp.model_selection._tasks import Task
from skmlp.neural_network._known_classes import is_known_network
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._pipelines import final_estimator, final_prefix
from skmlp.training.data.sources import as_source


class SampleSet(NamedTuple):
    """X, y and score parameters of the training or the test samples of a fold."""

    X: Any
    y: Any
    params: dict[str, Any]


class _FittedTransformers(NamedTuple):
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

    Tasks with the same `data_key` use the same FoldData. Tasks whose Pipelines begin
    with equal transformers also use the same fitted transformers.

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
    train, test : SampleSet
        Training samples and test samples, with the score parameters.
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
        self.train = SampleSet(train_X, train_y, train_params)
        self.test = SampleSet(test_X, test_y, test_params)
        self.fit_params: dict[str, Any] = check_method_params(
            X, params=fit_params, indices=task.train
        )
        self._fitted_transformers: dict[str, _FittedTransformers] = {}

    def make_job(self, task: Task, index: int) -> FitJob:
        """Return the job that fits the network of a task.

        The transformers and samplers of a Pipeline are fitted here. They replace the
        unfitted ones in `task.estimator`. The job fits the network of `task.estimator`
        in place, on their output. If they raise an error, it becomes the error of the
        job.

        `index` is the position of the task in the list of the caller. It becomes
        `FitJob.index`.
        """
        X, y = self.train.X, self.train.y
        network_params = _network_params(task.estimator, self.fit_params)
        # A network has no other steps. A Pipeline that must pass the fit parameters
        # itself is fitted as a whole by `fit_jobs`.
        if not isinstance(task.estimator, Pipeline) or network_params is None:
            return FitJob(task.estimator, X, y, self.fit_params, self._key, index)
        transformers_key = _transformers_key(task.estimator, index)
        start = time.perf_counter()
        job = FitJob(
            final_estimator(task.estimator),
            X=None,  # set below
            y=y,
            params=network_params,
            data_key=(self._key, transformers_key),
            index=index,
        )
        fitted = self._fitted_transformers
        try:
            if transformers_key not in fitted:
                fitted[transformers_key] = _fit_transformers(task.estimator, X, y)
            task.estimator.steps[:-1], job.X, job.y = fitted[transformers_key]
        except Exception as error:  # noqa: BLE001  # see `error_score`
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


def _fit_transformers(pipeline: Pipeline, X: Any, y: Any) -> _FittedTransformers:
    """Fit all steps before the network as the Pipeline's own `fit` does."""
    recorder = _DataRecorder()
    steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], recorder)]
    params = pipeline.get_params(deep=False) | {"steps": steps}
    fitted = type(pipeline)(**params).fit(X, y)
    return _FittedTransformers(fitted.steps[:-1], recorder.X, recorder.y)


def _network_params(
    estimator: Any, fit_params: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the fit parameters of the network, without the prefix ``<step>__``.

    Return None if a parameter has another prefix or is routed. Then the Pipeline itself
    must pass the parameters to its steps.
    """
    prefix = final_prefix(estimator)
    if not all(name.startswith(prefix) for name in fit_params):
        return None
    return {name.removeprefix(prefix): value for name, value in fit_params.items()}


def _transformers_key(pipeline: Pipeline, index: int) -> str:
    """Return a cache key that is equal for equal unfitted transformers."""
    if len(pipeline.steps) == 1:
        return "no transformers"
    try:
        return str(joblib.hash(pipeline[:-1]))
    except Exception:  # noqa: BLE001  # a transformer that cannot be pickled
        return f"task {index}"  # these transformers are not shared
