"""The steps of `fit`, from the validation of the data to the fitted attributes.

`BaseNetwork._fit` fits one estimator. `skmlp.neural_network._packs.packed_fit` fits
several estimators with networks of the same structure at once. It calls steps 1, 2 and
4 for each estimator, and trains all their networks together in step 3:

1. `_check_parameter_combinations` and `_check_fit_inputs` check parameters and data.
2. `_prepare_training` builds the network and its `TrainingRun`. It consists of
   `_make_start`, which other fits may share, and `_make_run`.
3. `_train` trains the run.
4. `_finish_fit` checks the result, sets the fitted attributes and, with
   ``refit_full=True``, trains once more on all samples.
"""

import time
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from skmlp._sklearn_bases import CallbackSupportMixin
from skmlp.neural_network._base.fit_results import TrainedNetwork
from skmlp.neural_network._fit.callback_tasks import FitTask
from skmlp.neural_network._fit.changed_parameters import (
    changed_text,
    find_changed,
    is_structural,
    record_parameters,
    refuse_changed,
)
from skmlp.neural_network._fit.checkpoint import (
    FileCheckpoint,
    MemoryCheckpoint,
    fit_fingerprints,
)
from skmlp.neural_network._fit.fit_data import (
    FitData,
    FitInputs,
)
from skmlp.neural_network._fit.fit_start import FitStart, SharedStart
from skmlp.neural_network._fit.interruption import is_started_by_user
from skmlp.neural_network._fit.progress import (
    print_line,
    prints_epochs,
    prints_line,
    show_progress,
)
from skmlp.training import lbfgs, trainer
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.compute.devices import resolve_device
from skmlp.training.compute.interrupts import current_watch
from skmlp.training.compute.seeds import resolve_random_state
from skmlp.training.compute.threads import single_threaded
from skmlp.training.losses import UserLoss, try_user_loss
from skmlp.training.modules.introspection import reference_parameter
from skmlp.training.modules.layers import set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.net_snapshot import NetSnapshot
from skmlp.training.prototypes import NetPrototype
from skmlp.training.run import (
    ProgressCallback,
    TrainingRun,
    ignore_progress,
    warn_interrupted,
)
from skmlp.training.steps import threads_for_step
from skmlp.training.stopping import Monitor

# Number of samples for which a loss of the user is tried before the training.
_N_TRIED = 3


