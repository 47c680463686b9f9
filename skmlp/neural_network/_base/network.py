"""How all estimators fit: plan, train, judge, keep."""

import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from skmlp._sklearn_bases import CallbackSupportMixin
from skmlp.neural_network._base.checks import CheckedNetwork
from skmlp.neural_network._fit.checkpoint import FitState, Stage, open_checkpoint
from skmlp.neural_network._fit.construction import (
    init_output_bias_from_priors,
    make_generator,
    make_initialized_network,
    make_net,
    train_batches,
    train_scorer,
    valid_batches,
)
from skmlp.neural_network._fit.progress import (
    Advance,
    print_line,
    prints_epochs,
    prints_line,
    silent,
    training_shown,
)
from skmlp.neural_network._fit.sample import FitData, split_validation, take_train_size
from skmlp.neural_network._fit.sklearn_callbacks import FitTasks
from skmlp.neural_network._fit.transfer import freeze_layers
from skmlp.training import lbfgs
from skmlp.training.compute.dense_products import can_thread_large_products
from skmlp.training.compute.devices import resolve_device
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.compute.threads import threads_for_work
from skmlp.training.data.batches import BatchLoader
from skmlp.training.losses import Loss
from skmlp.training.modules.introspection import (
    has_convolutions,
    multiply_adds,
    weight_layers,
)
from skmlp.training.modules.layers import seed_dropout
from skmlp.training.net import Net
from skmlp.training.state import remember
from skmlp.training.stopping import Monitor


class Plan(NamedTuple):
    """A network ready to be trained, with what it is trained on."""

    net: Net
    train: BatchLoader
    valid: BatchLoader | None
    epochs: int
    device: torch.device
    incremental: bool
    stage: Stage | None = None


