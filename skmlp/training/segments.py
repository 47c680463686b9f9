"""Training on a GPU in segments: many steps that one CUDA graph holds.

The kernels of a small network end sooner than Python can launch the next ones. The
graph of a segment gathers the batches, computes losses and gradients, updates the
parameters, and adds the losses. All numbers that change between steps are in tensors:
the sample indices, the learning rates with their bias corrections, and the decays.

The segments of an epoch are equal, except for the last one, which has a graph of its
own. A step that is not recorded computes the same formulas, so its results are equal.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.cuda_graphs import (
    SegmentRecorder,
    divide_into_segments,
)
from skmlp.training.compute.devices import highest_precision_float, upload
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER
from skmlp.training.data.batches import slices_of_size
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.modules.introspection import known_modules, weight_layers
from skmlp.training.modules.layers import dropout_generators
from skmlp.training.optimizers.flat_optimizers import SGD, Adam
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.optimizers.update import ParameterUpdater
from skmlp.training.run import TrainingRun
from skmlp.training.steps import make_step

# Maximum number of steps in a graph. The time of a launch is then a small part of that
# of the steps.
_MAX_STEPS = 64

# Minimum number of launches in a training. The recording of a graph takes about as long
# as its steps without a graph.
_MIN_LAUNCHES = 8

# Maximum number of feature values that a segment gathers.
_MAX_VALUES = 2**24


class SegmentTrainer:
    """Trains a network on a GPU in segments of many steps.

    Parameters
    ----------
    run : TrainingRun
        `trains_in_segments` has to be true for it.
    penalty : Penalty
    update : ParameterUpdater
    records : bool
        Whether to record CUDA graphs.
    """

    def __init__(
        self,
        run: TrainingRun,
        penalty: Penalty,
        update: ParameterUpdater,
        records: bool,
    ) -> None:
        net = run.net
        self.run, self.penalty, self.update = run, penalty, update
        self.loss = net.criterion_.for_known_targets()
        self.step = make_step(
            net.module_,
            self.loss,
            run.flat,
            penalty,
            net.amp,
            SINGLE_THREAD_TUNER,
            run.generator,
        )
        # Sums of the sample weights of the batches of the next segments.
        self._totals: list[float] = []
        self._n_outputs = list(weight_layers(net.module_))[-1].weight.shape[0]
        loader = run.train_loader
        self._max_steps = max_steps_of_segment(
            run.max_epochs * len(loader), loader.batch_size * loader.data.X.shape[1]
        )
        device = run.device
        # One graph for the equal segments of an epoch, and one for the last segment.
        self._recorder = SegmentRecorder(
            partial(dropout_generators, [net.module_]), device, 2 if records else 0
        )
        self._sum = torch.zeros(
            (), dtype=highest_precision_float(device), device=device
        )

    def train_epoch(self) -> float:
        """Train on every batch once; return the sum of the losses of all samples."""
        loader, device = self.run.train_loader, self.run.device
        size, n_steps = loader.batch_size, len(loader)
        host_order = loader.next_order()
        totals = self._sums_of_weights(host_order)
        order = torch.from_numpy(host_order)
        factors = torch.from_numpy(self._plan(totals))
        self._sum.zero_()
        first = 0
        for n_segments, n in divide_into_segments(
            len(order) // size, n_steps, self._max_steps
        ):
            end = first + n_segments * n
            # The penalty is divided by the sum of the weights, which the host computes.
            # A graph would repeat the same number.
            self._totals = totals[first:end]
            self._recorder.call_segments(
                self._train_segment,
                upload(order[first * size : end * size].view(n_segments, -1), device),
                upload(factors[first:end].view(n_segments, n, -1), device),
                n_steps=n,
                may_record=not self.update.has_frozen and loader.data.weight is None,
            )
            first = end
        return float(self._sum)

    def _sums_of_weights(self, order: np.ndarray) -> list[float]:
        """Return the sum of the sample weights of each batch."""
        data = self.run.train_loader.data
        batches = slices_of_size(len(order), self.run.train_loader.batch_size)
        if data.host_weight is None:
            return [float(batch.stop - batch.start) for batch in batches]
        return [float(data.host_weight[order[batch]].sum()) for batch in batches]

    def _plan(self, totals: list[float]) -> np.ndarray:
        """Return the numbers ``(steps, factors)`` that the steps of an epoch need.

        Batches whose weights are all zero are left out of the training.
        """
        net, average = self.run.net, self.run.average
        used = [s for s, total in enumerate(totals) if total]
        rates = []
        for _ in used:
            net.begin_step(len(totals))
            rates.append(net.optimizer_.param_groups[0]["lr"])
        if not used:
            return np.zeros((len(totals), 1), dtype=np.float32)
        factors = [self.update.plan_steps(rates)]
        if average is not None:
            factors.append(np.array([[average.next_factor()] for _ in used]))
        of_used = np.hstack(factors)
        plan = np.zeros((len(totals), of_used.shape[1]), dtype=np.float32)
        plan[used] = of_used
        return plan

    def _train_segment(self, order: Tensor, factors: Tensor) -> None:
        """Take the steps of a segment; a CUDA graph may record this.

        Parameters
        ----------
        order : Tensor of shape (samples,)
            Sample indices in the order of training.
        factors : Tensor of shape (steps, factors)
            Rows of the plan.
        """
        X, Y, sample_weights = self.run.train_loader.data.gather(order)
        batches = slices_of_size(len(order), self.run.train_loader.batch_size)
        totals = [float(batch.stop - batch.start) for batch in batches]
        if sample_weights is not None:  # not recorded, so each call is a new segment
            totals, self._totals = (
                self._totals[: len(batches)],
                self._totals[len(batches) :],
            )
        W = self._normalized_weights(Y, sample_weights, batches, totals)
        losses = EpochLoss(self.loss, self.penalty)
        for batch, total, step_factors in zip(
            batches, totals, factors.unbind(), strict=True
        ):
            if total == 0.0:
                continue  # all samples have weight zero
            size = float(batch.stop - batch.start)
            weight = None if W is None else W[batch]
            _, loss_terms, *norms = self.step(X[batch], Y[batch], weight, total)
            if self.run.average is None:
                self.update.planned_step(step_factors)
            else:
                self.update.planned_step(step_factors[:-1])
                self.run.average.update(step_factors[-1])
            losses.add(BatchLosses(loss_terms, weight, total, norms), size)
        if losses.sum_of_factors:
            self._sum.add_(losses.sum_on_device())

    def _normalized_weights(
        self,
        y: Tensor,
        sample_weights: Tensor | None,
        batches: list[slice],
        totals: list[float],
    ) -> Tensor | None:
        """Return weights for the loss whose sum is one for each batch."""
        if sample_weights is not None:
            weights = sample_weights
            for batch, total in zip(batches, totals, strict=True):
                if total:
                    weights[batch].div_(total)
        elif not self.loss.has_term_weights:
            return None
        else:
            weights = torch.empty(
                y.shape, dtype=self.run.flat.values.dtype, device=y.device
            )
            weights.fill_(1.0 / totals[0])
            if totals[-1] != totals[0]:  # the last batch may be shorter
                weights[batches[-1]].fill_(1.0 / totals[-1])
        if not self.loss.has_term_weights:
            return weights
        return self.loss.term_weights(y, weights, self._n_outputs)


def trains_in_segments(run: TrainingRun) -> bool:
    """Return whether the steps of a run need no work of the host between them.

    CUDA's optimizers read the learning rate in float32. Augmentation and noise need the
    host.
    """
    net, loader = run.net, run.train_loader
    return (
        run.flat.values.is_cuda
        and run.flat.values.dtype == torch.float32
        and isinstance(net.optimizer_, (Adam, SGD))
        and not net.criterion_.uses_autograd
        and known_modules(net.module_) is not None
        and isinstance(loader.data.X, Tensor)
        and loader.augment is None
        and loader.corrupt is None
    )


def max_steps_of_segment(n_steps: int, values_per_step: int) -> int:
    """Return the maximum number of steps in a segment.

    Parameters
    ----------
    n_steps : int
        Number of steps of the training.
    values_per_step : int
        Number of feature values in a step.
    """
    at_once = min(_MAX_STEPS, _MAX_VALUES // max(1, values_per_step))
    return max(1, min(at_once, n_steps // _MIN_LAUNCHES))
