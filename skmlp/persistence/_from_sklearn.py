"""Convert fitted networks of scikit-learn to networks of skmlp."""

from typing import Any

import numpy as np
from sklearn import neural_network as theirs
from sklearn.utils.validation import check_is_fitted

from skmlp import neural_network as ours

_ATTRIBUTES = (
    "best_loss_",
    "best_validation_score_",
    "classes_",
    "feature_names_in_",
    "loss_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "t_",
    "validation_scores_",
)


def from_sklearn(
    estimator: theirs.MLPClassifier | theirs.MLPRegressor,
) -> ours.MLPClassifier | ours.MLPRegressor:
    """Convert a fitted network of scikit-learn to a network of skmlp.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
        A fitted estimator.

    Returns
    -------
    converted : MLPClassifier or MLPRegressor
        A fitted estimator of skmlp with the same parameters, the same fitted attributes
        and a copy of the weights. `partial_fit` continues from these weights with a new
        optimizer.

    Raises
    ------
    TypeError
        If `estimator` has another class.
    NotFittedError
        If `estimator` is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skmlp.persistence import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = MLPClassifier(solver="lbfgs", tol=0.01, random_state=0).fit(X, y)
    >>> ours = from_sklearn(theirs)
    >>> np.allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-12)
    True
    """
    if isinstance(estimator, theirs.MLPClassifier):
        converted: Any = ours.MLPClassifier(**estimator.get_params(deep=False))
    elif isinstance(estimator, theirs.MLPRegressor):
        converted = ours.MLPRegressor(**estimator.get_params(deep=False))
    else:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; give scikit-learn's "
            "MLPClassifier or MLPRegressor."
        )
    check_is_fitted(estimator)
    fitted = vars(estimator)
    attributes = {name: fitted[name] for name in _ATTRIBUTES if name in fitted}
    arrays = _network_arrays(estimator.coefs_, estimator.intercepts_)
    attributes |= {
        "_data_shape": None,
        "image_shape_": None,
        "n_parameters_": sum(array.size for array in arrays.values()),
        "_monitor": {
            "tol": estimator.tol,
            "n_iter_no_change": estimator.n_iter_no_change,
            "early_stopping": estimator.early_stopping,
            "samples_seen": int(fitted.get("t_", 0)),
            "best_loss": _default_if_none(fitted.get("best_loss_"), np.inf),
            "best_validation_score": _default_if_none(
                fitted.get("best_validation_score_"), -np.inf
            ),
        },
    }
    if scores := fitted.get("validation_scores_"):
        attributes["_monitor"]["best_epoch"] = int(np.argmax(scores)) + 1
    if estimator.solver != "lbfgs":
        attributes["best_epoch_"] = attributes["_monitor"].get("best_epoch")
    if "classes_" in attributes:
        attributes["_target_type"] = _target_type(estimator)
        attributes["_sparse_targets"] = False
    converted.__skmlp_restore__(attributes, arrays, "cpu")
    return converted


def _network_arrays(
    coefs: list[np.ndarray], intercepts: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return weights and biases in the layout and by the names of skmlp."""
    names = [f"dense{i}" for i in range(1, len(coefs))] + ["output"]
    arrays = {}
    for name, coef, intercept in zip(names, coefs, intercepts, strict=True):
        arrays[f"{name}.weight"] = np.ascontiguousarray(coef.T)
        arrays[f"{name}.bias"] = intercept
    return arrays


def _target_type(classifier: theirs.MLPClassifier) -> str:
    """Return the type of the targets, which the output activation determines."""
    if classifier.out_activation_ == "softmax":
        return "multiclass"
    return "binary" if classifier.n_outputs_ == 1 else "multilabel-indicator"


def _default_if_none(value: float | None, default: float) -> float:
    """Return a value, or a default if it is None."""
    return default if value is None else value
