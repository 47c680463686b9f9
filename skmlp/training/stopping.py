"""When training ends, and what is kept of it: scikit-learn's rules, best weights."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from skmlp.training.optimizers.flat_parameters import FlatParameters


@dataclass
class Monitor:
    """Watches loss and validation score, epoch after epoch.

    It outlives a call of fit where training goes on in the next (``warm_start``,
    ``partial_fit``).

    Attributes
    ----------
    tol : float
        Smallest improvement that counts.
    n_iter_no_change : int or inf
        Epochs without one that are tolerated.
    early_stopping : bool
        Whether the validation score, rather than the loss, is what must improve.
    restore_best_weights : bool
        Whether the weights of the best score are kept.
    ties_by_loss : bool
        Whether, of scores that differ by no more than `tol`, the one of the lowest
        validation loss is the best.
    at_best : bool
        Whether the network has the weights of the best score, put back after training.
    """

    tol: float = 0.0
    n_iter_no_change: float = math.inf
    early_stopping: bool = False
    restore_best_weights: bool = True
    ties_by_loss: bool = False
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_validation_score: float = -math.inf
    best_epoch: int | None = None
    best_valid_loss: float = math.inf
    best_state: list[Tensor] | None = None
    samples_seen: int = 0
    at_best: bool = False
    _highest_score: float = -math.inf  # of ties the best may be a lower one
    _stalled: int = 0

    def expect(
        self,
        tol: float,
        n_iter_no_change: float,
        early_stopping: bool,
        restore_best_weights: bool = True,
        ties_by_loss: bool = False,
    ) -> None:
        """Set what counts as an improvement, and what to do with and without one."""
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.restore_best_weights = restore_best_weights
        self.ties_by_loss = ties_by_loss

    def epoch_ended(
        self, loss: float, score: float | None, valid_loss: float = math.inf
    ) -> bool:
        """Take note of an epoch and return whether it is the best so far."""
        self.at_best = False
        self.loss_curve.append(loss)
        if not self.early_stopping:
            self._count(loss <= self.best_loss - self.tol)
        self.best_loss = min(self.best_loss, loss)
        if score is None:
            return False
        self.validation_scores.append(score)
        best, lowest = self.best_validation_score, self.best_valid_loss
        highest = max(best, self._highest_score)
        if self.ties_by_loss and highest - self.tol <= score <= best + self.tol:
            counts, better = valid_loss <= lowest - self.tol, valid_loss < lowest
        else:
            counts, better = not score < highest + self.tol, score > highest
        if self.early_stopping:
            self._count(counts)
        if score > highest:
            self._highest_score = score
        if better:
            self.best_validation_score = score
            self.best_valid_loss = math.inf if math.isnan(valid_loss) else valid_loss
            self.best_epoch = len(self.validation_scores)
        return better

    def _count(self, improved: bool) -> None:
        self._stalled = 0 if improved else self._stalled + 1

    def stalled(self) -> str | None:
        """Return what has not improved for too long, or None."""
        if self._stalled <= self.n_iter_no_change:
            return None
        what = "Validation score" if self.early_stopping else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change:.0f} consecutive epochs."
        )

    def go_on(self) -> None:
        """Start counting anew, after the learning rate was lowered."""
        self._stalled = 0

    def snapshot(self) -> "Monitor":
        """Return a copy that later epochs do not change, without best weights."""
        return replace(
            self,
            loss_curve=self.loss_curve.copy(),
            validation_scores=self.validation_scores.copy(),
            best_state=None,
        )

    def keep(self, flat: FlatParameters, network: nn.Module) -> None:
        """Keep a copy of the weights as the best so far, if they are to come back."""
        if not self.restore_best_weights:
            return
        self.best_state = [flat.values.clone(), *(b.clone() for b in network.buffers())]

    def restore(self, flat: FlatParameters, network: nn.Module) -> None:
        """Put the best weights back, if there are any."""
        if self.best_state is None:
            return
        with torch.no_grad():
            current = [flat.values, *network.buffers()]
            for now, best in zip(current, self.best_state, strict=True):
                now.copy_(best)
        self.best_state, self.at_best = None, True
