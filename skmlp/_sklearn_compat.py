"""The names of scikit-learn that are private or that some supported versions lack.

Every other module imports public names of the oldest supported version only. When a
new version of scikit-learn moves a private name, this module is the only one to change.
The module imports neither torch nor skorch.

Some hooks of `sklearn.base.BaseEstimator` have private names as well. An estimator has
to override or to call them where it stands: ``_parameter_constraints``,
``_validate_params``, ``_get_param_names`` and ``_html_repr``.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import sklearn
from sklearn import metrics, preprocessing

# Checks the parameters of an estimator before `fit`. The public API has no such check.
from sklearn.base import _fit_context as fit_context

# The base of the searches. No public base has the selection of the best candidate.
from sklearn.model_selection._search import BaseSearchCV

# The halving searches. Their public names exist only after a switch of scikit-learn.
from sklearn.model_selection._search_successive_halving import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
)

# The survivors of a halving iteration, chosen as the public searches choose them.
from sklearn.model_selection._search_successive_halving import _top_k as top_k

# One fit with its scores. `cross_validate` runs whole cross-validations only.
from sklearn.model_selection._validation import _fit_and_score as fit_and_score

# Scores of failed fits where the metrics are known after the first fit only.
from sklearn.model_selection._validation import (
    _insert_error_scores as insert_error_scores,
)

# Scores of one fitted estimator, with scikit-learn's treatment of `error_score`.
from sklearn.model_selection._validation import _score as score_estimator

# The summary of all failed fits. The public searches give it for their own fits only.
from sklearn.model_selection._validation import (
    _warn_or_raise_about_fit_failures as warn_or_raise_about_fit_failures,
)

# The library and the device of an array. The public API has neither.
from sklearn.utils import _array_api

# Indexing of arrays, lists, frames and sparse matrices. No public function does it.
from sklearn.utils import _safe_indexing as safe_indexing

# The methods that take metadata. The public module has no list of them.
from sklearn.utils._metadata_requests import SIMPLE_METHODS

# Constraints of parameters, for error texts that equal scikit-learn's.
# Checks the parameters of a function. The public API has no such check.
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)

# Remembers the classes in y, so that nested checks do not search for them again.
from sklearn.utils._unique import attach_unique

# One side of a split, for estimators of pairwise data too.
from sklearn.utils.metaestimators import _safe_split as safe_split

# Checks `classes` of `partial_fit`, for error texts that equal scikit-learn's.
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call as check_partial_fit_first_call,
)

# Names of the input features of a transformer, checked against those of `fit`.
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

# Fit parameters, indexable where they have one value a sample.
from sklearn.utils.validation import _check_method_params as check_method_params

# Checks sample weights, for error texts that equal scikit-learn's.
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

# The number of samples of anything that scikit-learn accepts as X.
from sklearn.utils.validation import _num_samples as num_samples

try:
    # Base of estimators that accept callbacks, since scikit-learn 1.9.
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replaces scikit-learn's class where it does not exist."""


# Modules that call `fit` of one estimator once, or no `fit` at all. The call stack has
# these names.
MODULES_OF_SINGLE_FITS = (
    "sklearn._config",
    "sklearn.base",
    "sklearn.callback",
    "sklearn.compose._target",
    "sklearn.pipeline",
    "sklearn.utils",
)

_Method = TypeVar("_Method", bound=Callable[..., Any])

# Model files record the version. Attributes of transformers may change with it.
SKLEARN_VERSION = sklearn.__version__

__all__ = [
    "MODULES_OF_SINGLE_FITS",
    "SKLEARN_VERSION",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "HasMethods",
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "attach_unique",
    "check_feature_names_in",
    "check_method_params",
    "check_partial_fit_first_call",
    "check_resources",
    "check_sample_weight",
    "fit_and_score",
    "fit_context",
    "get_metadata_requests",
    "has_callbacks",
    "insert_error_scores",
    "make_callback_context",
    "make_search_arguments",
    "num_samples",
    "outputs_match_input",
    "pass_labels",
    "roc_auc_of_present_classes",
    "safe_indexing",
    "safe_split",
    "score_estimator",
    "set_metadata_requests",
    "to_numpy",
    "top_k",
    "validate_parameter_constraints",
    "validate_params",
    "warn_or_raise_about_fit_failures",
]


