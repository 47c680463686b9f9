"""Check that parameters and the arguments of `fit` do not contradict each other."""

from typing import Any

import numpy as np
from sklearn.metrics import get_scorer

from skmlp.neural_network._fit.cross_validation import (
    refuse_checkpoint_in_cross_validation,
)
from skmlp.neural_network._fit.user_callbacks import check_callbacks
from skmlp.training.losses import check_user_loss
from skmlp.training.modules.activations import check_activation
from skmlp.training.optimizers.factory import takes_optimizer_params
from skmlp.training.optimizers.muon import check_muon
from skmlp.training.optimizers.rate_factors import check_rate_factors
from skmlp.training.optimizers.user_optimizers import check_user_optimizer
from skmlp.training.schedules import check_user_schedule


def check_validation_arguments(
    solver: Any, X_val: Any, y_val: Any, sample_weight_val: Any
) -> None:
    """Raise ValueError for an incomplete validation set, or one that is not used."""
    if X_val is not None and y_val is None:
        raise ValueError("X_val was given without y_val.")
    if y_val is not None and X_val is None:
        raise ValueError("y_val was given without X_val.")
    if sample_weight_val is not None and X_val is None:
        raise ValueError("sample_weight_val was given without X_val and y_val.")
    if X_val is not None and solver == "lbfgs":
        raise ValueError(
            "X_val was given, but solver='lbfgs' has no epochs to validate; leave it "
            "out or use another solver."
        )


def check_parameter_combinations(
    estimator: Any, has_X_val: bool, incremental: bool
) -> None:
    """Raise ValueError for unsupported combinations of parameters.

    Parameters
    ----------
    estimator : BaseNetwork
        Its parameters are valid one by one.
    has_X_val : bool
        Whether `fit` got a validation set.
    incremental : bool
        Whether the method is `partial_fit`.
    """
    solver = estimator.solver
    _check_user_parts(estimator)
    if estimator.optimizer_params and not takes_optimizer_params(solver):
        raise ValueError(
            f"optimizer_params={estimator.optimizer_params!r}, but the parameters of "
            f"solver={solver!r} are the estimator's own."
        )
    loss = getattr(estimator, "loss", "")
    smoothing = getattr(estimator, "label_smoothing", 0)
    if smoothing and loss != "log_loss":
        raise ValueError(
            f"label_smoothing={smoothing!r} changes the targets of loss='log_loss' "
            f"only, but loss={loss!r}; set label_smoothing=0."
        )
    if hasattr(estimator, "quantile"):
        _check_quantile(estimator.quantile)
    if incremental and getattr(estimator, "class_weight", None) == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all rows, which partial_fit does not see; "
            "give the weights as a dict."
        )
    if isinstance(estimator.scoring, str) and estimator.scoring != "loss":
        get_scorer(estimator.scoring)  # refuses unknown names
    for name in ("augmentation", "predict_augmentation"):
        _check_augmentation(name, getattr(estimator, name, None), estimator.conv_dims)
    if (factors := getattr(estimator, "learning_rate_factors", None)) is not None:
        check_rate_factors(factors, solver)
    check_callbacks(estimator.callbacks)
    if estimator.weight_averaging is not None and (incremental or solver == "lbfgs"):
        raise ValueError(
            "weight_averaging needs fit and a stochastic solver; set it to None."
        )
    if estimator.checkpoint is not None and not incremental:
        _check_checkpoint(estimator)
    if estimator.refit_full and solver == "lbfgs":
        raise ValueError(
            "refit_full=True needs a best epoch, but solver='lbfgs' has no epochs."
        )
    if estimator.refit_full and not (estimator.early_stopping or has_X_val):
        raise ValueError(
            "refit_full=True needs a validation score; use early_stopping=True or give "
            "X_val and y_val."
        )


def _check_user_parts(estimator: Any) -> None:
    """Raise an error for a callable or class that cannot be used in training."""
    solver, schedule = estimator.solver, estimator.learning_rate
    if not isinstance(solver, str):
        check_user_optimizer(
            solver, estimator.learning_rate_init, estimator.optimizer_params
        )
    elif solver == "muon":
        check_muon()
    if not isinstance(schedule, str):
        check_user_schedule(schedule)
    loss = getattr(estimator, "loss", "")
    if not isinstance(loss, str):
        check_user_loss(loss)
    activation = getattr(estimator, "activation", "identity")
    if not isinstance(activation, str):
        check_activation(activation, has_images=hasattr(estimator, "conv_channels"))


def _check_quantile(quantile: Any) -> None:
    """Raise ValueError for levels that are no numbers in (0, 1)."""
    levels = np.asarray(quantile)
    valid = levels.dtype.kind in "fiu" and levels.ndim < 2 and levels.size > 0
    if not valid or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(
            "quantile must be a number in (0, 1), or a flat sequence of such numbers, "
            f"got {quantile!r}."
        )


def _check_checkpoint(estimator: Any) -> None:
    """Raise ValueError for a checkpoint with lbfgs, warm_start or several fits."""
    refuse_checkpoint_in_cross_validation(
        estimator.checkpoint, type(estimator).__name__
    )
    if estimator.solver == "lbfgs":
        raise ValueError(
            "checkpoint is written after epochs, but solver='lbfgs' has none; set it "
            "to None or use another solver."
        )
    if estimator.warm_start:
        raise ValueError(
            "checkpoint is of one fit from its beginning, but warm_start=True "
            "continues the fit before; set one of them to its default."
        )


def _check_augmentation(name: str, augmentation: Any, n_dims: int) -> None:
    """Raise TypeError for a class instead of an instance; validate its parameters.

    With one dimension (`n_dims`), it augments signals.
    """
    if isinstance(augmentation, type):
        raise TypeError(
            f"{name} is the class {augmentation.__name__}; give an instance of it, "
            f"{name}={augmentation.__name__}(...)."
        )
    for method in ("validate", *(["validate_for_signals"] if n_dims == 1 else [])):
        if validate := getattr(augmentation, method, None):
            validate()
