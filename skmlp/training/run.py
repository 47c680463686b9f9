"""One training of a net: what it trains on, for how long, and its best weights.

A run is trained alone by `skmlp.training.trainer.train` or with others by
`skmlp.training.packs.pack.train_pack`. The object exists only during training. The
results are stored in its net.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from skmlp._warnings import warn
from skmlp.training.data.batches import BatchLoader
from skmlp.training.modules.layers import set_dropout_fade
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.snapshot import TensorSnapshot
from skmlp.training.weight_averaging import AveragedWeights

# Called with the number of epochs that ended since the last call.
ProgressCallback = Callable[[int], None]


def ignore_progress(epochs: int) -> None:
    """Do nothing."""


class RunCheckpoint(Protocol):
    """Stores a run after its epochs, so that a later run can continue from there."""

    def load(self, run: "TrainingRun") -> None:
        """Put a run that is about to begin into the stored state, if there is one."""

    def save(self, run: "TrainingRun", last: bool) -> None:
        """Store the run after an epoch; `last` says that no other epoch follows."""


class TrainingRun:
    """One training of a net.

    Parameters
    ----------
    net : Net
        Initialized.
    train_loader : BatchLoader
        Batches of the training set.
    valid_loader : BatchLoader or None
        Batches of the validation set.
    max_epochs : int
        Maximum number of epochs. Epochs that were loaded from the checkpoint count.
    given_data : tuple of X and y, optional
        Checked features and targets of the fit, for ``on_train_begin`` of callbacks.
    score : callable or None
        Function that takes the logits of the validation set and returns their score.
    score_names : sequence of str
        Names of the score in the history.
    scores_network : bool
        Whether `score` predicts with the network itself and ignores the logits.
    train_score : callable or None
        Function without arguments that returns the score of the training set. None
        omits this score from the history.
    generator : Generator or None
        Random generator of dropout and augmentation. Checkpoints store its state.
    checkpoint : RunCheckpoint or None
        Stores the run after its epochs.
    may_be_interrupted : callable, optional
        Decides, when Ctrl-C is pressed, whether training ends with the epochs so far.
        Otherwise the KeyboardInterrupt is raised.

    Attributes
    ----------
    average : AveragedWeights or None
        Moving average of the weights.
    best_weights : TensorSnapshot or None
        The weights of the best epoch so far; None if they are not to be restored.
    diverged : bool
        Whether a loss that is not finite ended the run.
    error : FloatingPointError or None
        Set if the run diverged without best weights. The net is then unusable. The
        argument of the error is the number of the epoch.
    """

    def __init__(
        self,
        net: Net,
        train_loader: BatchLoader,
        valid_loader: BatchLoader | None,
        max_epochs: int,
        *,
        given_data: tuple[Any, Any] = (None, None),
        score: Callable[[Tensor], float] | None = None,
        score_names: Sequence[str] = ("valid_score",),
        scores_network: bool = False,
        train_score: Callable[[], float] | None = None,
        generator: torch.Generator | None = None,
        checkpoint: RunCheckpoint | None = None,
        may_be_interrupted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.net = net
        self.train_loader = train_loader
        self.valid_loader = valid_loader
        self.max_epochs = max_epochs
        self.given_data = given_data
        self.score = score
        self.score_names = score_names
        self.scores_network = scores_network
        self.train_score = train_score
        self.generator = generator
        self.checkpoint = checkpoint
        self.may_be_interrupted = may_be_interrupted
        self.average: AveragedWeights | None = None
        if net.weight_averaging is not None:
            self.average = AveragedWeights(net.flat_, net.module_, net.weight_averaging)
        self.best_weights: TensorSnapshot | None = None
        self.diverged = False
        self.error: FloatingPointError | None = None

    @property
    def flat(self) -> FlatParameters:
        """The trainable parameters of the net as one vector.

        The run reads it from the net and does not store it. `Net.release` can therefore
        free its memory.
        """
        return self.net.flat_

    @property
    def state_tensors(self) -> list[Tensor]:
        """The vector of parameters and the running statistics of the network."""
        return [self.flat.values, *self.net.buffers()]

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.flat.values.device

    @property
    def ended(self) -> bool:
        """Whether training has ended."""
        done = self.net.converged_ or self.net.epochs_ >= self.max_epochs
        return done or self.error is not None

    def load_checkpoint(self, progress_callback: ProgressCallback) -> None:
        """Continue from the checkpoint, if there is one."""
        if self.checkpoint is not None:
            self.checkpoint.load(self)
            progress_callback(self.net.epochs_)

    def save_checkpoint(self) -> None:
        """Store the run after an epoch, if there is a checkpoint."""
        if self.checkpoint is not None:
            self.checkpoint.save(self, last=self.ended)

    def record_validation(
        self, logits: Tensor, y: Tensor, weight: Tensor | None
    ) -> None:
        """Write loss and score of the logits of the validation set into the history.

        Only packs call this. `Trainer` validates a single network itself. The tensors
        are on the CPU. `weight` sums to one.
        """
        loss = self.net.criterion_.placed_like(logits)
        loss_terms, _ = loss.loss_terms_and_gradient(logits, y, weight)
        mean = loss.mean_loss(loss_terms, weight)
        self.net.record("valid_loss", float(mean), operator.lt)
        self.record_score(logits)

    def record_score(self, logits: Tensor) -> None:
        """Write the score of the logits of the validation set into the history."""
        if self.score is not None:
            score = self.score(logits)
            for name in self.score_names:
                self.net.record(name, score, operator.gt)

    def finish_epoch(
        self,
        update_network: Callable[[], None] | None = None,
        is_best: bool | None = None,
    ) -> None:
        """Update monitor, best weights and learning rate; set ``converged_``.

        `update_network` writes the current weights into the network. It is called if
        the epoch is the best one. `is_best` is the decision of a `JointSelection`.
        """
        net, monitor, record = self.net, self.net.monitor, self.net.epoch_record
        loss, score = record["train_loss"], record.get("valid_score")
        monitor.samples_seen += len(self.train_loader.data)
        valid_loss = record.get("valid_loss", math.inf)
        if monitor.add_epoch(loss, score, valid_loss, is_best):
            if update_network is not None:
                update_network()
            self.save_best_weights()
        if net.verbose:
            print(f"Iteration {net.epochs_}, loss = {loss:.8f}")  # noqa: T201
            if score is not None:
                print(f"Validation score: {score:f}")  # noqa: T201
        net.schedule.after_epoch(net.optimizer_, monitor.samples_seen)
        net.converged_ = False
        if (message := monitor.stop_message()) is None:
            return
        net.converged_, message_end = net.schedule.on_plateau(net.optimizer_)
        if net.verbose:
            print(message + message_end)  # noqa: T201
        if not net.converged_:
            monitor.reset_patience()

    def save_best_weights(self) -> None:
        """Take a snapshot of the weights as the best so far."""
        if self.net.monitor.restore_best_weights:
            self.best_weights = TensorSnapshot(self.state_tensors)

    def record_divergence(self, loss: float) -> None:
        """End the run after an epoch whose loss is not finite.

        If there are best weights, the run ends with them, and the epoch is part of the
        curves. As in scikit-learn, its validation score is not a number. Otherwise
        `error` is set. Its text is the number of the epoch.
        """
        net, monitor = self.net, self.net.monitor
        self.diverged = True
        if self.best_weights is None:
            self.error = FloatingPointError(net.epochs_ + 1)
            return
        net.epochs_ += 1
        net.converged_ = True
        net.record("train_loss", loss, operator.lt)
        for name in self.score_names:
            net.record(name, math.nan, operator.gt)
        monitor.samples_seen += len(self.train_loader.data)
        monitor.add_divergence(loss)

    def finish(self) -> None:
        """Restore the best weights, and switch the network to evaluation mode."""
        if self.best_weights is not None:
            self.best_weights.restore()
            self.best_weights = None
            self.net.monitor.at_best = True
        if not self.net.defers_network:
            set_dropout_fade(self.net.module_, 1.0)
            self.net.module_.eval()

    def interrupt(self) -> None:
        """Mark the run as ended by Ctrl-C."""
        self.net.converged_ = self.net.interrupted_ = True


def warn_interrupted() -> None:
    """Warn as scikit-learn does after Ctrl-C."""
    warn("Training interrupted by user.")
