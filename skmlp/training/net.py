"""The skorch net that every estimator composes, with a loop of its own."""

import copy
import math
import operator
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch import Tensor, nn
from torch.optim import Optimizer

from skmlp.training.compute.cuda_graphs import GraphRecorder
from skmlp.training.compute.devices import repeatable_convolutions
from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.data.batches import Batch, BatchLoader, DeviceData
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.losses import OUTPUT_ACTIVATIONS, Loss
from skmlp.training.modules.layers import dropout_generators
from skmlp.training.optimizers.flat_optimizers import (
    DECOUPLED,
    FlatOptimizer,
    copy_optimizer_state,
    load_optimizer_state,
)
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.optimizers.update import Update
from skmlp.training.optimizers.weight_averaging import AveragedWeights
from skmlp.training.schedules import Schedule
from skmlp.training.steps import HandwrittenStep, make_step
from skmlp.training.stopping import Monitor

# What a net has while it trains, when it does not.
NOT_IN_TRAINING = dict.fromkeys(
    ("flat_", "penalty_", "step_", "update_", "average_", "recorder_")
)

# Steps from which it pays to record one.
_WORTH_RECORDING = 32

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class Keeper(Protocol):
    """Keeps how far training has come, for training that goes on from there."""

    def resume(self, net: "Net", train: BatchLoader) -> None:
        """Put a net that is about to be trained where it was when it was kept."""

    def keep(self, net: "Net", train: BatchLoader, last: bool) -> None:
        """Note an epoch that has ended, `last` if no other one follows."""


