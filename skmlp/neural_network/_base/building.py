"""Build the network and the net of a training from the parameters of an estimator.

The two words are close: a *network* is the torch module from samples to logits, and a
*net* is the skorch `Net` that wraps it.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from numbers import Real
from typing import Any, Self, cast

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skmlp.neural_network._base.training_data import TrainingDataBuilder
from skmlp.neural_network._fit.changed_parameters import record_parameters
from skmlp.neural_network._fit.fit_data import FitData
from skmlp.neural_network._fit.progress import prints_epochs
from skmlp.neural_network._fit.transfer import copy_shared_layers, freeze_layers
from skmlp.neural_network._fit.user_callbacks import copy_callbacks
from skmlp.training.compute.devices import resolve_dtype
from skmlp.training.compute.interrupts import delayed_interrupt
from skmlp.training.compute.seeds import torch_generator
from skmlp.training.data.device_tensors import to_dense_aligned
from skmlp.training.losses import Loss
from skmlp.training.modules.data_dependent import initialize_from_data
from skmlp.training.modules.introspection import (
    known_modules,
    reference_parameter,
    weight_layers,
)
from skmlp.training.modules.layers import Dropout, initialize, set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.optimizers.factory import make_optimizer
from skmlp.training.prototypes import CopiedNetwork
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor

# Number of samples to which ``init='data_dependent'`` fits the initial weights.
_N_SAMPLES_OF_INITIALIZER = 1024


class NetworkBuilder(TrainingDataBuilder):
    """Builds the network and the net of a fit; not for direct use."""

    activation: str | Callable[..., Any]
    alpha: float | Sequence[float]
    learning_rate: str | Callable[[float], float]
    learning_rate_init: float
    power_t: float
    max_iter: int
    verbose: bool | int | str
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    init: str
    tol: float
    n_iter_no_change: float
    restore_best_weights: bool
    dtype: str | None
    amp: bool
    max_grad_norm: float | None
    warmup_epochs: float
    step_size: int
    gamma: float
    init_from: Any
    frozen_layers: Sequence[int | str] | None

    _monitor: Monitor

    # Whether ``init='auto'`` sets the output biases to the logits of the class priors.
    _uses_class_priors = False

    # Hooks of the estimators

    @abstractmethod
    def _make_network(self, n_features: int, n_outputs: int) -> nn.Module:
        """Return a new network from samples to logits, with any weights."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss function, whose arguments are logits and targets."""

    def _initializer_name(self) -> str:
        """Return ``init``; a subclass may replace 'auto' by its own initializer."""
        return self.init

    def _draw_network(
        self,
        n_features: int,
        random_state: np.random.RandomState,
        device: torch.device,
        dtype: torch.dtype,
    ) -> nn.Module:
        """Return a new network with its initial weights."""
        network = self._make_network(n_features, self.n_outputs_)
        first = reference_parameter(network)
        if (first.device, first.dtype) != (device, dtype):
            network.to(device, dtype)
        self._draw_weights(network, random_state)
        return network

    def _draw_weights(
        self, network: nn.Module, random_state: np.random.RandomState
    ) -> None:
        """Set the initial weights of a network."""
        initialize(network, self._initializer_name(), self.activation, random_state)

    def _names_of_trainable(self) -> Collection[str] | None:
        """Return the parameters that the network trains itself; None means all."""
        return None

    def _network_key(self) -> Hashable | None:
        """Return a key that is equal for equal modules of users; else None."""
        return None

    def _matches_sklearn_validation(self) -> bool:
        """Return whether early stopping has to give the results of scikit-learn.

        It decides about stratification, ties of scores, and the best weights of the
        previous fit in a warm start.
        """
        return True

    # Network and net

    # Ctrl-C waits: torch's device mode is Python code, and an interrupt there can leave
    # the mode on for the rest of the process.
    @delayed_interrupt()
    def _make_meta_network(self) -> nn.Module:
        """Build the network on torch's meta device, where weights take no memory."""
        with torch.device("meta"):
            network = self._make_network(self.n_features_in_, self.n_outputs_)
        # A subclass may create tensors on an explicit device.
        return network.to("meta")

    def _rebuild_network(self, network: nn.Module) -> nn.Module | None:
        """Return a new network with the weights of an old one, if they fit."""
        weights = network.state_dict()
        first = reference_parameter(network)
        rebuilt = self._make_meta_network()
        shapes = {name: value.shape for name, value in rebuilt.state_dict().items()}
        if shapes != {name: value.shape for name, value in weights.items()}:
            return None
        rebuilt = self._make_network(self.n_features_in_, self.n_outputs_)
        rebuilt.to(first.device, first.dtype)
        rebuilt.load_state_dict(weights)
        return rebuilt

    def _make_unfitted_meta_network(self, X: Any, y: Any) -> tuple[nn.Module, int]:
        """Return the network that `fit` would train, without values, and its inputs.

        The second value is the number of features.
        """
        unfitted = clone(self)
        unfitted._validate_params()
        unfitted._check_fit_inputs(X, y)
        network = unfitted._make_meta_network()
        unfitted._freeze_layers(network)
        return network, unfitted.n_features_in_

    def _freeze_layers(self, network: nn.Module) -> None:
        """Freeze the layers that `frozen_layers` names; train all others."""
        freeze_layers(network, self.frozen_layers, self._names_of_trainable())

    def _make_initialized_network(
        self,
        X: Any,
        random_state: np.random.RandomState,
        device: torch.device,
        copied: CopiedNetwork | None = None,
    ) -> nn.Module:
        """Build the network for the samples X and set its initial weights.

        `copied` is used instead of a new network.
        """
        if copied is not None:
            network = copied.network
            self._draw_weights(network, random_state)
        else:
            dtype = resolve_dtype(self.dtype, X.dtype, device)
            network = self._draw_network(X.shape[1], random_state, device, dtype)
        if self.init_from is not None:
            copy_shared_layers(network, self.init_from)
        if self.frozen_layers is not None:
            self._freeze_layers(network)
        return network

    def _init_output_bias_from_priors(self, net: Net, train: FitData) -> None:
        """Set the output biases to the logits of the class priors.

        It does nothing without ``init='auto'``, with `init_from`, or in an estimator
        without `_uses_class_priors`.
        """
        if not self._uses_class_priors or self.init != "auto":
            return
        if self.init_from is not None:
            return
        bias = cast(Tensor, list(weight_layers(net.module_))[-1].bias)
        targets = train.select(train.targets)
        weight = np.ones(len(targets))
        if train.loss_weight is not None:
            weight = train.select(train.loss_weight)
        prior_logits = net.criterion_.prior_logits(
            torch.from_numpy(targets), torch.from_numpy(weight), self.n_outputs_
        )
        with torch.no_grad():
            bias.copy_(prior_logits)

    def _initialize_from_data(
        self, net: Net, train: FitData, random_state: np.random.RandomState
    ) -> None:
        """Fit the initial weights to samples, with ``init='data_dependent'``."""
        if self.init != "data_dependent" or self.init_from is not None:
            return
        n_drawn = min(train.n_samples, _N_SAMPLES_OF_INITIALIZER)
        drawn = random_state.permutation(train.n_samples)[:n_drawn]
        X, like = train.subset(np.sort(drawn)).gather().X, net.flat_.values
        x = to_dense_aligned(X, like.dtype, like.device)
        initialize_from_data(net.module_, x, random_state)

    def _make_generator(
        self,
        network: nn.Module,
        random_state: np.random.RandomState,
        device: torch.device,
    ) -> torch.Generator | None:
        """Create the generator of dropout, augmentation and noise; None without any.

        The dropout layers of the network get the generator. The modules of a user draw
        from it in training.
        """
        has_dropout = any(isinstance(layer, Dropout) for layer in network.modules())
        changes_features = (
            self.augmentation is not None or self._noise_function() is not None
        )
        may_draw = has_dropout or known_modules(network) is None
        if not may_draw and not changes_features:
            return None
        generator = torch_generator(random_state, device)
        set_dropout_generator(network, generator)
        return generator

    def _make_net(
        self,
        network: nn.Module | None,
        monitor: Monitor,
        device: torch.device,
        callbacks: Sequence[Any] | None = None,
        copied: CopiedNetwork | None = None,
        loss: Loss | None = None,
    ) -> Net:
        """Return a skorch net that wraps the network; ``initialize`` was called.

        With ``callbacks=None``, it gets copies of the callbacks of the estimator. The
        network may be `copied`. Then None makes its modules when they are first read.
        A `loss` of another net with equal parameters may be used, too.
        """
        if callbacks is None:
            callbacks = copy_callbacks(self.callbacks)
        if copied is not None:
            like = copied.flat.values
        else:
            assert network is not None
            like = reference_parameter(network)
        net = Net(
            network,
            self._make_loss().placed_like(like) if loss is None else loss,
            solver=self.solver,
            make_optimizer=partial(
                make_optimizer, self.solver, **self._optimizer_params()
            ),
            schedule=Schedule.for_solver(
                self.solver,
                self.learning_rate,
                learning_rate_init=self.learning_rate_init,
                power_t=self.power_t,
                step_size=self.step_size,
                gamma=self.gamma,
                warmup_epochs=self.warmup_epochs,
                total_epochs=self.max_iter,
                fade_start=getattr(self, "fade_start", 1.0),
            ),
            monitor=monitor,
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            learning_rate_factors=getattr(self, "learning_rate_factors", None),
            weight_averaging=self.weight_averaging,
            amp=self.amp,
            verbose=prints_epochs(self.verbose),
            callbacks=callbacks,
            max_epochs=self.max_iter,
            lr=self.learning_rate_init,
            device=None,  # skorch does not move the network, which is on `device`
        )
        if copied is None:
            net.initialize()
        else:
            copied.set_up(net)
        net.device, net.n_outputs = str(device), self.n_outputs_
        net.fit_parameters_ = record_parameters(self)
        return net

    def __sklearn_clone__(self) -> Self:
        """Return a clone whose callbacks are shallow copies, as those of a fit are."""
        without_callbacks = copy.copy(self)
        without_callbacks.callbacks = None
        cloned = super(NetworkBuilder, without_callbacks).__sklearn_clone__()
        if self.callbacks is not None:
            cloned.callbacks = copy_callbacks(self.callbacks)
        return cloned

    def _optimizer_params(self) -> dict[str, Any]:
        """Return the parameters of the optimizer by the names of `make_optimizer`."""
        return {
            "lr": self.learning_rate_init,
            "momentum": self.momentum,
            "nesterov": self.nesterovs_momentum,
            "betas": (self.beta_1, self.beta_2),
            "eps": self.epsilon,
            "params": self.optimizer_params,
        }

    def _make_monitor(self, continues: bool) -> Monitor:
        """Return a new monitor, or the monitor of the previous fit."""
        monitor = self._monitor if continues else Monitor()
        self._configure_monitor(monitor)
        return monitor

    def _configure_monitor(self, monitor: Monitor) -> None:
        """Set the stopping criteria from the parameters."""
        monitor.configure(
            self.tol,
            self.n_iter_no_change,
            self.early_stopping,
            self.restore_best_weights,
            ties_by_loss=self.scoring is None
            and not self._matches_sklearn_validation(),
        )


def hidden_sizes(
    hidden_layer_sizes: int | Sequence[int], name: str = "hidden_layer_sizes"
) -> list[int]:
    """Check the sizes of the hidden layers and return them as a list.

    `name` is the name of the parameter, for error messages.
    """
    sizes: Any = hidden_layer_sizes
    sizes = [sizes] if isinstance(sizes, Real) else list(sizes)
    if not all(isinstance(size, Real) and float(size).is_integer() for size in sizes):
        raise ValueError(
            f"{name} must be an integer, or a flat sequence of one integer for each "
            f"layer, got {hidden_layer_sizes!r}."
        )
    sizes = [int(size) for size in sizes]
    if any(size <= 0 for size in sizes):
        raise ValueError(f"{name} must be > 0, got {sizes}.")
    return sizes