class BaseNetwork(CallbackSupportMixin, TrainedNetwork):
    """Base of the estimators; not for direct use."""

    random_state: int | np.random.RandomState | None
    max_fun: int
    record_train_score: bool
    device: str | torch.device
    checkpoint_interval: float

    # The steps of a fit

    @in_default_modes
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        *,
        incremental: bool = False,
    ) -> Self:
        """Fit to X and y, or train further by one epoch if `incremental`."""
        start = time.perf_counter()
        # From the end of the last epoch on, Ctrl-C has to wait.
        # `restore_attributes_on_error` looks at `seen` after the fit.
        if (watch := current_watch()) is not None:
            watch.waits_after_training = True
        continues = hasattr(self, "net_") and (self.warm_start or incremental)
        validation = (X_val, y_val, sample_weight_val)
        self._check_parameter_combinations(*validation, incremental)
        inputs = self._check_fit_inputs(
            X, y, sample_weight, *validation, reset=not continues
        )
        checkpoint = None if incremental else self._open_checkpoint(inputs)
        # `restore_attributes_on_error` restores the attributes of the estimator. The
        # snapshot restores the net, which training changes in place.
        snapshot = NetSnapshot(self.net_) if continues else None
        try:
            with single_threaded():  # short operations would wait for busy cores
                run = self._prepare_training(inputs, continues, incremental, checkpoint)
            if incremental:
                self._train(run)
            else:
                task = FitTask(
                    self, X, y, sample_weight, self._attributes_of_unfinished_fit
                )
                with task.watch_epochs(run.net):
                    self._train(run)
            self._finish_fit(run, inputs, incremental, checkpoint)
        except BaseException:
            if snapshot is not None:
                snapshot.restore()
            raise
        if not incremental:
            task.end()
        if prints_line(self.verbose):
            print_line(self, time.perf_counter() - start)
        return self

    def _open_checkpoint(self, inputs: FitInputs) -> FileCheckpoint | None:
        """Return the checkpoint of this fit, or None without ``checkpoint``."""
        if self.checkpoint is None:
            return None
        fingerprints = fit_fingerprints(self, inputs, self._data_shape)
        return FileCheckpoint(self.checkpoint, self.checkpoint_interval, fingerprints)

    def _prepare_training(
        self,
        inputs: FitInputs,
        continues: bool = False,
        incremental: bool = False,
        checkpoint: MemoryCheckpoint | None = None,
    ) -> TrainingRun:
        """Build the network, its net, the batches and the scorers of a fit.

        Parameters
        ----------
        inputs : FitInputs
            The samples of X, and those of X_val if it was given.
        continues : bool
            Whether training continues with the weights of the previous fit
            (``warm_start`` or `partial_fit`).
        incremental : bool
            Whether this is `partial_fit`, which trains for one epoch.
        checkpoint : MemoryCheckpoint or None
            Stores the state of the run after epochs.
        """
        start = self._make_start(inputs, continues, incremental, checkpoint)
        return self._make_run(start, inputs, continues, incremental, checkpoint)

    def _make_start(
        self,
        inputs: FitInputs,
        continues: bool = False,
        incremental: bool = False,
        checkpoint: MemoryCheckpoint | None = None,
        prototype: NetPrototype | None = None,
    ) -> FitStart:
        """Build the net and the batches of a fit.

        The parameters are those of `_prepare_training`. In addition, `prototype` makes
        the network of a new fit. It has the structure that this estimator needs.
        """
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        if checkpoint is not None:
            checkpoint.begin_stage("fit", random_state)
        # The next calls draw from `random_state`: initial weights, dropout, validation
        # split. Their order decides the results and has to be scikit-learn's.
        copied = None if prototype is None else prototype.copy()
        if continues:
            network = self._network_to_continue(device, incremental)
        else:
            network = self._make_initialized_network(
                inputs.data.X, random_state, device, copied
            )
        generator = self._make_generator(network, random_state, device)
        train, valid = self._split(inputs, random_state)
        # `partial_fit` continues with the optimizer state. A warm start continues with
        # the weights and the monitor only, as in scikit-learn.
        if continues and incremental and self.net_.solver == self.solver:
            net = self._resume_net(network, device)
        else:
            monitor = self._make_monitor(continues)
            net = self._make_net(network, monitor, device, copied=copied)
        if not continues:
            self._init_output_bias_from_priors(net, train)
            self._initialize_from_data(net, train, random_state)
        batches = self._training_batches(train, net, random_state, generator)
        valid_batches = None
        if valid is not None:
            is_split_of_X = inputs.valid is None
            valid_batches = self._validation_batches(
                valid, net, batches.data if is_split_of_X else None
            )
        return FitStart(net, generator, train, valid, batches, valid_batches)

    def _repeat_start(self, shared: SharedStart) -> FitStart:
        """Return the start of a new fit that another fit has already drawn."""
        copied, device = shared.copy_network(), resolve_device(self.device)
        monitor = self._make_monitor(continues=False)
        network = None if shared.defers_network else copied.network
        net = self._make_net(network, monitor, device, copied=copied, loss=shared.loss)
        return shared.repeat(net)

    def _make_run(
        self,
        start: FitStart,
        inputs: FitInputs,
        continues: bool = False,
        incremental: bool = False,
        checkpoint: MemoryCheckpoint | None = None,
    ) -> TrainingRun:
        """Add the scorers to the start of a fit; see `_prepare_training`."""
        net, batches, valid = start.net, start.batches, start.valid
        if isinstance(net.criterion_, UserLoss):
            values, y = net.flat_.values, batches.data.y
            if y is None:  # the targets are the inputs
                y = values.new_zeros(_N_TRIED, self.n_outputs_)
            few = y[torch.arange(_N_TRIED, device=y.device) % len(y)]
            try_user_loss(net.criterion_, few, values, self.n_outputs_)
        train_score = None
        if self.record_train_score:
            train_score = self._make_train_scorer(start.train, net, batches.data)
        run = TrainingRun(
            net,
            batches,
            start.valid_batches,
            max_epochs=1 if incremental else self.max_iter,
            given_data=(inputs.data.X, inputs.data.y),
            score=None if valid is None else self._make_scorer(valid, net),
            score_names=self._score_names(),
            scores_network=self.scoring is not None,
            train_score=train_score,
            generator=start.generator,
            checkpoint=None if checkpoint is None else checkpoint.stage("fit"),
            may_be_interrupted=partial(is_started_by_user, self),
        )
        # A warm start of scikit-learn with a validation split does not remember the
        # best weights of the previous fit. In all other cases, the best weights of the
        # previous fit remain the best ones until an epoch has a better score.
        matches_sklearn = inputs.valid is None and self._matches_sklearn_validation()
        uses_previous_best = continues and valid is not None and not matches_sklearn
        if uses_previous_best and net.monitor.at_best:
            run.save_best_weights()
        return run

    def _network_to_continue(
        self, device: torch.device, incremental: bool
    ) -> nn.Module:
        """Return the network of the previous fit, on `device`."""
        record = self.net_.fit_parameters_
        changed = [] if record is None else find_changed(self, record)
        if record is not None and changed:
            same_solver = self.net_.solver == self.solver
            refuse_changed(self, record, changed, incremental, same_solver)
        if device != self.device_:
            self.net_.release()
        network = self.net_.module_.to(device)
        structure = [name for name in changed if is_structural(name)]
        if record is not None and structure:
            rebuilt = self._rebuild_network(network)
            if rebuilt is None:
                raise ValueError(changed_text(self, record, structure, incremental))
            network = rebuilt
        if not incremental or changed:
            self._freeze_layers(network)
        return network

    def _resume_net(self, network: nn.Module, device: torch.device) -> Net:
        """Return the net of the previous fit, with the current hyperparameters."""
        self._configure_monitor(self._monitor)
        net = self.net_
        if network is not net.module_:
            net.drop_optimizer(net.copy_optimizer_state())
            net.module_ = network
        net.resume()
        net.device = str(device)
        first = reference_parameter(network)
        net.criterion_ = self._make_loss().placed_like(first)
        net.alpha, net.verbose = self.alpha, int(prints_epochs(self.verbose))
        net.max_grad_norm, net.amp = self.max_grad_norm, self.amp
        net.schedule.total_epochs = self.max_iter
        net.fit_parameters_ = record_parameters(self)
        return net

    def _train(
        self, run: TrainingRun, progress_callback: ProgressCallback = ignore_progress
    ) -> None:
        """Train a run.

        If the loss is not finite, the exception is stored in ``run.error``. With
        'lbfgs', this method sets `n_iter_` and `loss_`. `_set_fitted_attributes` sets
        all other fitted attributes.
        """
        name = type(self).__name__
        progress = show_progress(self.verbose, name, [run], progress_callback)
        with _threads_for(run), progress as show_epochs:
            if self.solver == "lbfgs":
                self.n_iter_, self.loss_ = lbfgs.minimize(
                    run,
                    max_fun=self.max_fun,
                    tol=self.tol,
                    progress_callback=show_epochs,
                )
                return
            try:
                trainer.train(run, show_epochs)
            except FloatingPointError as error:
                run.error = error

    @in_default_modes
    def _finish_fit(
        self,
        run: TrainingRun,
        inputs: FitInputs,
        incremental: bool = False,
        checkpoint: MemoryCheckpoint | None = None,
    ) -> None:
        """Check a trained run, set the fitted attributes, and refit if wanted."""
        with single_threaded():
            self._check_trained_run(run, incremental)
            self._set_fitted_attributes(run.net)
            run.net.incremental_ = incremental
            if not incremental:
                run.net.release()
        if self.refit_full and not run.net.interrupted_:
            try:
                # The second training may be interrupted again.
                if (watch := current_watch()) is not None:
                    watch.stop_waiting()
                self._refit(inputs.all_samples(), checkpoint)
            except KeyboardInterrupt:
                if not is_started_by_user(self):
                    raise
                warn_interrupted()
                run.net.interrupted_ = True

    def _refit(self, data: FitData, checkpoint: MemoryCheckpoint | None) -> None:
        """Train a new network on all samples for `best_epoch_` epochs."""
        device = resolve_device(self.device)
        random_state = resolve_random_state(self.random_state)
        if checkpoint is not None:
            checkpoint.begin_stage("refit", random_state)
        network = self._make_initialized_network(data.X, random_state, device)
        generator = self._make_generator(network, random_state, device)
        train = self._take_train_size(data, random_state)
        net = self._make_net(network, Monitor(), device)
        self._init_output_bias_from_priors(net, train)
        self._initialize_from_data(net, train, random_state)
        run = TrainingRun(
            net,
            self._training_batches(train, net, random_state, generator),
            None,
            max_epochs=self.best_epoch_ or self.n_iter_,
            given_data=(data.X, data.y),
            generator=generator,
            checkpoint=None if checkpoint is None else checkpoint.stage("refit"),
            may_be_interrupted=lambda: False,
        )
        self._train(run)
        self._raise_if_diverged(run)
        # Only a callback can end this training early, because Ctrl-C raises. Then the
        # estimator continues to use the net of the first training.
        if net.epochs_ < max(1, run.max_epochs):
            self.net_.interrupted_ = True
            return
        set_dropout_generator(net.module_, None)
        net.release()
        self.net_, self.loss_ = net, net.monitor.loss_curve[-1]


def _threads_for(run: TrainingRun) -> AbstractContextManager[None]:
    """Return a context that sets the number of threads for the steps of a run."""
    data = run.train_loader.data
    batch_size = min(run.train_loader.batch_size, len(data))
    shape = (batch_size, data.X.shape[1])
    is_augmented = run.train_loader.augment is not None
    return threads_for_step(run.net.module_, run.net.optimizer_, shape, is_augmented)
