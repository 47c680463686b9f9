"""`Net`: the skorch NeuralNet that every estimator stores in ``net_``.

A `Net` stores the state that remains after training: the network, its loss, the
schedule, the monitor, the history, the callbacks and the optimizer state. The temporary
state of one training is in a `skmlp.training.run.TrainingRun` and in the
`skmlp.training.trainer.Trainer` of that run.

During training, all trainable parameters are views of one vector, ``net.flat_.values``.
The optimizer changes this vector in place, so it changes the network's weights too.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import ClassifierTags
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.utils import to_tensor
from torch import Tensor, nn
from torch.optim import Optimizer

from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.deferred_network import DeferredNetwork
from skmlp.training.losses import OUTPUT_ACTIVATIONS, Loss
from skmlp.training.modules.introspection import (
    reference_parameter,
    weight_layers,
)
from skmlp.training.modules.layers import set_dropout_fade
from skmlp.training.optimizers.flat_parameters import FlatParameters, own_storages
from skmlp.training.optimizers.optimizer_state import (
    copy_optimizer_state,
    load_optimizer_state,
)
from skmlp.training.optimizers.rate_factors import parameter_rate_factors
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor

OptimizerState = dict[str, dict[str, Any]]

# Pickles of earlier versions hold these. They are of use in training only.
_ATTRIBUTES_OF_OLD_PICKLES = (
    "flat_",
    "penalty_",
    "step_",
    "update_",
    "average_",
    "recorder_",
    "score",
    "train_score",
)


class _EpochTimer(EpochTimer):
    """skorch's timer of epochs; it does not copy the history to write into it."""

    def on_epoch_end(self, net: "Net", **kwargs: Any) -> None:
        """Record the duration of the epoch."""
        net.epoch_record["dur"] = time.time() - self.epoch_start_time_


