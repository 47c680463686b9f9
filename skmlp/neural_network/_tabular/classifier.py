"""`TabularClassifier`: classes from a table."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets

from skmlp._sklearn_bases import ClassifierMixin, fit_context
from skmlp.neural_network._base.inputs import ravel_column
from skmlp.neural_network._base.parameters import Parameter
from skmlp.neural_network._base.parameters.declaration import (
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._tabular.base import BaseTabular
from skmlp.neural_network._tabular.parameters import (
    TABULAR_PARAMETERS,
    activation_parameter,
    learning_rate_parameter,
)


@with_shared_parameters
class TabularClassifier(ClassifierMixin, BaseTabular):
    """Classifier for tables: an ensemble of networks behind an encoder of the columns.

    A frame of pandas, polars or Arrow, or an array, goes in without preparation.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns. Defined only if X is a frame whose column names are all
        strings.
    estimators_ : list of MLPClassifier
        The members. Their features are the encoded columns.
    encoder_ : transformer
        Turns a table into an array of numbers. `get_feature_names_out` names its
        columns.
    bin_encoder_ : PiecewiseLinearEncoder or None
        Encodes the numbers for members with ``numerical_embedding='ple'``.
    n_iter_ : int
        Number of epochs of the first member. All members with the same embedding have
        the same number.
    best_epoch_ : int or None
        The epoch whose weights the first member has, counted from 1. All members with
        the same embedding have the same one.

    See Also
    --------
    TabularRegressor : For numbers instead of classes.
    MLPClassifier : One network, for features that are numbers of a similar scale.
    sklearn.ensemble.HistGradientBoostingClassifier : Trees instead of networks.

    Notes
    -----
    - Numbers are transformed to a normal distribution by their quantiles. Gaps are
      filled by the median, and marked by a further column. Categories with up to nine
      levels become columns of 0 and 1, others trainable vectors. Dates become numbers.
    - Each member is validated on its own part of the samples. All members keep the
      weights of the same epoch: the one with the lowest mean validation loss. This
      epoch may differ between the two kinds of embeddings.
    - Network and training follow RealMLP (Holzmüller et al. 2024, arXiv:2407.04491),
      the embeddings Gorishniy et al. (2022), arXiv:2203.05556, and the pack of members
      TabM (Gorishniy et al. 2024, arXiv:2410.24210).
    - An array outside memory (`numpy.memmap`, h5py, zarr) is read whole.
    - There is no ``feature_importances_``, because no cheap value would be right. Use
      `sklearn.inspection.permutation_importance`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmlp.neural_network import TabularClassifier
    >>> frame = pd.DataFrame({
    ...     "size": [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0] * 20,
    ...     "color": ["red", "red", "blue", "blue"] * 40,
    ... })
    >>> y = (["small"] * 4 + ["large"] * 4) * 20
    >>> model = TabularClassifier(preset="fast", random_state=0).fit(frame, y)
    >>> model.score(frame, y) > 0.8
    True
    """

    class_weight: Mapping[Any, float] | str | None
    classes_: np.ndarray

    _parameters_not_shared: ClassVar[dict[str, Parameter]] = {
        **TABULAR_PARAMETERS,
        **activation_parameter("selu"),
        **learning_rate_parameter(0.04),
    }

    def __init__(
        self,
        *,
        preset: str = "default",
        n_estimators: int | str = "auto",
        max_iter: int | str = "auto",
        hidden_layer_sizes: int | Sequence[int] = (128, 128),
        activation: str = "selu",
        numerical_embedding: str | None = "auto",
        categorical_features: Any = "from_dtype",
        learning_rate_init: float = 0.04,
        batch_size: int | str = "auto",
        dropout: float = 0.15,
        weight_decay: float = 0.02,
        early_stopping: bool = True,
        validation_fraction: float = 0.125,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        n_jobs: int | None = None,
        verbose: bool | int | str = False,
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        set_init_arguments(self, locals())

    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn the encoding of the columns, and train all members.

        Parameters
        ----------
        X : DataFrame of pandas or polars, Arrow table, or array-like, of shape \
(n_samples, n_features)
            Training samples: numbers, texts, bools, categories and dates, with gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type, or an indicator matrix for several labels per sample.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, none of them negative.
        X_val, y_val : as X and y, default=None
            Validation set of all members, instead of their folds.
        sample_weight_val : array-like, default=None
            Sample weights of the validation set.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X is not a table, has infinite numbers, or has fewer than two samples.
        TypeError
            If X is sparse, or has values that are no numbers, texts, bools or dates.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    def _check_targets(self, y: Any, name: str = "y") -> np.ndarray:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        if scipy.sparse.issparse(y):
            y = y.toarray()
        if hasattr(y, "to_numpy"):
            y = y.to_numpy()
        y = check_array(y, ensure_2d=False, dtype=None, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1:
            y = ravel_column(y)
        check_classification_targets(y)
        return y

    def _start_targets(self, y: np.ndarray) -> None:
        self._multilabel = y.ndim == 2
        self.classes_ = np.arange(y.shape[1]) if self._multilabel else np.unique(y)

    def _member_targets(self, y: np.ndarray) -> np.ndarray:
        return y

    def _make_member(self, params: dict[str, Any]) -> MLPClassifier:
        return MLPClassifier(class_weight=self.class_weight, **params)

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None if self._multilabel else np.searchsorted(self.classes_, y)

    def _member_outputs(self, member: Any, X: np.ndarray) -> np.ndarray:
        return member.predict_proba(X)

    def _mean_loss(
        self, outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        smallest = np.finfo(np.float32).eps
        if self._multilabel:
            chosen = np.where(y.astype(bool), outputs, 1.0 - outputs)
            losses = -np.log(chosen.clip(smallest)).sum(axis=1)
        else:
            positions = np.arange(len(y)), np.searchsorted(self.classes_, y)
            losses = -np.log(outputs[positions].clip(smallest))
        return float(np.average(losses, weights=weight))

    # Predictions

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the average of the members' probabilities.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are ordered as `classes_`.
        """
        probabilities = self._predict_outputs(X)
        if len(self.classes_) == 1:  # members have a second column even so
            return np.ones((len(probabilities), 1))
        if not self._multilabel:  # members round to float32
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,), or (n_samples, n_classes) of 0 and 1
            The matrix if samples have several labels.
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the fraction of samples with all labels correct.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
        """
        return accuracy_score(y, self.predict(X), sample_weight=sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
