"""scikit-learn's cross-validation, with the networks of the folds trained in packs.

Every fold is a task, and `run_tasks` fits and scores the tasks as in a packed search
(see ``_packed_search``).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)

from skmlp._sklearn_bases import Bunch
from skmlp._sklearn_compat import (
    check_method_params,
    insert_error_scores,
    warn_or_raise_about_fit_failures,
)
from skmlp.model_selection._evaluation import TaskEvaluator
from skmlp.model_selection._tasks import Task
from skmlp.model_selection._workers import run_tasks
from skmlp.neural_network._fit.checkpoint import refuse_shared_checkpoint
from skmlp.training.compute.ambient_modes import restore_settings
from skmlp.training.compute.interrupts import ended_by_interrupt

Scoring = str | Callable[..., Any] | Iterable[str] | Mapping[str, Any]


@ended_by_interrupt
@restore_settings
def packed_cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Scoring | None = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: Mapping[str, Any] | None = None,
    pre_dispatch: int | str = "2*n_jobs",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: float | str = np.nan,
) -> dict[str, Any]:
    """Cross-validate a network. The networks of all folds are trained together.

    It replaces `sklearn.model_selection.cross_validate`: it has the same arguments,
    results and scores.

    Parameters
    ----------
    estimator : estimator object
        A network of skmlp, or a Pipeline that ends in one. Other estimators are fitted
        one by one.
    X : array-like of shape (n_samples, n_features) or images
        Samples to train on and to score.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    groups, scoring, cv, params, pre_dispatch, return_train_score, return_estimator, \
return_indices, error_score
        As in `sklearn.model_selection.cross_validate`.
    n_jobs, verbose
        As in `PackedGridSearchCV`.

    Returns
    -------
    scores : dict of ndarray of shape (n_splits,)
        - ``test_score``, or ``test_<metric>`` for each of several metrics
        - ``train_score`` or ``train_<metric>``, if `return_train_score`
        - ``fit_time`` and ``score_time`` in seconds; the time of a pack is divided
          equally among its networks
        - ``estimator``, a list of the fitted estimators, if `return_estimator`
        - ``indices``, a dict of the training and test samples of every fold, if
          `return_indices`

    Raises
    ------
    ValueError
        In these cases:

        - The fits of all folds fail.
        - `error_score` is neither 'raise' nor a number.
        - The network has a `checkpoint`.
        - `groups` is given, and metadata routing is enabled.
    Exception
        With ``error_score='raise'``, any error of a fold.

    See Also
    --------
    PackedGridSearchCV : Search of many candidates on all folds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.model_selection import packed_cross_validate
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(max_iter=100, tol=0.01, random_state=0)
    >>> scores = packed_cross_validate(model, X, y, cv=3)
    >>> sorted(scores)
    ['fit_time', 'score_time', 'test_score']
    >>> scores["test_score"].shape
    (3,)
    """
    refuse_shared_checkpoint(estimator)
    X, y = indexable(X, y)
    cv = check_cv(cv, y, classifier=is_classifier(estimator))
    scorer = check_scoring(estimator, scoring, raise_exc=error_score == "raise")
    routed = _route(estimator, cv, scorer, groups, dict(params or {}))
    evaluator = TaskEvaluator(
        X,
        y,
        scorer=scorer,
        fit_params=check_method_params(X, params=routed.estimator.fit),
        score_params=check_method_params(X, params=routed.scorer.score),
        return_train_score=return_train_score,
        return_estimator=return_estimator,
        error_score=error_score,
        verbose=verbose,
    )
    splits = list(cv.split(X, y, **routed.splitter.split))
    # Without a search, the tasks have no parameters.
    tasks = (
        Task(clone(estimator), None, fold, train, test)
        for fold, (train, test) in enumerate(splits)
    )
    outcomes = run_tasks(tasks, evaluator, n_jobs, pre_dispatch)
    warn_or_raise_about_fit_failures(outcomes, error_score)
    if callable(scoring):
        insert_error_scores(outcomes, error_score)
    result: dict[str, Any] = {
        name: np.array([outcome[name] for outcome in outcomes])
        for name in ("fit_time", "score_time")
    }
    if return_estimator:
        result["estimator"] = [outcome["estimator"] for outcome in outcomes]
    if return_indices:
        train, test = zip(*splits, strict=True)
        result["indices"] = {"train": train, "test": test}
    sample_sets = ("test", "train") if return_train_score else ("test",)
    for metric in _scores_by_metric(outcomes[0]["test_scores"]):
        for name in sample_sets:
            result[f"{name}_{metric}"] = np.array(
                [_scores_by_metric(o[f"{name}_scores"])[metric] for o in outcomes]
            )
    return result


def _scores_by_metric(scores: Any) -> Mapping[str, float]:
    """Return a dict from metric name to score; a single metric is named 'score'."""
    return scores if isinstance(scores, dict) else {"score": scores}


def _route(
    estimator: Any, cv: Any, scorer: Any, groups: Any, params: dict[str, Any]
) -> Any:
    """Return the parameters of splitter, estimator and scorer.

    Without metadata routing, `params` are fit parameters.
    """
    if not get_config()["enable_metadata_routing"]:
        return Bunch(
            splitter=Bunch(split={"groups": groups}),
            estimator=Bunch(fit=params),
            scorer=Bunch(score={}),
        )
    if groups is not None:
        raise ValueError(
            "groups was given, but with metadata routing it goes into params: pass "
            "params={'groups': groups}."
        )
    router = MetadataRouter(owner="packed_cross_validate")
    for name, target, callee in (
        ("splitter", cv, "split"),
        ("estimator", estimator, "fit"),
        ("scorer", scorer, "score"),
    ):
        mapping = MethodMapping().add(caller="fit", callee=callee)
        router.add(**{name: target}, method_mapping=mapping)
    try:
        return process_routing(router, "fit", **params)
    except UnsetMetadataPassedError as error:
        raise UnsetMetadataPassedError(
            # The router knows only methods, but the message should name the function.
            message=str(error).replace("packed_cross_validate.fit", router.owner),
            unrequested_params=error.unrequested_params,
            routed_params=error.routed_params,
        ) from None
