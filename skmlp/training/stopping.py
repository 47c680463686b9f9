"""When training stops and which epoch is the best: scikit-learn's rules."""

import math
from dataclasses import dataclass, field, replace


@dataclass
class Monitor:
    """Stopping criteria, and the record of training losses and validation scores.

    The next call of `fit` or `partial_fit` continues with the same monitor if it
    continues the training (``warm_start``, ``partial_fit``).

    Attributes
    ----------
    tol : float
        Smallest improvement that counts.
    n_iter_no_change : int or inf
        Number of epochs without an improvement that are tolerated.
    early_stopping : bool
        Whether the validation score, rather than the loss, has to improve.
    restore_best_weights : bool
        Whether to restore the weights of the best epoch after training.
    ties_by_loss : bool
        Whether the lowest validation loss decides between scores that differ by no
        more than `tol`.
    at_best : bool
        Whether the network has the restored weights of the best score.
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
    samples_seen: int = 0
    at_best: bool = False
    # Highest score of any epoch. `best_validation_score` is lower if the validation
    # loss decided between scores that differ by at most `tol`.
    _highest_score: float = -math.inf
    _stalled: int = 0  # number of epochs without an improvement

    def configure(
        self,
        tol: float,
        n_iter_no_change: float,
        early_stopping: bool,
        restore_best_weights: bool = True,
        ties_by_loss: bool = False,
    ) -> None:
        """Set the rules; the record of earlier epochs stays."""
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.restore_best_weights = restore_best_weights
        self.ties_by_loss = ties_by_loss

    def add_epoch(
        self,
        loss: float,
        score: float | None,
        valid_loss: float = math.inf,
        is_best: bool | None = None,
    ) -> bool:
        """Add an epoch to the record and return whether it is the best so far.

        `is_best` is the decision of a `JointSelection`, which also decides whether the
        epoch is an improvement. With None, the score decides.
        """
        self.at_best = False
        self.loss_curve.append(loss)
        if not self.early_stopping:
            self._count_epoch(loss <= self.best_loss - self.tol)
        self.best_loss = min(self.best_loss, loss)
        if score is None:
            return False
        self.validation_scores.append(score)
        best, best_valid_loss = self.best_validation_score, self.best_valid_loss
        highest = max(best, self._highest_score)
        # `improved_by_tol` resets the patience. `is_best` makes this the best epoch.
        # A tie: the score is within tol of the highest score and of the best epoch's.
        if self.ties_by_loss and highest - self.tol <= score <= best + self.tol:
            improved_by_tol = valid_loss <= best_valid_loss - self.tol
            has_best_score = valid_loss < best_valid_loss
        else:
            # As in scikit-learn, a NaN counts as an improvement: NaN < x is False.
            improved_by_tol = not score < highest + self.tol
            has_best_score = score > highest
        if self.early_stopping:
            self._count_epoch(improved_by_tol if is_best is None else is_best)
        if score > highest:
            self._highest_score = score
        if is_best is None:
            is_best = has_best_score
        if is_best:
            self.best_validation_score = score
            self.best_valid_loss = math.inf if math.isnan(valid_loss) else valid_loss
            self.best_epoch = len(self.validation_scores)
        return is_best

    def add_divergence(self, loss: float) -> None:
        """Add an epoch after which training cannot continue; it is never the best."""
        self.at_best = False
        self.loss_curve.append(loss)
        self.validation_scores.append(math.nan)

    def _count_epoch(self, improved: bool) -> None:
        """Count an epoch without an improvement, or reset the count."""
        self._stalled = 0 if improved else self._stalled + 1

    def stop_message(self) -> str | None:
        """Return scikit-learn's message if the patience is exhausted, else None."""
        if self._stalled <= self.n_iter_no_change:
            return None
        what = "Validation score" if self.early_stopping else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change:.0f} consecutive epochs."
        )

    def reset_patience(self) -> None:
        """Count epochs without improvement from zero again."""
        self._stalled = 0

    def copy(self) -> "Monitor":
        """Return a copy that later epochs do not change."""
        return replace(
            self,
            loss_curve=self.loss_curve.copy(),
            validation_scores=self.validation_scores.copy(),
        )
