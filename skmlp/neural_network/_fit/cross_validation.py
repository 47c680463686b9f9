"""Refuse a checkpoint of an estimator that scikit-learn's cross-validation clones.

Every clone would use the same file, and all fits after the first one would fail. Such
failures become scores of NaN, so the search would choose the first candidate.
No argument of `fit` tells who called it, so the call stack is read. Only a fit with a
checkpoint pays for it.
"""

import os
import sys
from typing import Any

# The module of scikit-learn that fits a clone for each fold, for searches too.
_MODULE = "sklearn.model_selection._validation"


def refuse_checkpoint_in_cross_validation(
    checkpoint: str | os.PathLike[str] | None, name: str
) -> None:
    """Refuse the checkpoint of a fit that is one of several of a cross-validation.

    Parameters
    ----------
    checkpoint : str, path-like or None
        The parameter of the estimator that is fitted.
    name : str
        Name of its class.

    Raises
    ------
    ValueError
        If a cross-validation calls the fit, and its estimator has this checkpoint.
    """
    if checkpoint is None:
        return
    for estimator in _cross_validated_estimators():
        if any(_has_checkpoint(part, checkpoint) for part in _parts(estimator)):
            raise ValueError(
                f"checkpoint={os.fspath(checkpoint)!r} of {name} serves one fit, but "
                "several are to be fitted; set it to None, or use a packed search with "
                "a folder as its checkpoint."
            )


def _cross_validated_estimators() -> list[Any]:
    """Return the estimators that scikit-learn fits on folds in this thread."""
    estimators = []
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == _MODULE:
            estimators.append(frame.f_locals.get("estimator"))
    return estimators


def _parts(estimator: Any) -> list[Any]:
    """Return an estimator and the estimators in its parameters."""
    get_params = getattr(estimator, "get_params", dict)
    return [estimator, *get_params().values()]


def _has_checkpoint(part: Any, checkpoint: str | os.PathLike[str]) -> bool:
    return bool(getattr(part, "checkpoint", None) == checkpoint)
