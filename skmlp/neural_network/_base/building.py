"""Build the objects of a training from the parameters of an estimator.

The two words are close: a *network* is the torch module from samples to logits, and a
*net* is the skorch `Net` that wraps it.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import check_scoring
from torch import Tensor, nn

from skmlp._warnings import warn
from skmlp.neural_network._base.prediction import PredictingNetwork
from skmlp.neural_network._fit.changed_parameters import record_parameters
from skmlp.neural_network._fit.fit_data import (
    FitData,
    FitInputs,
    TrainValidSplit,
    split_validation,
    take_train_size,
)
from skmlp.neural_network._fit.images import augment_samples
from skmlp.neural_network._fit.progress import prints_epochs
from skmlp.neural_network._fit.transfer import copy_shared_layers, freeze_layers
from skmlp.training.compute.devices import resolve_dtype
from skmlp.training.compute.seeds import torch_generator
from skmlp.training.data.batches import (
    BatchLoader,
    DeviceData,
    samples_per_chunk,
    to_device_tensor,
)
from skmlp.training.losses import Loss
from skmlp.training.modules.introspection import max_values_per_sample, weight_layers
from skmlp.training.modules.layers import Dropout, initialize, set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import make_optimizer
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor


class NetworkBuilder(PredictingNetwork):
    """Builds network, net, batches and scorers of a fit; not for direct use."""

    activation: str
    alpha: float | Sequence[float]
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    verbose: bool | int | str
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    init: str
    tol: float
    n_iter_no_change: float
    validation_fraction: float
    train_size: int | float | None
    restore_best_weights: bool
    scoring: str | Callable[..., float] | None
    dtype: str | None
    amp: bool
    callbacks: Sequence[Any] | None
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
    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        """Return a new network from samples to logits, with uninitialized weights."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss function, whose arguments are logits and targets."""

    @abstractmethod
    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the value of `score` for these logits and encoded targets."""

    def _initializer_name(self) -> str:
        """Return ``init``; a subclass may replace 'auto' by its own initializer."""
        return self.init

    def _give_classes_to_scorer(
        self, scorer: Callable[..., float]
    ) -> Callable[..., float]:
        """Return the scorer of a validation set that may lack some classes."""
        return scorer

    def _early_stops_like_sklearn(self) -> bool:
        """Return whether early stopping has to give the results of scikit-learn.

        It decides about stratification, ties of scores, and the best weights of the
        previous fit in a warm start.
        """
        return True

    def _validation_strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the strata of the validation split, or None for a random split."""
        return None

    def _train_size_strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the strata of ``train_size``, or None for a random subset."""
        return None

    # Training and validation set

    def _split(
        self, inputs: FitInputs, random_state: np.random.RandomState
    ) -> TrainValidSplit:
        """Return the training set and, if any, the validation set.

        With early stopping, the validation set is split off, unless X_val was given.
        """
        split = TrainValidSplit(train=inputs.data, valid=inputs.valid)
        if split.valid is None and self.early_stopping and self.solver != "lbfgs":
            strata = self._validation_strata(inputs.data.y)
            split = split_validation(
                inputs.data, self.validation_fraction, strata, random_state
            )
        train = self._take_train_size(split.train, random_state)
        if split.valid is None:
            return TrainValidSplit(train, None)
        return TrainValidSplit(train, split.valid.in_reading_order())

    def _take_train_size(
        self, train: FitData, random_state: np.random.RandomState
    ) -> FitData:
        """Reduce a training set to ``train_size``, in reading order."""
        if self.train_size is not None:
            strata = self._train_size_strata(train.select(train.y))
            train = take_train_size(train, self.train_size, strata, random_state)
        return train.in_reading_order()

    # Network and net

    def _make_meta_network(self) -> nn.Sequential:
        """Build the network on torch's meta device, where weights take no memory."""
        with torch.device("meta"):
            network = self._make_network(self.n_features_in_, self.n_outputs_)
        # A subclass may create tensors on an explicit device.
        return network.to("meta")

    def _rebuild_network(self, network: nn.Sequential) -> nn.Sequential | None:
        """Return a new network with the weights of an old one, if they fit."""
        weights = network.state_dict()
        first = next(network.parameters())
        rebuilt = self._make_meta_network().to(first.dtype)
        shapes = {name: value.shape for name, value in rebuilt.state_dict().items()}
        if shapes != {name: value.shape for name, value in weights.items()}:
            return None
        rebuilt = rebuilt.to_empty(device=first.device)
        rebuilt.load_state_dict(weights)
        return rebuilt

    def _make_unfitted_meta_network(self, X: Any, y: Any) -> nn.Sequential:
        """Return the network that `fit` would train, on torch's meta device."""
        unfitted = clone(self)
        unfitted._validate_params()
        unfitted._check_fit_inputs(X, y)
        network = unfitted._make_meta_network()
        freeze_layers(network, unfitted.frozen_layers)
        return network

    def _make_initialized_network(
        self, X: Any, random_state: np.random.RandomState, device: torch.device
    ) -> nn.Sequential:
        """Build the network for the samples X and set its initial weights."""
        dtype = resolve_dtype(self.dtype, X.dtype, device)
        network = self._make_network(X.shape[1], self.n_outputs_)
        first = next(network.parameters())
        if (first.device, first.dtype) != (device, dtype):
            network.to(device, dtype)
        initialize(network, self._initializer_name(), self.activation, random_state)
        if self.init_from is not None:
            copy_shared_layers(network, self.init_from)
        if self.frozen_layers is not None:
            freeze_layers(network, self.frozen_layers)
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

    def _make_generator(
        self,
        network: nn.Sequential,
        random_state: np.random.RandomState,
        device: torch.device,
    ) -> torch.Generator | None:
        """Create the generator of dropout and augmentation; None if there is neither.

        The dropout layers of the network get the generator.
        """
        has_dropout = any(isinstance(layer, Dropout) for layer in network.modules())
        if not has_dropout and self.augmentation is None:
            return None
        generator = torch_generator(random_state, device)
        set_dropout_generator(network, generator)
        return generator

    def _make_net(
        self,
        network: nn.Sequential,
        monitor: Monitor,
        device: torch.device,
        callbacks: Sequence[Any] | None = None,
    ) -> Net:
        """Return a skorch net that wraps the network; ``initialize`` was called.

        With ``callbacks=None``, it gets clones of the callbacks of the estimator.
        """
        if callbacks is None:
            callbacks = [clone(callback) for callback in self.callbacks or ()]
        net = Net(
            network,
            self._make_loss(),
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
            ),
            monitor=monitor,
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            weight_averaging=self.weight_averaging,
            amp=self.amp,
            verbose=prints_epochs(self.verbose),
            callbacks=callbacks,
            max_epochs=self.max_iter,
            device=None,  # skorch does not move the network, which is on `device`
        )
        net.initialize()
        net.device = str(device)
        net.fit_parameters_ = record_parameters(self)
        return net

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
            ties_by_loss=self.scoring is None and not self._early_stops_like_sklearn(),
        )

    # Batches

    def _training_batches(
        self,
        train: FitData,
        net: Net,
        random_state: np.random.RandomState,
        generator: torch.Generator | None,
    ) -> BatchLoader:
        """Return the batches of the training set."""
        data = _device_data(net, train)
        if self.solver == "lbfgs":
            widest = max_values_per_sample(net.module_, train.X.shape[1])
            return BatchLoader(data, samples_per_chunk(widest))
        augment = None
        if self.augmentation is not None and generator is not None:
            assert self.image_shape_ is not None
            augment = partial(
                augment_samples, self.augmentation, self.image_shape_, generator
            )
        return BatchLoader(
            data,
            self._resolve_batch_size(len(data)),
            random_state if self.shuffle else None,
            augment,
        )

    def _resolve_batch_size(self, n_samples: int) -> int:
        """Return the number of samples in a batch, with scikit-learn's warning."""
        if isinstance(self.batch_size, str):
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped"
            )
        return min(int(self.batch_size), n_samples)

    def _validation_batches(
        self, valid: FitData, net: Net, train_data: DeviceData | None
    ) -> BatchLoader:
        """Return the batches of the validation set.

        `train_data` has the tensors of the training set, if both sets are parts of X.
        Otherwise it is None.
        """
        net.module_.eval()
        widest = max_values_per_sample(net.module_, valid.X.shape[1])
        if (
            train_data is None
            or valid.indices is None
            or not train_data.shares_features
        ):
            data = _device_data(net, valid)
        else:
            data = train_data.with_sample_indices(valid.indices)
        return BatchLoader(data, samples_per_chunk(widest))

    # Scores

    def _make_train_scorer(
        self, train: FitData, net: Net, data: DeviceData
    ) -> Callable[[], float]:
        """Return a function that scores the training set with the current weights."""
        if self.scoring is not None:
            score_estimator = self._make_estimator_scorer(train, net)

            def score_train() -> float:
                net.module_.eval()
                return score_estimator()

            return score_train
        score_logits = self._make_scorer(train, net)
        net.module_.eval()
        widest = max_values_per_sample(net.module_, train.X.shape[1])
        batches = BatchLoader(data, samples_per_chunk(widest))

        def score_train_logits() -> float:
            network = net.module_.eval()
            return score_logits(torch.cat([network(x) for x, *_ in batches]))

        return score_train_logits

    def _make_scorer(self, data: FitData, net: Net) -> Callable[[Tensor], float]:
        """Return a function that takes the logits of a set and returns their score.

        With `scoring`, the scorer predicts by itself and does not need the logits.
        """
        if self.scoring is not None:
            score_estimator = self._make_estimator_scorer(data, net)
            return lambda logits: score_estimator()
        targets, weight = data.select(data.targets), data.loss_weight
        weight = None if weight is None else data.select(weight)
        return lambda logits: self._score_logits(logits, targets, weight)

    def _make_estimator_scorer(self, data: FitData, net: Net) -> Callable[[], float]:
        """Return a function that calls the scorer `scoring` with the current net."""
        scored_estimator = copy.copy(self)
        # The scorer gets arrays without feature names. scikit-learn would warn if the
        # estimator had feature names.
        scored_estimator.__dict__.pop("feature_names_in_", None)
        scored_estimator.net_ = net
        scored_estimator.device_ = net.flat_.values.device
        scorer = self._give_classes_to_scorer(
            check_scoring(scored_estimator, scoring=self.scoring)
        )
        samples = data.gather()
        weights = {}
        if samples.weight is not None and _takes_sample_weight(scorer):
            weights["sample_weight"] = samples.weight
        return lambda: float(scorer(scored_estimator, samples.X, samples.y, **weights))


def _takes_sample_weight(scorer: Callable[..., float]) -> bool:
    """Return whether a scorer's metric takes sample weights."""
    # A scorer object of scikit-learn always accepts sample weights, so its metric
    # function is inspected.
    metric = getattr(scorer, "_score_func", scorer)
    return "sample_weight" in signature(metric).parameters


def _device_data(net: Net, data: FitData) -> DeviceData:
    """Return the samples on the device of the net.

    The tensors are cached in ``data.device_tensors`` for other nets of the same data.
    """
    dtype, device = net.flat_.values.dtype, net.flat_.values.device
    tensors = {} if data.device_tensors is None else data.device_tensors
    if ("X", device, dtype) not in tensors:
        X = data.X
        if isinstance(X, np.ndarray):
            X = to_device_tensor(X, dtype, device)
        tensors["X", device, dtype] = X
    if ("y", device, dtype) not in tensors:
        y = torch.from_numpy(data.targets)
        if y.is_floating_point():
            y = y.to(dtype)
        tensors["y", device, dtype] = y.to(device)
    X, y = tensors["X", device, dtype], tensors["y", device, dtype]
    return DeviceData(X, y, data.loss_weight, dtype, device, data.indices)
