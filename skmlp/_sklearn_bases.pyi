from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

_F = TypeVar("_F", bound=Callable[..., Any])

__all__ = [
    "BaseCrossValidator",
    "BaseEnsemble",
    "BaseEstimator",
    "BaseSearchCV",
    "Bunch",
    "CallbackSupportMixin",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "OneToOneFeatureMixin",
    "RandomizedSearchCV",
    "RegressorMixin",
    "TransformerMixin",
    "available_if",
    "fit_context",
    "validate_params",
]

def available_if(check: Callable[[Any], Any]) -> Callable[[_F], _F]: ...
def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_F], _F]: ...
def validate_params(
    parameter_constraints: Mapping[str, Any], *, prefer_skip_nested_validation: bool
) -> Callable[[_F], _F]: ...

class Bunch(dict[str, Any]):
    def __init__(self, **kwargs: Any) -> None: ...
    def __getattr__(self, key: str) -> Any: ...
    def __setattr__(self, key: str, value: Any) -> None: ...

class BaseEstimator:
    _parameter_constraints: ClassVar[dict[str, Any]]
    n_features_in_: int
    feature_names_in_: np.ndarray
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def get_metadata_routing(self) -> Any: ...
    # scikit-learn adds these to classes whose method accepts metadata.
    def set_fit_request(self, **requests: bool | str | None) -> Self: ...
    def set_partial_fit_request(self, **requests: bool | str | None) -> Self: ...
    def set_score_request(self, **requests: bool | str | None) -> Self: ...
    @classmethod
    def _get_param_names(cls) -> list[str]: ...
    def _validate_params(self) -> None: ...
    def _html_repr(self) -> str: ...
    def __repr__(self, N_CHAR_MAX: int = 700) -> str: ...
    def __getstate__(self) -> dict[str, Any]: ...
    def __setstate__(self, state: dict[str, Any]) -> None: ...
    def __sklearn_clone__(self) -> Self: ...
    def __sklearn_tags__(self) -> Any: ...

class CallbackSupportMixin:
    def set_callbacks(self, *callbacks: Any) -> Self: ...

class ClassifierMixin:
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...
    def __sklearn_tags__(self) -> Any: ...

class RegressorMixin:
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...
    def __sklearn_tags__(self) -> Any: ...

class TransformerMixin:
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray: ...
    def set_output(self, *, transform: str | None = None) -> Self: ...
    def __sklearn_tags__(self) -> Any: ...

class ClassNamePrefixFeaturesOutMixin:
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray: ...

class OneToOneFeatureMixin:
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray: ...

class BaseEnsemble(BaseEstimator, metaclass=ABCMeta):
    estimator: Any
    n_estimators: int
    estimator_: Any
    estimators_: list[Any]
    @abstractmethod
    def __init__(
        self,
        estimator: Any = None,
        *,
        n_estimators: int = 10,
        estimator_params: tuple[str, ...] = (),
    ) -> None: ...
    def _validate_estimator(self, default: Any = None) -> None: ...
    def _make_estimator(self, append: bool = True, random_state: Any = None) -> Any: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...

class BaseCrossValidator(metaclass=ABCMeta):
    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]: ...
    @abstractmethod
    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int: ...
    def get_metadata_routing(self) -> Any: ...

class BaseSearchCV(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    estimator: Any
    scoring: Any
    n_jobs: int | None
    refit: bool | str | Callable[..., int]
    cv: Any
    verbose: int
    pre_dispatch: int | str
    error_score: float | str
    return_train_score: bool
    best_estimator_: Any
    best_index_: int
    best_params_: dict[str, Any]
    best_score_: float
    cv_results_: dict[str, Any]
    multimetric_: bool
    n_splits_: int
    refit_time_: float
    scorer_: Any
    _checked_cv_orig: Any
    @abstractmethod
    def __init__(
        self,
        estimator: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = ...,
        return_train_score: bool = True,
    ) -> None: ...
    @property
    def classes_(self) -> np.ndarray: ...
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self: ...
    def score(self, X: Any, y: Any = None, **params: Any) -> float: ...
    def predict(self, X: Any) -> np.ndarray: ...
    def predict_proba(self, X: Any) -> np.ndarray: ...
    def predict_log_proba(self, X: Any) -> np.ndarray: ...
    def decision_function(self, X: Any) -> np.ndarray: ...
    def score_samples(self, X: Any) -> np.ndarray: ...
    def transform(self, X: Any) -> Any: ...
    def inverse_transform(self, X: Any) -> Any: ...
    def _run_search(
        self, evaluate_candidates: Any, *, callback_ctx: Any = None
    ) -> None: ...
    def _get_scorers(self) -> tuple[Any, Any]: ...
    def _get_routed_params_for_fit(self, params: dict[str, Any]) -> Any: ...
    def _check_refit_for_multimetric(self, scores: Any) -> None: ...
    @staticmethod
    def _select_best_index(refit: Any, refit_metric: Any, results: Any) -> int: ...
    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]: ...

class GridSearchCV(BaseSearchCV):
    param_grid: Any
    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = ...,
        return_train_score: bool = False,
    ) -> None: ...

class RandomizedSearchCV(BaseSearchCV):
    param_distributions: Any
    n_iter: int
    random_state: int | np.random.RandomState | None
    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: int | np.random.RandomState | None = None,
        error_score: float | str = ...,
        return_train_score: bool = False,
    ) -> None: ...

class _HalvingSearch(BaseSearchCV, metaclass=ABCMeta):
    factor: float
    resource: str
    max_resources: int | str
    min_resources: int | str
    aggressive_elimination: bool
    random_state: int | np.random.RandomState | None
    n_candidates_: list[int]
    n_iterations_: int
    n_possible_iterations_: int
    n_remaining_candidates_: int
    n_required_iterations_: int
    n_resources_: list[int]
    max_resources_: int
    min_resources_: int

class HalvingGridSearchCV(_HalvingSearch):
    param_grid: Any
    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: int | str = "auto",
        min_resources: int | str = "exhaust",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | Callable[..., int] = True,
        error_score: float | str = ...,
        return_train_score: bool = True,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None: ...

class HalvingRandomSearchCV(_HalvingSearch):
    param_distributions: Any
    n_candidates: int | str
    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_candidates: int | str = "exhaust",
        factor: float = 3,
        resource: str = "n_samples",
        max_resources: int | str = "auto",
        min_resources: int | str = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool | Callable[..., int] = True,
        error_score: float | str = ...,
        return_train_score: bool = True,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None: ...
