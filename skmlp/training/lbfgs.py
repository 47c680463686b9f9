"""L-BFGS on all samples at once, by SciPy, as in scikit-learn."""

from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import torch
from sklearn.exceptions import ConvergenceWarning

from skmlp._warnings import warn
from skmlp.training.compute.devices import deterministic_cudnn, highest_precision_float
from skmlp.training.compute.interrupts import current_watch
from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.threads import single_threaded_blas
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.run import (
    ProgressCallback,
    TrainingRun,
    ignore_progress,
    warn_interrupted,
)
from skmlp.training.steps import make_step


class LBFGSResult(NamedTuple):
    """Number of iterations, and the penalized loss at the end."""

    n_iter: int
    loss: float


def minimize(
    run: TrainingRun,
    *,
    max_fun: int,
    tol: float,
    progress_callback: ProgressCallback = ignore_progress,
) -> LBFGSResult:
    """Minimize the penalized loss over the whole training set.

    Parameters
    ----------
    run : TrainingRun
        Its parameters are the start values, which the solution replaces. ``max_epochs``
        is the maximum number of iterations. The training set is evaluated batch by
        batch to limit the memory.
    max_fun : int
        Maximum number of evaluations of the loss.
    tol : float
        Minimization stops if the largest component of the projected gradient is at most
        `tol` (SciPy's ``gtol``).
    progress_callback : callable
        Called with 1 after every iteration.

    Returns
    -------
    result : LBFGSResult

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, unless an iteration is over and the run may be interrupted. Then
        the parameters are those of the last iteration, with scikit-learn's warning.
    """
    keep_freed_memory()
    flat, module = run.flat, run.net.module_
    objective = _Objective(run)
    interrupted: LBFGSResult | None = None

    def end_iteration(values: np.ndarray) -> None:
        objective.end_iteration(values)
        progress_callback(1)

    module.train()
    with torch.no_grad(), deterministic_cudnn(), single_threaded_blas():
        try:
            result = scipy.optimize.minimize(
                objective,
                flat.values.cpu().double().numpy(),
                method="L-BFGS-B",
                jac=True,
                callback=end_iteration,
                options={"maxfun": max_fun, "maxiter": run.max_epochs, "gtol": tol},
            )
            best = result.x
            # As `InterruptWatch.release_between_epochs` after the last epoch.
            if (watch := current_watch()) is not None:
                watch.waits = watch.waits_after_training
        except KeyboardInterrupt:
            if objective.best is None or not run.may_be_interrupted():
                raise
            warn_interrupted()
            run.interrupt()
            best, interrupted = objective.best
        flat.values.copy_(torch.from_numpy(best))
    module.eval()
    if interrupted is not None:
        return interrupted
    n_iter = min(int(result.nit), run.max_epochs)
    if result.status != 0:
        _warn_not_converged(result, n_iter, run.max_epochs)
    return LBFGSResult(n_iter, float(result.fun))


def _warn_not_converged(result: Any, n_iter: int, max_iter: int) -> None:
    """Give scikit-learn's warning, but at the line of the user."""
    text = (
        f"lbfgs failed to converge after {n_iter} iteration(s) "
        f"(status={result.status}):\n{result.message}\n"
    )
    if n_iter == max_iter:
        text += (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={max_iter})."
        )
    text += (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    warn(text, ConvergenceWarning)


class _Objective:
    """Penalized mean loss and its gradient as functions of the flat parameters.

    Attributes
    ----------
    loss : float
        The loss at the last evaluation.
    best : tuple of ndarray and LBFGSResult, or None
        The parameters at the end of the last iteration, and the result to return if
        Ctrl-C ends the training now.
    """

    def __init__(self, run: TrainingRun) -> None:
        net, data = run.net, run.train_loader.data
        weight = data.host_weight
        self.flat = run.flat
        self.batches = run.train_loader
        self.total_weight = float(
            len(data) if weight is None else weight[data.index].sum()
        )
        self.penalty = Penalty(run.flat, net.alpha)
        self.step = make_step(
            net.module_,
            net.criterion_,
            run.flat,
            self.penalty,
            net.amp,
            generator=run.generator,
        )
        self.losses = EpochLoss(net.criterion_, self.penalty)
        self.loss = np.inf
        self.best: tuple[np.ndarray, LBFGSResult] | None = None

    def end_iteration(self, values: np.ndarray) -> None:
        """Store the parameters at the end of an iteration.

        The last evaluation of a line search is the accepted one. So `self.loss` is the
        loss of these parameters.
        """
        n_iter = 1 if self.best is None else self.best[1].n_iter + 1
        self.best = values.copy(), LBFGSResult(n_iter, self.loss)

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        flat = self.flat
        flat.values.copy_(torch.from_numpy(values))
        device = flat.values.device
        loss = torch.zeros((), dtype=highest_precision_float(device), device=device)
        gradient = torch.zeros_like(flat.values)
        for x, y, weight, batch_weight in self.batches:
            _, loss_terms = self.step(x, y, weight, self.total_weight)
            losses = BatchLosses(
                loss_terms, weight, self.total_weight, self.penalty.norms()
            )
            batch_fraction = batch_weight / self.total_weight
            loss.add_(self.losses.batch_losses([losses])[0], alpha=batch_fraction)
            gradient.add_(flat.gradients, alpha=batch_fraction)
        flat.gradients.copy_(gradient)
        self.loss = float(loss)
        return self.loss, flat.gradients.cpu().double().numpy()
