"""What all estimators do alike: check, build, train, keep, predict."""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)
from torch import Tensor, nn

from skmlp.neural_network._construction import (
    make_generator,
    make_net,
    start_network,
    train_batches,
    valid_batches,
)
from skmlp.neural_network._fit_tasks import CallbackSupportMixin, FitTasks
from skmlp.neural_network._hidden import network_up_to
from skmlp.neural_network._images import ImageShape, as_rows, with_known_dtype
from skmlp.neural_network._layer_arrays import LayerArrays
from skmlp.neural_network._sample import Sample, split_validation, take_train_size
from skmlp.neural_network._storage import restore, state_of
from skmlp.neural_network._transfer import freeze_layers
from skmlp.training import lbfgs
from skmlp.training.batches import Batches
from skmlp.training.convolution import infer_image_shape
from skmlp.training.devices import resolve_device
from skmlp.training.inference import compute_logits
from skmlp.training.losses import Loss
from skmlp.training.modules import (
    inputs_first,
    seed_dropout,
    weight_layers,
)
from skmlp.training.net import Net
from skmlp.training.seeds import resolve_random_state
from skmlp.training.stopping import Monitor
from skmlp.training.threads import multiply_adds, threads_for


class Plan(NamedTuple):
    """A network ready to be trained, with what it is trained on."""

    net: Net
    train: Batches
    valid: Batches | None
    epochs: int
    device: torch.device
    incremental: bool