class Net(NeuralNet):
    """A skorch net that trains on tensors of the device, without work per batch.

    Notifications per batch, and losses per batch in the history, are left out unless a
    callback wants them; everything else that skorch's callbacks use is there.

    Parameters
    ----------
    module : nn.Module
        Network from features to logits, on its device.
    criterion : Loss
        Loss of the logits.
    solver : str
        Name of the optimizer.
    make_optimizer : callable
        From the vector of parameters to a torch optimizer.
    schedule : Schedule
        Learning rate over time.
    monitor : Monitor
        Decides when to stop and which weights to keep.
    alpha : float or sequence of float
        Strength of the L2 penalty, for all layers or one each.
    max_grad_norm : float or None
        Largest norm of the gradient; longer ones are scaled down to it.
    weight_averaging : float or None
        Decay of the average of the weights that takes their place in the end.
    amp : bool
        Whether to compute in mixed precision.
    verbose : bool
        Whether to print scikit-learn's line for every epoch.
    callbacks : sequence of skorch callbacks
        Called beside skorch's own.
    score : callable or None
        From the logits of the validation rows to their score.
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: Loss,
        *,
        solver: str,
        make_optimizer: Callable[[Tensor], Optimizer],
        schedule: Schedule,
        monitor: Monitor,
        alpha: float | Sequence[float] = 0.0,
        max_grad_norm: float | None = None,
        weight_averaging: float | None = None,
        amp: bool = False,
        verbose: bool = False,
        callbacks: Sequence[Callback] | None = None,
        score: Callable[[Tensor], float] | None = None,
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
        self.weight_averaging = weight_averaging
        self.amp = amp
        self.score = score

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; of those that are not torch's, skorch keeps no list."""
        if isinstance(value, (nn.Module, Optimizer)):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    # None for 'lbfgs', and after `release`.
    optimizer_: Any = None
    epochs_ = 0
    # Computes the score of the training rows, where that is to be recorded.
    train_score: Callable[[], float] | None = None
    interrupted_ = False
    flat_: Any
    penalty_: Any
    step_: Any
    update_: Any
    average_: AveragedWeights | None = None
    recorder_: GraphRecorder | None = None

    def initialize_history(self) -> "Net":
        """Forget the epochs, and the best of them."""
        self.bests_: dict[str, float] = {}
        return super().initialize_history()

    def initialize_criterion(self) -> "Net":
        """Use the loss as it is; it has no parameters to set."""
        self.criterion_ = self.criterion
        return self

    def initialize_optimizer(self, triggered_directly: None = None) -> "Net":
        """Make all parameters one vector, and the optimizer of that vector."""
        self.flat_ = FlatParameters(self.module_)
        if self.solver != "lbfgs":
            self.optimizer_ = self.make_optimizer(self.flat_.values)
        return self

    def run(
        self,
        train: BatchLoader,
        valid: BatchLoader | None,
        epochs: int,
        advance: Callable[[int], None] = lambda epochs: None,
        keeper: Keeper | None = None,
    ) -> None:
        """Train for at most `epochs` epochs, those that `keeper` has kept included.

        `advance` is called with the number of epochs that have ended.

        Sets ``epochs_``, the number of epochs that came to their end, and
        ``converged_``, whether training ended before it had to. Ctrl-C ends training
        with scikit-learn's warning and keeps what was learnt.

        Raises
        ------
        FloatingPointError
            With the number of the epoch as its argument, if its loss is not finite.
        """
        datasets = {
            "dataset_train": train.data,
            "dataset_valid": None if valid is None else valid.data,
        }
        self.prepare_step()
        if epochs * len(train) >= _WORTH_RECORDING:
            self.record_steps()
        self.epochs_, self.converged_ = 0, False
        self.notify("on_train_begin", X=train.data, y=None)
        if keeper is not None:
            keeper.resume(self, train)
            advance(self.epochs_)
        try:
            tuner = make_thread_tuner(self.flat_.values)
            with torch.no_grad(), repeatable_convolutions(), tuner:
                while self.epochs_ < epochs and not self.converged_:
                    self.notify("on_epoch_begin", **datasets)
                    self.update_.begin_epoch()
                    with self.untracked(train):
                        self.run_single_epoch(train, True, "train", tuner=tuner)
                    with self._averaged():
                        self.run_single_epoch(valid, False, "valid")
                        if self.train_score is not None:
                            self.record("train_score", self.train_score(), operator.gt)
                        self.epochs_ += 1  # not if Ctrl-C came before it is judged
                        self.converged_ = self.judge_epoch(len(train.data))
                    self.converged_ |= self._notify_epoch_end(datasets)
                    advance(1)
                    if keeper is not None:
                        last = self.converged_ or self.epochs_ == epochs
                        keeper.keep(self, train, last)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            self.converged_ = self.interrupted_ = True
        finally:
            self.recorder_ = None  # it holds a step's memory
        if self.average_ is not None:
            self.average_.adopt()
        self.monitor.restore(self.flat_, self.module_)
        self.module_.eval()
        self.notify("on_train_end", X=train.data, y=None)

    def prepare_step(self) -> None:
        """Choose how gradients are computed, and what they do to the parameters."""
        keep_freed_memory()
        decoupled = self.solver in DECOUPLED
        self.penalty_ = Penalty(self.flat_, 0.0 if decoupled else self.alpha)
        self.step_ = make_step(
            self.module_, self.criterion_, self.flat_, self.penalty_, self.amp
        )
        self.update_ = Update(
            self.flat_,
            self.optimizer_,
            self.alpha if decoupled else 0.0,
            self.max_grad_norm,
        )
        if self.weight_averaging is not None:
            self.average_ = AveragedWeights(
                self.flat_, self.module_, self.weight_averaging
            )

    def record_steps(self) -> None:
        """Let a GPU repeat what a step launches, unless callbacks may change that."""
        if self.flat_.values.is_cuda and not self.callbacks:
            self.recorder_ = GraphRecorder(partial(dropout_generators, [self.module_]))

    def _averaged(self) -> AbstractContextManager[None]:
        """Let the network have its averaged weights, if there are any."""
        return nullcontext() if self.average_ is None else self.average_.in_place()

    def _notifies_of_batches(self) -> bool:
        """Whether a callback does anything on a batch."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in _BATCH_HOOKS
        )

    def untracked(self, batches: BatchLoader) -> AbstractContextManager[object]:
        """Spare torch what autograd needs to know of a tensor, for steps on `batches`.

        Only where no code but ours sees the tensors of a batch: autograd never takes
        them again.
        """
        ours = isinstance(self.step_, HandwrittenStep) and isinstance(
            self.optimizer_, FlatOptimizer
        )
        seen = batches.augment is not None or self._notifies_of_batches()
        return torch.inference_mode() if ours and not seen else nullcontext()

    def run_single_epoch(
        self,
        iterator: BatchLoader | None,
        training: bool,
        prefix: str,
        step_fn: Any = None,
        tuner: ThreadTuner | None = None,
        **fit_params: Any,
    ) -> None:
        """Train on every batch once, or evaluate every batch."""
        if iterator is None:
            return
        self.module_.train(training)
        notify = self._notifies_of_batches()
        losses = EpochLoss(self.criterion_, self.penalty_ if training else None)
        logits, n_batches = [], len(iterator)
        if tuner is not None:
            tuner.pause()
        for batch in iterator:
            if training and batch[3] == 0.0:
                continue  # rows without weight teach nothing
            if notify:
                self.notify("on_batch_begin", batch=batch[:2], training=training)
            if tuner is not None:
                tuner.begin_step()
            if training:
                self.schedule.before_batch(self.optimizer_, n_batches)
                y_pred, parts = self._train_batch(batch, notify)
            else:
                y_pred, parts = self._evaluate_batch(batch)
                logits.append(y_pred)
            # In training a row counts as one, whatever its weight, as in scikit-learn.
            losses.add(parts, float(y_pred.shape[0]) if training else batch[3])
            if notify:
                loss = losses.means([parts])[0].to(y_pred.dtype)
                self.history.record_batch(f"{prefix}_loss", float(loss))
                self.history.record_batch(f"{prefix}_batch_size", len(y_pred))
                self.notify(
                    "on_batch_end",
                    batch=batch[:2],
                    training=training,
                    loss=loss,
                    y_pred=y_pred.contiguous(),
                )
        if not notify:
            self.history.new_batch()  # Checkpoint names files after the last record
        self.history.record(f"{prefix}_batch_count", n_batches)
        mean = losses.sum() / (len(iterator.data) if training else losses.whole)
        if training and not math.isfinite(mean):
            raise FloatingPointError(self.epochs_ + 1)
        self.record(f"{prefix}_loss", mean, operator.lt)
        if not training and self.score is not None:
            self.record("valid_score", self.score(torch.cat(logits)), operator.gt)

    def record_validation(self, rows: DeviceData, logits: Tensor) -> None:
        """Note loss and score of the logits of all validation rows."""
        _, y, weight = rows.gather(torch.from_numpy(rows.index))
        weight = None if weight is None else weight / weight.sum()
        of_rows, _ = self.criterion_.sample_losses_and_gradient(logits, y, weight)
        loss = self.criterion_.mean_loss(of_rows, weight)
        self.record("valid_loss", float(loss), operator.lt)
        if self.score is not None:
            self.record("valid_score", self.score(logits), operator.gt)

    def record(
        self, name: str, value: float, better: Callable[[float, float], bool]
    ) -> None:
        """Note a value of this epoch, and whether it is the best as Checkpoint asks."""
        best = name not in self.bests_ or better(value, self.bests_[name])
        if best:
            self.bests_[name] = value
        self.history[-1].update({name: value, f"{name}_best": best})

    def _train_batch(self, batch: Batch, notify: bool) -> tuple[Tensor, BatchLosses]:
        """Update the parameters by one batch; return logits and the loss's parts."""
        x, y, weight, total = batch
        if self.recorder_ is not None and weight is None:
            logits, *parts = self.recorder_.call(self._unweighted, x, y)
            rows, *norms = (part.clone() for part in parts)
        else:
            logits, rows, *norms = self.step_(x, y, weight, total)
        self.update_.prepare()
        if notify:
            named = list(self.module_.named_parameters())
            self.notify(
                "on_grad_computed", named_parameters=named, batch=(x, y), training=True
            )
        self.update_.step()
        if self.average_ is not None:
            self.average_.update()
        return logits, BatchLosses(rows, weight, total, norms)

    def _unweighted(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Take the step of rows that count for one each."""
        return self.step_(x, y, None, float(x.shape[0]))

    def _evaluate_batch(self, batch: Batch) -> tuple[Tensor, BatchLosses]:
        """Return logits and the loss's parts of one batch."""
        x, y, weight, total = batch
        logits = self.module_(x)
        rows, _ = self.criterion_.sample_losses_and_gradient(logits, y, weight)
        return logits, BatchLosses(rows, weight, total)

    def judge_epoch(self, n_rows: int) -> bool:
        """Judge the epoch that ended and return whether training should stop."""
        epoch, monitor, record = self.epochs_, self.monitor, self.history[-1]
        loss, score = record["train_loss"], record.get("valid_score")
        monitor.samples_seen += n_rows
        if monitor.epoch_ended(loss, score, record.get("valid_loss", math.inf)):
            monitor.keep(self.flat_, self.module_)
        if self.verbose:
            print(f"Iteration {epoch}, loss = {loss:.8f}")  # noqa: T201
            if score is not None:
                print(f"Validation score: {score:f}")  # noqa: T201
        self.schedule.after_epoch(self.optimizer_, monitor.samples_seen)
        if (message := monitor.stalled()) is None:
            return False
        stop, consequence = self.schedule.on_plateau(self.optimizer_)
        if self.verbose:
            print(message + consequence)  # noqa: T201
        if not stop:
            monitor.go_on()
        return stop

    def _notify_epoch_end(self, datasets: dict[str, Any]) -> bool:
        """Notify the callbacks; skorch's own stop training by a KeyboardInterrupt."""
        try:
            self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            return True
        return False

    def release(self) -> None:
        """Keep the weights, and what `resume` needs, on the CPU; drop the rest."""
        self.optimizer_ = self.optimizer_state()
        if next(self.module_.parameters()).device.type != "cpu":
            self.module_.to("cpu")
        for parameter in self.module_.parameters():
            parameter.grad = None
        self.__dict__.update(NOT_IN_TRAINING)

    def resume(self) -> "Net":
        """Return the net ready to train on, if `release` or pickling came between."""
        if self.flat_ is None:
            state = self.optimizer_
            with self._current_init_context("optimizer"):
                self.initialize_optimizer()
            if state is not None:
                load_optimizer_state(self.optimizer_, state)
        return self

    def snapshot(self) -> "Net":
        """Return a net that can predict, with a copy of the weights as they stand."""
        taken = object.__new__(type(self))
        taken.__dict__.update(self.__dict__)
        taken.__dict__.update(
            module_=copy.deepcopy(self.module_).eval(),
            monitor=self.monitor.snapshot(),
            optimizer_=None,
            **NOT_IN_TRAINING,
        )
        return taken

    def optimizer_state(self) -> Any:
        """Return what the optimizer knows, on the CPU."""
        if self.optimizer_ is None or self.flat_ is None:
            return self.optimizer_
        return copy_optimizer_state(self.optimizer_)

    def __getstate__(self) -> dict[str, Any]:
        kept = object.__new__(type(self))
        kept.__dict__.update(self.__dict__)
        kept.__dict__.update(
            optimizer_=self.optimizer_state(),
            **NOT_IN_TRAINING,
        )
        return NeuralNet.__getstate__(kept)

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
        predicted = self.predict_proba(X)
        activation = self.criterion_.output_activation
        if activation == "softmax":
            return predicted.argmax(axis=-1)
        return (predicted > 0.5).astype(int) if activation == "logistic" else predicted

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        return OUTPUT_ACTIVATIONS[self.criterion_.output_activation]
