"""Networks whose module the user writes: `TorchClassifier` and `TorchRegressor`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from skmlp.neural_network._base.classifier import BaseClassifier, DecisionFunctionMixin
from skmlp.neural_network._base.parameters import (
    CLASSIFICATION_LOSS_PARAMETER,
    REGRESSION_LOSS_PARAMETER,
)
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    with_shared_parameters,
)
from skmlp.neural_network._base.regressor import BaseRegressor
from skmlp.neural_network._module.building import name_of_module
from skmlp.neural_network._module.estimator import MODULE_PARAMETERS, ModuleNetwork


@with_shared_parameters
class TorchClassifier(ModuleNetwork, DecisionFunctionMixin, BaseClassifier):
    """Classifier with your own torch module as its network.

    Training, validation, packs, pictures and files are those of `MLPClassifier`.

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
    TorchRegressor : For continuous targets.
    MLPClassifier : Without a module to write.

    Notes
    -----
    - For two classes, the module returns one or two logits. A module that takes
      `n_outputs` gets 1, and one that takes `n_classes` gets 2.
    - ``coefs_`` and ``intercepts_`` hold the dense layers and convolutions of the
      module.
    - A module that is an `nn.Sequential` of dense layers and common activations trains
      with the same handwritten gradients and in the same packs as `MLPClassifier`.
    - On a GPU, only draws on the GPU are reproducible in training.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from skmlp.neural_network import TorchClassifier
    >>> class Perceptron(nn.Module):
    ...     def __init__(self, n_features, n_classes, hidden=100):
    ...         super().__init__()
    ...         self.dense = nn.Linear(n_features, hidden)
    ...         self.norm = nn.LayerNorm(hidden)
    ...         self.output = nn.Linear(hidden, n_classes)
    ...     def forward(self, x):
    ...         return self.output(self.norm(self.dense(x)).relu())
    >>> X, y = load_digits(return_X_y=True)
    >>> model = TorchClassifier(Perceptron, module__hidden=50, tol=0.01, random_state=0)
    >>> model.fit(X / 16, y).score(X / 16, y) > 0.95
    True
    """

    _parameters_not_shared = CLASSIFICATION_LOSS_PARAMETER | MODULE_PARAMETERS
    _are_classes = True

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        image_shape: Sequence[Int] | None = None,
        solver: str | type[torch.optim.Optimizer] = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: Int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.001,
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
        **module_arguments: Any,
    ) -> None:
        self._set_parameters(locals())

    def _module_sizes(self, n_features: int, n_outputs: int) -> dict[str, Any]:
        has_two = self._target_type == "binary"  # also if y has one class only
        n_classes = 2 if has_two else len(self.classes_)
        return super()._module_sizes(n_features, n_outputs) | {"n_classes": n_classes}

    def _set_output_attributes(self) -> None:
        """Treat two classes as several, if the module returns a logit for each."""
        if self._target_type != "binary" or self._count_outputs() != 2:
            return
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, but module={name_of_module(self.module)} returns "
                "logits of two classes; give samples of both, or return one logit."
            )
        self._target_type, self.n_outputs_ = "multiclass", 2


@with_shared_parameters
class TorchRegressor(ModuleNetwork, BaseRegressor):
    """Regressor with your own torch module as its network.

    Training, validation, packs, pictures and files are those of `MLPRegressor`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    TorchClassifier : For classes. It has notes about modules.
    MLPRegressor : Without a module to write.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from torch import nn
    >>> from skmlp.neural_network import TorchRegressor
    >>> def make_module(n_features, n_outputs, hidden=10):
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, hidden), nn.Tanh(), nn.Linear(hidden, n_outputs)
    ...     )
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TorchRegressor(make_module, solver="lbfgs", tol=0.01, random_state=0)
    >>> model.fit(scale(X), scale(y)).score(scale(X), scale(y)) > 0.5
    True
    """

    _parameters_not_shared = REGRESSION_LOSS_PARAMETER | MODULE_PARAMETERS

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        image_shape: Sequence[Int] | None = None,
        loss: str | Callable[..., torch.Tensor] = "squared_error",
        quantile: float | Sequence[float] = 0.5,
        huber_delta: float = 1.0,
        solver: str | type[torch.optim.Optimizer] = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: Int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.001,
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
        init_from: Any = None,
        frozen_layers: Sequence[Int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
        **module_arguments: Any,
    ) -> None:
        self._set_parameters(locals())