class Net(DeferredNetwork, NeuralNet):
    """A skorch net whose trainable parameters are views of one flat vector.

    Parameters
    ----------
    module : nn.Module or None
        Network from features to logits, on its device. None if `defer_network` follows.
    criterion : Loss
        Loss of the logits.
    solver : str or type
        Name or class of the optimizer.
    make_optimizer : callable
        Function that takes the flat parameters and returns a torch optimizer.
    schedule : Schedule
        Learning rate over time.
    monitor : Monitor
        Decides when training stops and which epoch is the best.
    alpha : float or sequence of float
        Strength of the L2 penalty, for all layers or one each.
    max_grad_norm : float or None
        Largest norm of the gradient; longer ones are scaled down to it.
    learning_rate_factors : mapping of str to float, or None
        Factors of the learning rate of groups of parameters; see
        `skmlp.training.optimizers.rate_factors`.
    weight_averaging : float or None
        Decay of the moving average of the weights. After training, the network gets
        the averages.
    amp : bool
        Whether to compute in mixed precision.
    verbose : bool
        Whether to print scikit-learn's line for every epoch.
    callbacks : sequence of skorch callbacks
        Called in addition to skorch's own.

    Attributes
    ----------
    flat_ : FlatParameters
        The trainable parameters as one vector. The attribute exists only between
        `initialize` or `resume` and `release`. Copies and pickles do not have it.
    optimizer_ : Optimizer or None
        Updates the parameters. None for 'lbfgs', and while there is no `flat_`.
    optimizer_state_ : dict or None
        The state that `resume` gives to a new optimizer.
    epochs_ : int
        Number of epochs that the last training has completed.
    converged_ : bool
        Whether training stopped before it reached the maximum number of epochs. It is
        also True after Ctrl-C, and after a divergence that ended with the best weights.
    interrupted_ : bool
        Whether Ctrl-C ended training.
    incremental_ : bool
        Whether the last training was one call of `partial_fit`.
    bests_ : dict of str to float
        The best value of each quantity in the history.
    fit_parameters_ : dict or None
        The parameters of the estimator with which the net was made.
    """

    flat_: FlatParameters
    optimizer_: Any = None
    optimizer_state_: OptimizerState | None = None
    epochs_ = 0
    converged_ = False
    interrupted_ = False
    incremental_ = False
    fit_parameters_: dict[str, Any] | None = None
    bests_: dict[str, float]
    history: Any
    n_outputs: int | None = None
    learning_rate_factors: Mapping[str, Any] | None = None  # older pickles have none

    def __init__(
        self,
        module: nn.Module | None,
        criterion: Loss,
        *,
        solver: str | type[Optimizer],
        make_optimizer: Callable[[FlatParameters], Optimizer],
        schedule: Schedule,
        monitor: Monitor,
        alpha: float | Sequence[float] = 0.0,
        max_grad_norm: float | None = None,
        learning_rate_factors: Mapping[str, Any] | None = None,
        weight_averaging: float | None = None,
        amp: bool = False,
        verbose: bool = False,
        callbacks: Sequence[Callback] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            criterion,
            callbacks=list(callbacks or ()),
            train_split=None,
            verbose=int(verbose),
            **kwargs,
        )
        self.solver = solver
        self.make_optimizer = make_optimizer
        self.schedule = schedule
        self.monitor = monitor
        self.alpha = alpha
        self.max_grad_norm = max_grad_norm
        self.learning_rate_factors = learning_rate_factors
        self.weight_averaging = weight_averaging
        self.amp = amp

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; skorch's method runs for modules and optimizers only."""
        # skorch registers every attribute for pickling. Only torch objects need that.
        if isinstance(value, (nn.Module, Optimizer)):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", _EpochTimer())]

    def user_callbacks(self) -> list[tuple[str, Callback]]:
        """Return the callbacks after skorch's timer, by their names."""
        return self.callbacks_[1:]

    def initialize_history(self) -> "Net":
        """Start an empty history."""
        self.bests_ = {}
        return super().initialize_history()

    def initialize_criterion(self) -> "Net":
        """Use the loss as given; it has no parameters to set."""
        self.criterion_ = self.criterion
        return self

    def initialize_optimizer(self, triggered_directly: None = None) -> "Net":
        """Create `optimizer_` and `flat_`, which moves parameters into one vector."""
        self.flat_ = FlatParameters(self.module_)
        if self.solver != "lbfgs":
            self.optimizer_ = self.make_optimizer(self.flat_)
        self.set_rate_factors()
        return self

    def set_rate_factors(self) -> None:
        """Give the optimizer the factors of the learning rate, if there are any."""
        if (factors := self.rate_factors()) is not None:
            self.optimizer_.rate_factors = self.flat_.expand(factors)

    def on_epoch_begin(self, net: "Net", **kwargs: Any) -> None:
        """Begin the record of an epoch, as skorch does."""
        self.history.new_epoch()
        self.epoch_record["epoch"] = len(self.history)

    @property
    def epoch_record(self) -> dict[str, Any]:
        """The record of the last epoch in the history."""
        # An index of skorch's history copies the list of all epochs.
        return list.__getitem__(self.history, -1)

    def rate_factors(self) -> list[float] | None:
        """Return the factor of the learning rate of each parameter; None means 1."""
        if self.learning_rate_factors is None:
            return None
        return parameter_rate_factors(
            self.module_, self.flat_.parameters, self.learning_rate_factors
        )

    def begin_step(self, n_batches: int) -> None:
        """Set learning rate and dropout of the next step of an epoch of `n_batches`."""
        self.schedule.before_batch(self.optimizer_, n_batches)
        # The fade changes once an epoch. The walk over all modules takes time.
        is_first_step = (self.schedule.steps_done - 1) % n_batches == 0
        if self.schedule.fades and is_first_step:
            set_dropout_fade(self.module_, self.schedule.fade)

    def record(
        self, name: str, value: float, is_better: Callable[[float, float], bool]
    ) -> None:
        """Write a value of this epoch, and whether it is the best, into the history."""
        best = name not in self.bests_ or is_better(value, self.bests_[name])
        if best:
            self.bests_[name] = value
        self.epoch_record.update({name: value, f"{name}_best": best})

    def release(self) -> None:
        """Move weights and optimizer state to the CPU; free the memory of training."""
        state = self.optimizer_state_
        if self.optimizer_ is not None:
            state = copy_optimizer_state(self.optimizer_, copies=False)
        self.drop_optimizer(state)
        self._move_to_cpu()
        for parameter in self.module_.parameters():
            parameter.grad = None

    def _move_to_cpu(self) -> None:
        """Move the network to the CPU, where skorch then computes its predictions."""
        self.device = "cpu"
        if reference_parameter(self.module_).device.type != "cpu":
            self.module_.to("cpu")
            first = reference_parameter(self.module_)
            self.criterion_ = self.criterion_.placed_like(first)

    def resume(self) -> "Net":
        """Make a net trainable again after `release`, a copy or a pickle."""
        if "flat_" not in vars(self):
            with self._current_init_context("optimizer"):
                self.initialize_optimizer()
            if self.optimizer_state_ is not None:
                load_optimizer_state(self.optimizer_, self.optimizer_state_)
                self.optimizer_state_ = None
        return self

    def drop_optimizer(self, optimizer_state: OptimizerState | None) -> None:
        """Delete `flat_` and `optimizer_`; `resume` loads the state into new ones."""
        # The parameters remain views of the vector, whose memory they hold.
        self.__dict__.pop("flat_", None)
        self.optimizer_, self.optimizer_state_ = None, optimizer_state

    def copy_optimizer_state(self) -> OptimizerState | None:
        """Return the state of the optimizer, on the CPU."""
        if self.optimizer_ is None:
            return self.optimizer_state_
        return copy_optimizer_state(self.optimizer_)

    def copy_for_prediction(self) -> "Net":
        """Return a copy of the net for prediction; it has no optimizer."""
        copied = self._shallow_copy(None)
        module = copy.deepcopy(self.module_).eval()
        copied.__dict__.update(
            module=module, module_=module, monitor=self.monitor.copy()
        )
        return copied

    def _shallow_copy(self, optimizer_state: OptimizerState | None) -> "Net":
        """Return a net with the same attributes, except `flat_` and `optimizer_`."""
        copied = object.__new__(type(self))
        copied.__dict__.update(vars(self), module=self.module, module_=self.module_)
        copied.drop_optimizer(optimizer_state)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        copied = self._shallow_copy(self.copy_optimizer_state())
        module = copy.deepcopy(self.module_)  # no views of the vector
        copied.__dict__.update(module=module, module_=module)
        copied._move_to_cpu()  # any machine can load it
        return NeuralNet.__getstate__(copied)

    @in_default_modes  # a tensor that is made in inference mode could not be trained
    def __setstate__(self, state: dict[str, Any]) -> None:
        NeuralNet.__setstate__(self, state)
        # Older pickles name other attributes, and hold each parameter as a view of a
        # vector of its own.
        for name in _ATTRIBUTES_OF_OLD_PICKLES:
            self.__dict__.pop(name, None)
        if isinstance(self.optimizer_, dict):
            self.drop_optimizer(self.optimizer_)
        own_storages(self.module_)

    @contextmanager
    def _with_optimizer(self) -> Iterator[None]:
        """Give the net an optimizer within the block, also after `release`."""
        if "flat_" in vars(self):  # in training
            yield
            return
        history: list[Any] = self.history
        self.resume()
        try:
            yield
        finally:
            self.drop_optimizer(self.copy_optimizer_state())
            # The estimator has the same list as `history_`.
            if self.history is not history:
                history[:] = self.history
                self.history = history

    def save_params(self, *args: Any, **kwargs: Any) -> None:
        """Save parameters, optimizer state and history, as skorch does."""
        with self._with_optimizer():
            super().save_params(*args, **kwargs)

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load parameters, optimizer state and history, as skorch does."""
        with self._with_optimizer():
            super().load_params(*args, **kwargs)

    # Predictions, for skorch's scorers

    @property
    def classes_(self) -> np.ndarray:
        """The encoded classes."""
        n_outputs = self.n_outputs
        if n_outputs is None:
            n_outputs = list(weight_layers(self.module_))[-1].weight.shape[0]
        return np.arange(max(2, n_outputs))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.criterion.output_activation in ("softmax", "logistic"):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type = "regressor"
        return tags

    def infer(self, x: Any, **params: Any) -> Tensor:
        """Return the logits of samples of any dtype."""
        dtype = reference_parameter(self.module_).dtype
        return super().infer(to_tensor(x, device=self.device).to(dtype), **params)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the outputs after their activation; two columns for two classes."""
        predicted = super().predict_proba(X)
        is_binary = self.criterion_.output_activation == "logistic"
        if is_binary and predicted.ndim == 2 and predicted.shape[1] == 1:
            return np.hstack([1 - predicted, predicted])
        return predicted

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions encoded as the targets, for skorch's scorers.

        Parameters
        ----------
        X : ndarray, Tensor or Dataset

        Returns
        -------
        y : ndarray
            Indices of classes, 0 and 1, or numbers.
        """
        predicted = super().predict_proba(X)
        activation = self.criterion_.output_activation
        if activation == "softmax":
            return predicted.argmax(axis=-1)
        return (predicted > 0.5).astype(int) if activation == "logistic" else predicted

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        return OUTPUT_ACTIVATIONS[self.criterion_.output_activation]