def pass_labels(scorer: Any, labels: Any) -> Any:
    """Return a scorer of probabilities that passes `labels` to its metric.

    Without them, metrics as the log loss refuse samples that lack a class. All other
    scorers, and those that have labels already, are returned unchanged: the labels of a
    metric of predicted classes would choose the classes that count.
    """
    metric = getattr(scorer, "_score_func", None)
    response = getattr(scorer, "_response_method", None)
    responses = (response,) if isinstance(response, str) else tuple(response or ())
    if metric is None or "predict" in responses or "predict_proba" not in responses:
        return scorer
    if "labels" not in signature(metric).parameters or "labels" in scorer._kwargs:
        return scorer
    given = {**scorer._kwargs, "labels": labels}
    if metric is metrics.roc_auc_score and given.get("multi_class") == "ovr":
        metric = roc_auc_of_present_classes
    return metrics.make_scorer(
        metric,
        response_method=response,
        greater_is_better=scorer._sign > 0,
        **given,
    )


def roc_auc_of_present_classes(
    y_true: Any, y_score: Any, *, labels: Any, **given: Any
) -> float:
    """Return `roc_auc_score` one-vs-rest, averaged over the classes in `y_true`.

    The area is not defined for a class without a sample. scikit-learn's average is not
    a number then.
    """
    is_present = np.isin(labels, y_true)
    if is_present.all() or len(labels) < 3:
        return metrics.roc_auc_score(y_true, y_score, labels=labels, **given)
    indicators = preprocessing.label_binarize(y_true, classes=labels)[:, is_present]
    del given["multi_class"]
    return metrics.roc_auc_score(indicators, y_score[:, is_present], **given)


def has_callbacks(estimator: Any) -> bool:
    """Tell whether scikit-learn's callbacks are set. No public attribute tells it."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def get_metadata_requests(estimator: Any) -> dict[str, dict[str, Any]]:
    """Return what `set_fit_request` and its relatives set, by method and parameter."""
    request = vars(estimator).get("_metadata_request")
    if request is None:
        return {}
    by_method = {name: dict(getattr(request, name).requests) for name in SIMPLE_METHODS}
    return {name: requests for name, requests in by_method.items() if requests}


def set_metadata_requests(estimator: Any, by_method: dict[str, dict[str, Any]]) -> None:
    """Set what `get_metadata_requests` returned; metadata routing may be disabled.

    Raises
    ------
    ValueError
        If a method does not exist, or a request is none.
    """
    request = estimator._get_metadata_request()
    for name, requests in by_method.items():
        if name not in SIMPLE_METHODS:
            raise ValueError(f"{name!r} is no method that takes metadata")
        for param, alias in requests.items():
            getattr(request, name).add_request(param=param, alias=alias)
    estimator._metadata_request = request


def make_callback_context(estimator: Any, max_subtasks: int) -> Any:
    """Return the context of a fit for callbacks, or None before scikit-learn 1.9."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    return estimator._init_callback_context(max_subtasks=max_subtasks)


def make_search_arguments(search: Any) -> dict[str, Any]:
    """Return the arguments that `_run_search` needs, since scikit-learn 1.9 only."""
    if "callback_ctx" not in signature(search._run_search).parameters:
        return {}
    context = make_callback_context(search, max_subtasks=1)
    return {"callback_ctx": context.call_on_fit_task_begin(estimator=search)}


def check_resources(search: Any, X: Any, y: Any, split_params: Any) -> None:
    """Check the resources of a halving search. Its `fit` does it before version 1.9."""
    if hasattr(BaseSearchCV, "_check_input_parameters"):
        search._check_input_parameters(X, y, split_params)


def to_numpy(array: Any) -> Any:
    """Return an array of any library as NumPy's; return other objects unchanged.

    The array is copied only if it is on another device than the CPU.
    """
    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack__"):
        return array
    if hasattr(array, "detach"):  # a tensor of torch
        return array.detach().cpu().numpy()
    return _array_api._convert_to_numpy(array, _array_api.get_namespace(array)[0])


def outputs_match_input(method: _Method) -> _Method:
    """Let a method return arrays of the library of X, on the device of X.

    This is scikit-learn's rule under ``config_context(array_api_dispatch=True)``.
    Otherwise, and for labels that are strings, arrays are NumPy's.
    """

    @wraps(method)
    def call(self: Any, X: Any, *args: Any, **params: Any) -> Any:
        values = method(self, X, *args, **params)
        if (
            not sklearn.get_config()["array_api_dispatch"]
            or isinstance(X, np.ndarray)
            or not hasattr(X, "__dlpack__")
            or not isinstance(values, np.ndarray)
            or values.dtype.kind not in "biuf"
        ):
            return values
        namespace, _ = _array_api.get_namespace(X)
        return namespace.asarray(values, device=_array_api.device(X))

    return call  # type: ignore[return-value]
