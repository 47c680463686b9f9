"""Softmax regression: a network without hidden layers."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skmlp.neural_network._base.classifier import BaseClassifier, DecisionFunctionMixin
from skmlp.neural_network._base.parameters import CLASSIFICATION_LOSS_PARAMETER, SHARED
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.training.modules.layers import build_mlp


@with_shared_parameters
class SoftmaxRegression(DecisionFunctionMixin, BaseClassifier):
    """Multinomial logistic regression, trained like the networks.

    The model is one linear layer from features to classes. Use it as the baseline of a
    comparison with networks: it has the same solvers, schedules, early stopping and
    devices.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    {attributes}

    See Also
    --------
    MLPClassifier : With hidden layers.
    sklearn.linear_model.LogisticRegression : Trained to convergence.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = SoftmaxRegression(solver="lbfgs", random_state=0).fit(X, y)
    >>> model.coefs_[0].shape
    (4, 3)
    """

    _parameters_not_shared = CLASSIFICATION_LOSS_PARAMETER | {
        "learning_rate_init": SHARED["learning_rate_init"]._replace(
            type="float, default=0.01"
        ),
        "init": SHARED["init"]._replace(
            text="Initializer of the weights. 'auto' is 'truncated_normal'. "
            "The biases are the logits of the (weighted) class priors; with hinge "
            "losses and callables they are zero. All "
            "others start with biases of zero, as in Keras."
        ),
    }

    _uses_class_priors = True

    # `initialize` needs an activation. It has no effect without hidden layers.
    activation = "identity"

    def __init__(
        self,
        *,
        solver: str | type[torch.optim.Optimizer] = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: Int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.01,
        power_t: float = 0.5,
        max_iter: Int = 200,
        shuffle: bool = True,
        random_state: Int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | Int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Int | float = 10,
        max_fun: Int = 15000,
        init: str = "auto",
        label_smoothing: float = 0.0,
        loss: str | Callable[..., torch.Tensor] = "log_loss",
        focal_gamma: float = 2.0,
        class_weight: Mapping[Any, float] | str | None = None,
        augmentation: Callable[..., torch.Tensor] | None = None,
        train_size: Int | float | None = None,
        scoring: str | Callable[..., float] | None = None,
        restore_best_weights: bool = True,
        refit_full: bool = False,
        record_train_score: bool = False,
        device: str | torch.device = "auto",
        dtype: str | None = None,
        amp: bool = False,
        callbacks: Sequence[Any] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        max_grad_norm: float | None = None,
        weight_averaging: float | None = None,
        warmup_epochs: float = 0,
        step_size: Int = 10,
        gamma: float = 0.1,
        temperature: float = 1.0,
        init_from: Any = None,
        frozen_layers: Sequence[Int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
    ) -> None:
        set_init_arguments(self, locals())

    def _initializer_name(self) -> str:
        # 'auto' is not 'zeros' for this reason: with zero weights and biases from class
        # priors, the first gradient of the biases is only a rounding error. Adam would
        # scale it to a full step.
        return "truncated_normal" if self.init == "auto" else self.init

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        return build_mlp(n_features, [], n_outputs)