class BaseNetwork(CallbackSupportMixin, CheckedNetwork):
    """Base of the estimators; not for direct use."""

    activation: str
    alpha: float | Sequence[float]
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int | str
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    init: str
    train_size: int | float | None
    scoring: str | Callable[..., float] | None
    restore_best_weights: bool
    record_train_score: bool
    device: str | torch.device
    dtype: str | None
    amp: bool
    callbacks: Sequence[Any] | None
    max_grad_norm: float | None
    warmup_epochs: float
    step_size: int
    gamma: float
    init_from: Any
    frozen_layers: Sequence[int | str] | None
    checkpoint_interval: float

    # Whether the outputs of a network of random weights do, where `init` is 'auto'.
    _uses_class_priors = False

    @abstractmethod
    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        """Build the network from rows to logits, its weights not yet drawn."""

    def _make_blank_network(self) -> nn.Sequential:
        """Build the network on torch's meta device, where weights take no memory."""
        with torch.device("meta"):
            network = self._make_network(self.n_features_in_, self.n_outputs_)
        return network.to("meta")

    def _preview_network(self, X: Any, y: Any) -> nn.Sequential:
        """Return the network that `fit` would train, on torch's meta device."""
        unfitted = clone(self)
        unfitted._validate_params()
        unfitted._check_sample(X, y, None, reset=True)
        network = unfitted._make_blank_network()
        freeze_layers(network, unfitted.frozen_layers)
        return network

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss of the logits."""

    @abstractmethod
    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return `score`'s metric of logits against encoded targets."""

    def _initializer_name(self) -> str:
        """Return the law of the initial weights."""
        return self.init

    def _has_namesake(self) -> bool:
        """Whether scikit-learn stops early in a way that is to be followed."""
        return True

    def _stratify(self, y: np.ndarray) -> np.ndarray | None:
        """Return the targets if the validation split keeps their shares."""
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
        start = time.perf_counter()
        first = not hasattr(self, "net_") or not (self.warm_start or incremental)
        self._check_together(X_val, y_val, incremental)
        sample = self._check_sample(X, y, sample_weight, reset=first)
        valid = None if X_val is None else self._check_validation(X_val, y_val)
        checkpoint = None if incremental else open_checkpoint(self, sample, valid)
        undo = None if first else remember(self.net_)
        try:
            plan = self._plan(sample, valid, first, incremental, checkpoint)
            tasks = FitTasks(self, X, y, sample_weight, incremental)
            with tasks.around(plan.net):
                self._run(plan)
            self._keep(plan.net, plan.device, release=not incremental)
            if self.refit_full:
                self._refit(sample if valid is None else sample.join(valid), checkpoint)
        except BaseException:
            if undo is not None:
                undo()
            raise
        tasks.end()
        if prints_line(self.verbose):
            print_line(self, time.perf_counter() - start)
        return self

    def _plan(
        self,
        sample: FitData,
        valid: FitData | None = None,
        first: bool = True,
        incremental: bool = False,
        state: FitState | None = None,
    ) -> Plan:
        """Build all that trains on checked rows."""
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        if state is not None:
            state.begin("fit", random_state)
        if not first and device != self.device_:
            self.net_.release()
        network = (
            make_initialized_network(self, sample.X, random_state, device)
            if first
            else self.net_.module_.to(device)
        )
        if self.warm_start and not (first or incremental):
            freeze_layers(network, self.frozen_layers)
        generator = make_generator(self, network, random_state, device)
        train = sample
        # Of validation rows of its own, scikit-learn's warm start forgets the best.
        follows = valid is None and self._has_namesake()
        if valid is None and self.early_stopping and self.solver != "lbfgs":
            strata = self._stratify(sample.y)
            train, valid = split_validation(
                sample, self.validation_fraction, strata, random_state
            )
        if self.train_size is not None:
            strata = self._strata(train.own_y)
            train = take_train_size(train, self.train_size, strata, random_state)
        train, valid = train.in_turn(), None if valid is None else valid.in_turn()
        monitor = Monitor() if first else self._monitor
        monitor.expect(
            self.tol,
            self.n_iter_no_change,
            self.early_stopping,
            self.restore_best_weights,
            ties_by_loss=self.scoring is None and not self._has_namesake(),
        )
        if incremental and not first and self.net_.solver == self.solver:
            net = self.net_.resume()
            net.alpha, net.verbose = self.alpha, int(prints_epochs(self.verbose))
            net.schedule.total_epochs = self.max_iter
        else:
            net = make_net(self, network, monitor, device)
            if first:
                init_output_bias_from_priors(self, net, train)
            elif not follows and valid is not None and monitor.at_best:
                monitor.keep(net.flat_, network)
        batches = train_batches(self, train, net, random_state, generator)
        if self.record_train_score:
            net.train_score = train_scorer(self, train, net, batches.data)
        held_out = None
        if valid is not None:
            beside = batches.data if valid.encoded is train.encoded else None
            held_out = valid_batches(self, valid, net, beside)
        return Plan(
            net,
            batches,
            held_out,
            1 if incremental else self.max_iter,
            device,
            incremental,
            None if state is None else Stage(state, "fit", generator),
        )

    def _run(self, plan: Plan, advance: Advance = silent) -> None:
        """Train, and turn what went wrong into words."""
        net, train = plan.net, plan.train
        with _threads_for(net, train), self._shown(net, plan.epochs, advance) as ended:
            if self.solver == "lbfgs":
                self.n_iter_, self.loss_ = lbfgs.minimize(
                    net,
                    train,
                    max_iter=self.max_iter,
                    max_fun=self.max_fun,
                    tol=self.tol,
                    advance=ended,
                )
            else:
                try:
                    net.run(train, plan.valid, plan.epochs, ended, plan.stage)
                except FloatingPointError as error:
                    self._refuse_divergence(train, error)
        self._judge(plan)

    def _shown(
        self, net: Net, epochs: int, advance: Advance = silent
    ) -> AbstractContextManager[Advance]:
        """Show a live bar if `verbose` wants one."""
        return training_shown(self.verbose, type(self).__name__, [net], epochs, advance)

    def _refuse_divergence(
        self, train: BatchLoader, error: FloatingPointError
    ) -> NoReturn:
        """Say what a loss that stopped being finite may come from."""
        raise ValueError(
            f"Training loss became non-finite at epoch {error}; lower "
            "learning_rate_init or scale X (its values reach "
            f"{train.data.max_abs():g}){self._scale_of_targets(train.data.y)}."
        ) from None

    def _scale_of_targets(self, y: Tensor) -> str:
        """Say how large the targets are, where they have a scale."""
        return ""

    def _judge(self, plan: Plan) -> None:
        """Warn if training did not converge, and refuse weights that are not finite."""
        if self.solver != "lbfgs":
            self.n_iter_ = plan.net.epochs_
            stopped = plan.net.converged_ or plan.net.schedule.has_planned_end
            if not stopped and not plan.incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        schedule = plan.net.schedule
        if plan.incremental and schedule.is_past_planned_end:
            warnings.warn(
                f"learning_rate={schedule.name!r} is planned for max_iter="
                f"{schedule.total_epochs} epochs, which have passed: partial_fit "
                "learns next to nothing more; set a larger max_iter.",
                stacklevel=4,
            )
        if not torch.isfinite(plan.net.flat_.values).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may "
                "contain large values and need to be preprocessed."
            )

    def _keep(self, net: Net, device: torch.device, release: bool) -> None:
        """Set the fitted attributes."""
        monitor = net.monitor
        seed_dropout(net.module_, None)
        net.score = net.train_score = None
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

    def _refit(self, sample: FitData, state: FitState | None = None) -> None:
        """Train anew on all rows for as many epochs as were best."""
        if self.net_.interrupted_:
            return  # after Ctrl-C the network that was validated stays
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        if state is not None:
            state.begin("refit", random_state)
        network = make_initialized_network(self, sample.X, random_state, device)
        generator = make_generator(self, network, random_state, device)
        if self.train_size is not None:
            strata = self._strata(sample.y)
            sample = take_train_size(
                sample, self.train_size, strata, random_state
            ).in_turn()
        monitor = Monitor()
        net = make_net(self, network, monitor, device)
        init_output_bias_from_priors(self, net, sample)
        batches = train_batches(self, sample, net, random_state, generator)
        stage = None if state is None else Stage(state, "refit", generator)
        epochs = self.best_epoch_ or self.n_iter_
        try:
            with _threads_for(net, batches), self._shown(net, epochs) as ended:
                net.run(batches, None, epochs, ended, stage)
        except FloatingPointError as error:
            self._refuse_divergence(batches, error)
        if net.epochs_ < max(1, epochs):
            self.net_.interrupted_ = True
            return
        seed_dropout(net.module_, None)
        net.release()
        self.net_ = net
        self.loss_ = monitor.loss_curve[-1]


def _threads_for(net: Net, train: BatchLoader) -> AbstractContextManager[None]:
    """Compute on as many threads as a step of the net deserves."""
    rows = min(train.batch_size, len(train.data))
    work = multiply_adds(net.module_, train.data.X.shape[1]) * rows
    shared = not has_convolutions(net.module_) and can_thread_large_products(
        net.flat_.values
    )
    return threads_for_work(work, shared)
