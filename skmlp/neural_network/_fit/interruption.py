"""Whether Ctrl-C may end a fit early, or has to end what the fit is a part of.

A user who presses Ctrl-C while a network trains wants the network as it is by then. A
user who presses it during a search wants the search to end: a half-trained network must
not be scored like the others. No parameter of `fit` says who called it. So the call
stack is read, at the moment of Ctrl-C only.
"""

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from skmlp._sklearn_bases import BaseEstimator
from skmlp._sklearn_compat import MODULES_OF_SINGLE_FITS

# Packages whose functions call `fit` many times.
_MANY_FITS = (
    "concurrent.futures",
    "dask",
    "distributed",
    "hyperopt",
    "imblearn",
    "joblib",
    "multiprocessing.pool",
    "optuna",
    "ray",
    "skmlp.model_selection",
    "sklearn",
    "skopt",
)

# Modules of those packages that call `fit` of one network once, or no `fit` at all.
_ONE_FIT = (
    "imblearn.pipeline",
    *MODULES_OF_SINGLE_FITS,
)

_FIT_METHODS = ("fit", "fit_predict", "fit_transform", "partial_fit")


def is_started_by_user(estimator: Any) -> bool:
    """Return whether a fit in progress is the whole of what the user has started.

    This is the case if the user called `fit` of the estimator, or of a Pipeline or a
    `TransformedTargetRegressor` around it. It is not the case within a search, a
    cross-validation, an ensemble or another estimator, nor within a job of joblib.
    """
    return not any(
        _calls_many_fits(frame) or _fits_other_estimator(frame, estimator)
        for frame in _calling_frames()
    )


def _calling_frames() -> Iterator[FrameType]:
    """Yield the frames of all functions that are being executed in this thread."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _calls_many_fits(frame: FrameType) -> bool:
    """Return whether the function is part of a package that fits many estimators."""
    module = _module_of(frame)
    return _is_in(module, _MANY_FITS) and not _is_in(module, _ONE_FIT)


def _fits_other_estimator(frame: FrameType, estimator: Any) -> bool:
    """Return whether a frame is a `fit` of another estimator, such as an ensemble."""
    code = frame.f_code
    if code.co_name not in _FIT_METHODS or not code.co_argcount:
        return False
    owner = frame.f_locals.get(code.co_varnames[0])
    is_other = isinstance(owner, BaseEstimator) and owner is not estimator
    return is_other and not _is_in(_module_of(frame), _ONE_FIT)


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    """Return whether a module is one of the packages or inside one of them."""
    return any(
        module == package or module.startswith(package + ".") for package in packages
    )
