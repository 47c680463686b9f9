"""scikit-learn's cross-validation, with the folds trained as one network."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)

from skmlp._sklearn_compat import (
    check_method_params,
    insert_error_scores,
    warn_or_raise_about_fit_failures,
)
from skmlp.model_selection._packed_tasks import Evaluation, Task, run_tasks
from skmlp.neural_network._fit.checkpoint import refuse_shared_checkpoint

Scoring = str | Callable[..., Any] | Iterable[str] | Mapping[str, Any]


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
    """Cross-validate a network, its folds trained together.

    A drop-in replacement of `sklearn.model_selection.cross_validate`: arguments and
    results are its own, and so are the scores.

    Parameters
    ----------
    estimator : estimator object
        One of ours, or a Pipeline that ends in one; any other works, without packs.
    X : array-like of shape (n_samples, n_features) or images
        Rows to train and to score on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    groups, scoring, cv, n_jobs, verbose, params, pre_dispatch, return_train_score, \
return_estimator, return_indices, error_score
        As in `sklearn.model_selection.cross_validate`. Every job gets a share of the
        folds and packs it.

    Returns
    -------
    scores : dict of ndarray of shape (n_splits,)
        ``test_score`` (or ``test_<name>`` for each of several metrics), ``fit_time``
        and ``score_time`` in seconds, on request ``train_score``, ``estimator`` and
        ``indices``. The time to fit a pack is shared equally among its members.

    Raises
    ------
    ValueError
        If all folds fail, or `error_score` is neither 'raise' nor a number; with
        ``error_score='raise'`` whatever a fold raises.

    See Also
    --------
    PackedGridSearchCV : The same for many candidates at once.

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
    how = Evaluation(
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
    tasks = [Task(clone(estimator), None, i, *split) for i, split in enumerate(splits)]
    outcomes = run_tasks(tasks, how, n_jobs, pre_dispatch)
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
    parts = ("test", "train") if return_train_score else ("test",)
    for name in _metrics(outcomes[0]["test_scores"]):
        for part in parts:
            scores = [_metrics(outcome[f"{part}_scores"])[name] for outcome in outcomes]
            result[f"{part}_{name}"] = np.array(scores)
    return result


def _metrics(scores: Any) -> Mapping[str, float]:
    """Return scores by the names of their metrics."""
    return scores if isinstance(scores, dict) else {"score": scores}


def _route(
    estimator: Any, cv: Any, scorer: Any, groups: Any, params: dict[str, Any]
) -> Any:
    """Share `params` out among splitter, estimator and scorer as scikit-learn does."""
    if not get_config()["enable_metadata_routing"]:
        return Bunch(
            splitter=Bunch(split={"groups": groups}),
            estimator=Bunch(fit=params),
            scorer=Bunch(score={}),
        )
    if groups is not None:
        raise ValueError(
            "groups was given, but with metadata routing it goes into params: "
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
            # Nobody has called a method of this function.
            message=str(error).replace("packed_cross_validate.fit", router.owner),
            unrequested_params=error.unrequested_params,
            routed_params=error.routed_params,
        ) from None
