"""L-BFGS over all rows at once, by SciPy, as scikit-learn does."""

from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch

from skmlp._sklearn_compat import check_optimize_result
from skmlp.training.compute.devices import repeatable_convolutions, widest_float
from skmlp.training.compute.threads import single_threaded_blas
from skmlp.training.data.batches import BatchLoader
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.net import Net


def minimize(
    net: Net,
    train: BatchLoader,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    advance: Callable[[int], None] = lambda iterations: None,
) -> tuple[int, float]:
    """Minimise the penalised loss over all rows; return iterations and final loss.

    Parameters
    ----------
    net : Net
        Initialised; its parameters are the start, and in the end the minimum.
    train : Batches
        The rows; their batches are summed, so that memory is bounded.
    max_iter, max_fun : int
        Most iterations, and most evaluations of the loss.
    tol : float
        Largest component of the projected gradient at which to stop.
    advance : callable
        Called with 1 after every iteration.

    Returns
    -------
    n_iter : int
    loss : float
    """
    flat, module = net.flat_, net.module_
    weight = train.data.host_weight
    total = float(len(train.data) if weight is None else weight[train.data.index].sum())
    net.prepare_step()
    objective = _Objective(net, train, total)
    module.train()
    with torch.no_grad(), repeatable_convolutions(), single_threaded_blas():
        result = scipy.optimize.minimize(
            objective,
            flat.values.cpu().double().numpy(),
            method="L-BFGS-B",
            jac=True,
            callback=lambda _: advance(1),
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
        flat.values.copy_(torch.from_numpy(result.x))
    module.eval()
    return check_optimize_result("lbfgs", result, max_iter), float(result.fun)


class _Objective:
    """Penalised mean loss and gradient as functions of the vector of parameters."""

    def __init__(self, net: Net, train: BatchLoader, total: float) -> None:
        self.net = net
        self.train = train
        self.total = total
        self.losses = EpochLoss(net.criterion_, net.penalty_)

    def __call__(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        flat = self.net.flat_
        flat.values.copy_(torch.from_numpy(values))
        device = flat.values.device
        loss = torch.zeros((), dtype=widest_float(device), device=device)
        gradient = torch.zeros_like(flat.values)
        for x, y, weight, rows_total in self.train:
            _, rows, *norms = self.net.step_(x, y, weight, self.total)
            batch = BatchLosses(rows, weight, self.total, norms)
            share = rows_total / self.total
            loss.add_(self.losses.means([batch])[0], alpha=share)
            gradient.add_(flat.gradients, alpha=share)
        flat.gradients.copy_(gradient)
        return float(loss), flat.gradients.cpu().double().numpy()
