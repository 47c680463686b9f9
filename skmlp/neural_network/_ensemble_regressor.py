"""An ensemble of networks whose predictions are averaged."""

from typing import Any, Self

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import get_tags

from skmlp._sklearn_bases import RegressorMixin, available_if, fit_context
from skmlp._sklearn_compat import outputs_match_input
from skmlp.neural_network._base.parameters.declaration import with_shared_parameters
from skmlp.neural_network._base.regressor import BaseRegressor
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._ensembles.base import BaseNetworkEnsemble
from skmlp.neural_network._ensembles.members import members_have_partial_fit
from skmlp.neural_network._ensembles.parameters import ensemble_parameters
from skmlp.neural_network._pipelines import final_estimator
from skmlp.neural_network._regressor import MLPRegressor


@with_shared_parameters
class EnsembleRegressor(RegressorMixin, BaseNetworkEnsemble):
    """Ensemble that averages the predictions of several networks.

    The members have different seeds. All members are trained on the same samples, or
    with ``bootstrap=True`` each member on a bootstrap sample.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    estimator_ : regressor
        The estimator that was cloned.
    estimators_ : list of regressors
        The fitted members. They have no feature names.
    estimators_samples_ : list of ndarray of shape (n_samples,)
        Indices of the samples drawn for each member; empty without `bootstrap`.
    n_features_in_ : int
        Number of features; for images ``height * width * channels``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names.

    See Also
    --------
    MLPRegressor : A single network.
    EnsembleClassifier : For classes instead of numbers.
    sklearn.ensemble.BaggingRegressor : For any regressor; can draw features too.

    Notes
    -----
    The squared error of averaged predictions is at most the average squared error of
    the members. It is smaller by the variance of their predictions (Krogh and Vedelsby
    1995, "Neural Network Ensembles, Cross Validation, and Active Learning"). The same
    inequality holds for every loss that is convex in the prediction, by Jensen's
    inequality: the absolute error, Huber's loss, log-cosh, the Poisson deviance and the
    loss of a quantile. Predicted quantiles are averaged level by level.

    The standard deviation of the members, ``np.std([m.predict(X) for m in model], 0)``,
    measures how much they disagree.

    Put the ensemble at the end of a Pipeline if possible. Then X is transformed once.
    In an ensemble of Pipelines, each member transforms X, and the transformers do not
    receive the sample weights.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.preprocessing import scale
    >>> from skmlp.neural_network import EnsembleRegressor, MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     scale(X), scale(y), random_state=0)
    >>> network = MLPRegressor(hidden_layer_sizes=20, tol=0.001, max_iter=500)
    >>> model = EnsembleRegressor(network, 5, random_state=0).fit(X_train, y_train)
    >>> scores = model.member_scores(X_test, y_test)
    >>> scores.shape
    (5,)
    >>> bool(model.score(X_test, y_test) > scores.mean())
    True
    """

    _target_checks = {"multi_output": True, "y_numeric": True}  # noqa: RUF012

    _parameters_not_shared = ensemble_parameters(
        "regressor", "MLPRegressor", "predict", ""
    )

    @available_if(members_have_partial_fit)
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Call `partial_fit` of every member, one after the other.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight=sample_weight)

    @outputs_match_input
    def predict(self, X: Any) -> np.ndarray:
        """Return the average of the members' predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._average_of_members("predict", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of the average predictions, by the metric of the members.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            As `sklearn.metrics.r2_score`. For networks with ``loss='quantile'``, as
            `sklearn.metrics.d2_pinball_score`, averaged over the levels.
        """
        predicted = self.predict(X)
        network = final_estimator(self.estimators_[0])
        if isinstance(network, BaseRegressor):
            return network._score_predictions(y, predicted, sample_weight)
        return r2_score(y, predicted, sample_weight=sample_weight)

    def _get_estimator(self) -> Any:
        return MLPRegressor() if self.estimator is None else self.estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        members = get_tags(self._get_estimator())
        if members.regressor_tags is not None:
            tags.regressor_tags.poor_score = members.regressor_tags.poor_score
        return tags