class BaseNetwork(CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the estimators; not for direct use."""

    # How scikit-learn is to check the targets.
    _target_checks: ClassVar[dict[str, bool]] = {"multi_output": True}

    activation: str
    solver: str
    alpha: float | Sequence[float]
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    init: str
    augmentation: Callable[[Tensor, torch.Generator], Tensor] | None
    train_size: int | float | None
    scoring: str | Callable[..., float] | None
    restore_best_weights: bool
    refit_full: bool
    device: str | torch.device
    dtype: str | None
    amp: bool
    callbacks: Sequence[Any] | None
    optimizer_params: dict[str, Any] | None
    max_grad_norm: float | None
    weight_averaging: float | None
    warmup_epochs: float
    step_size: int
    gamma: float
    init_from: Any
    frozen_layers: Sequence[int | str] | None

    @abstractmethod
    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        """Build the network from rows to logits, its weights not yet drawn."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss of the logits."""

    @abstractmethod
    def _learn_targets(self, y: np.ndarray) -> None:
        """Learn what kind of targets there are; sets ``n_outputs_``."""

    def _check_targets_again(self, y: np.ndarray) -> None:
        """Refuse targets that training cannot go on with."""

    @abstractmethod
    def _encode(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return targets as the loss wants them."""

    @abstractmethod
    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return `score`'s metric of logits against encoded targets."""

    def _loss_weight(
        self, y: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Return what multiplies the loss of each row."""
        return weight

    def _stratify(self, y: np.ndarray) -> np.ndarray | None:
        """Return the targets if scikit-learn stratifies its validation split."""
        return None

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the targets if a sample of the training rows keeps their shares."""
        return None

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        incremental: bool = False,
    ) -> Self:
        first = not hasattr(self, "net_") or not (self.warm_start or incremental)
        self._check_together(X_val, y_val, incremental)
        sample = self._check_sample(X, y, sample_weight, reset=first)
        valid = None if X_val is None else self._check_validation(X_val, y_val)
        plan = self._plan(sample, valid, first, incremental)
        tasks = FitTasks(self, X, y, sample_weight, incremental)
        with tasks.around(plan.net):
            self._run(plan)
        self._keep(plan.net, plan.device, release=not incremental)
        if self.refit_full:
            self._refit(sample if valid is None else sample.join(valid))
        tasks.end()
        return self

    def _plan(
        self,
        sample: Sample,
        valid: Sample | None = None,
        first: bool = True,
        incremental: bool = False,
    ) -> Plan:
        """Build all that trains on checked rows."""
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        if not first and device != self.device_:
            self.net_.release()
        network = (
            start_network(self, sample.X, random_state, device)
            if first
            else self.net_.module_.to(device)
        )
        if self.warm_start and not (first or incremental):
            freeze_layers(network, self.frozen_layers)
        generator = make_generator(self, network, random_state, device)
        train = sample
        if valid is None and self.early_stopping and self.solver != "lbfgs":
            strata = self._stratify(sample.y)
            train, valid = split_validation(
                sample, self.validation_fraction, strata, random_state
            )
        if self.train_size is not None:
            strata = self._strata(train.gather().y)
            train = take_train_size(train, self.train_size, strata, random_state)
        monitor = Monitor() if first else self._monitor
        monitor.expect(
            self.tol,
            self.n_iter_no_change,
            self.early_stopping,
            self.restore_best_weights,
        )
        if incremental and not first and self.net_.solver == self.solver:
            net = self.net_.resume()
            net.alpha, net.verbose = self.alpha, int(self.verbose)
        else:
            net = make_net(self, network, monitor, device)
        return Plan(
            net,
            train_batches(self, train, net, random_state, generator),
            None if valid is None else valid_batches(self, valid, net),
            1 if incremental else self.max_iter,
            device,
            incremental,
        )

    # Checks

    def _check_together(self, X_val: Any, y_val: Any, incremental: bool) -> None:
        """Refuse parameters that do not go with each other."""
        for given, missing in (("X_val", "y_val"), ("y_val", "X_val")):
            if {"X_val": X_val, "y_val": y_val}[missing] is None and (
                {"X_val": X_val, "y_val": y_val}[given] is not None
            ):
                raise ValueError(f"{given} was given without {missing}.")
        for name in ("augmentation", "predict_augmentation"):
            if validate := getattr(getattr(self, name, None), "validate", None):
                validate()
        if self.weight_averaging is not None and (
            incremental or self.solver == "lbfgs"
        ):
            raise ValueError(
                "weight_averaging needs fit and a stochastic solver; set it to None."
            )
        if self.refit_full and self.solver == "lbfgs":
            raise ValueError(
                "refit_full=True needs a best epoch, but solver='lbfgs' has no epochs."
            )
        if self.refit_full and not (self.early_stopping or X_val is not None):
            raise ValueError(
                "refit_full=True needs a validation score; use early_stopping=True or "
                "give X_val and y_val."
            )

    def _check_rows(self, X: Any, *y: Any, reset: bool) -> Any:
        """Check X, and y if given; return flat rows in the dtype they came in."""
        X, shape = as_rows(X)
        if reset:
            self.__dict__.pop("net_", None)  # it would not fit what is learnt here
            self._data_shape: ImageShape | None = shape
        elif shape is not None and shape != (self.image_shape_ or shape):
            raise ValueError(
                f"X holds images of shape {shape}, but the network was fitted to "
                f"images of shape {self.image_shape_}."
            )
        checked = validate_data(
            self,
            X,
            *y,
            **(self._target_checks if y else {}),
            accept_sparse="csr",
            reset=reset,
        )
        if y:
            return with_known_dtype(checked[0]), checked[1]
        return with_known_dtype(checked)

    def _check_sample(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> Sample:
        """Check the rows to fit."""
        X, y = self._check_rows(X, y, reset=reset)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            # scikit-learn checks this itself since 1.8.
            if not weight.any():
                raise ValueError(
                    "Sample weights must contain at least one non-zero number."
                )
        if reset:
            self._learn_targets(y)
            self._learn_image_shape(X.shape[1])
        else:
            self._check_targets_again(y)
        return Sample(X, y, self._encode(y), weight, self._loss_weight(y, weight))

    def _check_validation(self, X_val: Any, y_val: Any) -> Sample:
        """Check the caller's own validation rows."""
        X, y = self._check_rows(X_val, y_val, reset=False)
        return Sample(X, y, self._encode(y, "y_val"), None, self._loss_weight(y, None))

    def _learn_image_shape(self, n_features: int) -> None:
        """Note the shape of the rows as images, where something looks at them so."""
        shape = self._data_shape
        if shape is None and self.augmentation is not None:
            shape = infer_image_shape(n_features)
        self.image_shape_ = shape

    # Training and what is kept of it

    def _run(self, plan: Plan) -> None:
        """Train, and turn what went wrong into words."""
        net, train = plan.net, plan.train
        work = multiply_adds(net.module_, train.rows.X.shape[1]) * train.batch_size
        with threads_for(work):
            if self.solver == "lbfgs":
                self.n_iter_, self.loss_ = lbfgs.minimize(
                    net,
                    train,
                    max_iter=self.max_iter,
                    max_fun=self.max_fun,
                    tol=self.tol,
                )
            else:
                try:
                    net.run(train, plan.valid, plan.epochs)
                except FloatingPointError as error:
                    self._refuse_divergence(train, error)
        self._judge(plan)

    def _refuse_divergence(self, train: Batches, error: FloatingPointError) -> NoReturn:
        """Say what a loss that stopped being finite may come from."""
        self.__dict__.pop("net_", None)  # which no longer predicts
        raise ValueError(
            f"Training loss became non-finite at epoch {error}; lower "
            "learning_rate_init or scale X (its values reach "
            f"{float(abs(train.rows.X).max()):g})."
        ) from None

    def _judge(self, plan: Plan) -> None:
        """Warn if training did not converge, and refuse weights that are not finite."""
        if self.solver != "lbfgs":
            self.n_iter_ = plan.net.epochs_
            if not plan.net.converged_ and not plan.incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        if not torch.isfinite(plan.net.flat_.values).all():
            self.__dict__.pop("net_", None)
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may "
                "contain large values and need to be preprocessed."
            )

    def _keep(self, net: Net, device: torch.device, release: bool) -> None:
        """Set the fitted attributes."""
        monitor = net.monitor
        seed_dropout(net.module_, None)
        net.score = None
        self.net_, self.device_, self._monitor = net, device, monitor
        self.callbacks_ = [cb for _, cb in net.callbacks_[1:]]
        self.history_ = net.history
        layers = list(weight_layers(net.module_))
        self.n_layers_ = len(layers) + 1
        self.n_parameters_ = sum(
            p.numel() for p in net.module_.parameters() if p.requires_grad
        )
        self.out_activation_ = net.criterion_.output_activation
        self.t_ = monitor.samples_seen
        if self.solver != "lbfgs":
            scores = monitor.validation_scores
            self.loss_curve_ = monitor.loss_curve
            self.loss_ = monitor.loss_curve[-1] if monitor.loss_curve else np.inf
            self.best_loss_ = None if self.early_stopping else monitor.best_loss
            self.validation_scores_ = scores or None
            self.best_validation_score_ = (
                monitor.best_validation_score if scores else None
            )
            self.best_epoch_ = monitor.best_epoch
        if release:
            net.release()

    def _refit(self, sample: Sample) -> None:
        """Train anew on all rows for as many epochs as were best."""
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        network = start_network(self, sample.X, random_state, device)
        generator = make_generator(self, network, random_state, device)
        if self.train_size is not None:
            strata = self._strata(sample.y)
            sample = take_train_size(sample, self.train_size, strata, random_state)
        monitor = Monitor()
        net = make_net(self, network, monitor, device)
        batches = train_batches(self, sample, net, random_state, generator)
        try:
            net.run(batches, None, self.best_epoch_ or self.n_iter_)
        except FloatingPointError as error:
            self._refuse_divergence(batches, error)
        seed_dropout(net.module_, None)
        net.release()
        self.net_ = net
        self.loss_ = monitor.loss_curve[-1]

    # Prediction

    def _logits(self, X: Any) -> Tensor:
        """Return the logits of every row, on the CPU."""
        check_is_fitted(self)
        X = self._check_rows(X, reset=False)
        return self._compute_logits(self._network_to_predict(), X)

    def hidden_activations(self, X: Any, layer: int | str | None = None) -> np.ndarray:
        """Return what a hidden layer makes of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        layer : int, str or None, default=None
            A layer counted from 0 as in `coefs_`, whose output is taken after its
            activation and before any pooling (the output layer's are the logits); or
            the name of a module of ``net_.module_``, as in 'dense1' or 'conv2_pool'.
            None is the last hidden layer: what the output layer sees.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units), or of a convolution \
(n_samples, height, width, n_channels)
            In the dtype of training.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If there is no such layer; the message names those that there are.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skmlp.neural_network import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((20, 5), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.hidden_activations(X).shape
        (150, 5)
        >>> model.hidden_activations(X, layer=0).shape
        (150, 20)
        """
        check_is_fitted(self)
        part = network_up_to(self._network_to_predict(), layer)
        activations = compute_logits(part, self._check_rows(X, reset=False))
        if activations.dim() == 4:
            activations = activations.permute(0, 2, 3, 1)
        return activations.contiguous().numpy()

    def _compute_logits(self, network: nn.Sequential, X: Any) -> Tensor:
        """Return the logits of checked rows."""
        return compute_logits(network, X)

    def _network_to_predict(self) -> nn.Sequential:
        """Return the network on the device it was trained on, if that is here."""
        network = self.net_.module_
        if self.device_.type == "cpu":
            return network
        try:
            device = resolve_device(self.device_)
        except ValueError:
            return network
        return copy.deepcopy(network).to(device)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of every layer, inputs first; assigning changes the network."""
        layers = self._layers()
        return LayerArrays("coefs_", (inputs_first(x.weight.detach()) for x in layers))

    @coefs_.setter
    def coefs_(self, values: Sequence[Any]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of every layer; assigning changes the network."""
        return LayerArrays("intercepts_", (x.bias.detach() for x in self._layers()))

    @intercepts_.setter
    def intercepts_(self, values: Sequence[Any]) -> None:
        self.intercepts_[:] = values

    def _layers(self) -> list[Any]:
        """Layers with weights; an AttributeError before fit, as for any attribute."""
        try:
            module = self.__dict__["net_"].module_
        except KeyError:
            name = type(self).__name__
            raise AttributeError(
                f"this {name} is not fitted and has no layers"
            ) from None
        return list(weight_layers(module))

    # Storage

    def __skmlp_state__(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a model file keeps beside the parameters."""
        return state_of(self)

    def __skmlp_restore__(
        self,
        attributes: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        device: str | torch.device,
    ) -> None:
        """Become the fitted estimator that `__skmlp_state__` described."""
        restore(self, attributes, arrays, device)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` came to its end."""
        return "net_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
