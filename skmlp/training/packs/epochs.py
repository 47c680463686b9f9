"""Train all pack members for an epoch, and sum their losses.

On a GPU, the epoch is divided into segments of many steps, as described in
`skmlp.training.segments`.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.cuda_graphs import (
    SegmentRecorder,
    divide_into_segments,
)
from skmlp.training.compute.devices import highest_precision_float
from skmlp.training.losses import Loss
from skmlp.training.packs.batches import EpochPlan, PackBatches
from skmlp.training.packs.optimizer import PackOptimizer
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.segments import max_steps_of_segment

# Number of steps whose losses one call of torch computes. The overhead of a call takes
# longer than the arithmetic for one step.
_STEPS_AT_ONCE = 64


class PackEpochs:
    """Trains the current members of a pack, epoch by epoch.

    Parameters
    ----------
    parameters : PackParameters
    optimizer : PackOptimizer
    batches : PackBatches
    counts : list of int
        Receives each member's number of samples in the current batch.
    max_epochs : int
        Number of epochs of the training.
    """

    def __init__(
        self,
        parameters: PackParameters,
        optimizer: PackOptimizer,
        batches: PackBatches,
        counts: list[int],
        max_epochs: int,
    ) -> None:
        self.parameters = parameters
        self.optimizer = optimizer
        self.batches = batches
        self.counts = counts
        self._max_epochs = max_epochs
        self._recorder: SegmentRecorder | None = None
        alpha = parameters.alpha
        if alpha.is_cuda and not parameters.uses_autograd:
            # A graph has fixed probabilities of dropout.
            max_graphs = 0 if parameters.nets[0].schedule.fades else 2
            self._recorder = SegmentRecorder(
                lambda: parameters.generators, alpha.device, max_graphs
            )
            # Graphs add the losses of an epoch to this tensor.
            self._sums = alpha.new_zeros(
                len(alpha), dtype=highest_precision_float(alpha.device)
            )

    def train(self, plan: EpochPlan) -> list[float]:
        """Train on every batch once; return the sum of each member's sample losses.

        The optimizer has planned the steps.
        """
        if self._recorder is not None:
            return self._train_in_segments(plan, self._recorder)
        parameters, optimizer = self.parameters, self.optimizer
        step_weights, dtype = plan.step_weights, parameters.alpha.dtype
        strengths = parameters.alpha / step_weights.totals
        losses = PackEpochLoss(
            parameters.step.loss,
            strengths,
            step_weights.weights,
            step_weights.counts_on_device,
        )
        tuner = parameters.tuner
        tuner.pause()
        # Callbacks and scorers could not compute with tensors of the inference mode. No
        # user code receives the tensors of these steps.
        with inference_mode(not parameters.uses_autograd):
            steps = zip(
                self.batches.steps(plan, dtype),
                step_weights.weights.unbind(),
                strengths.unbind(),
                strict=True,
            )
            for s, ((x, y), weights, strength) in enumerate(steps):
                tuner.begin_step()
                self.counts[:] = step_weights.counts[s]  # read by the dropout masks
                losses.add(parameters.differentiate(x, y, weights, strength))
                optimizer.update(s, step_weights.active[s])
            return losses.sum()

    def _train_in_segments(
        self, plan: EpochPlan, recorder: SegmentRecorder
    ) -> list[float]:
        """Train on a GPU by graphs of many steps."""
        step_weights, optimizer = plan.step_weights, self.optimizer
        n_steps = len(plan.X_index)
        host_rows = list(
            zip(map(tuple, step_weights.counts), step_weights.active, strict=True)
        )
        n_equal = next(
            (s for s, row in enumerate(host_rows) if row != host_rows[0]), n_steps
        )
        max_steps = max_steps_of_segment(
            self._max_epochs * n_steps,
            plan.X_index[0].numel() * self.batches.data.X.shape[1],
        )
        inputs = (
            plan.X_index,
            plan.y_index,
            step_weights.weights,
            self.parameters.alpha / step_weights.totals,
            step_weights.counts_on_device,
            optimizer.planned_factors,
        )
        self._sums.zero_()
        first = 0
        with inference_mode(True):
            for n_segments, n in divide_into_segments(n_equal, n_steps, max_steps):
                end = first + n_segments * n
                rows = tuple(host_rows[first : first + n])
                recorder.call_segments(
                    partial(self._train_segment, rows),
                    *(t[first:end].view(n_segments, n, *t.shape[1:]) for t in inputs),
                    key=rows,
                    n_steps=n,
                )
                first = end
        optimizer.count_planned_steps()
        return self._sums.tolist()

    def _train_segment(
        self,
        host_rows: Sequence[tuple[tuple[int, ...], tuple[bool, ...]]],
        X_index: Tensor,
        y_index: Tensor,
        weights: Tensor,
        strengths: Tensor,
        counts: Tensor,
        factors: Tensor,
    ) -> None:
        """Take the steps of a segment; a CUDA graph may record this.

        `host_rows` has the counts and the active members of each step. All tensors have
        a leading dimension of steps. See `EpochPlan`, `StepWeights` and `PackOptimizer`
        for their shapes.
        """
        parameters = self.parameters
        X, Y = self.batches.gather_for_members(X_index, y_index, parameters.alpha.dtype)
        loss = parameters.step.loss
        if loss.has_term_weights:
            assert isinstance(Y, Tensor)  # classes, not features
            weights = loss.term_weights(Y, weights, parameters.n_outputs)
        losses = PackEpochLoss(loss, strengths, weights, counts)
        for s, (member_counts, active) in enumerate(host_rows):
            self.counts[:] = member_counts
            results = parameters.differentiate(X[s], Y[s], weights[s], strengths[s])
            losses.add(results)
            self.optimizer.planned_update(factors[s], active)
        self._sums.add_(losses.sum_on_device())


class PackEpochLoss:
    """Sums the losses of the batches of an epoch, with their penalties.

    The loss of a batch is multiplied by its number of samples.

    Parameters
    ----------
    loss : Loss
    strengths : Tensor of shape (steps, members)
        Strengths of the L2 penalties, divided by the sums of the sample weights.
    weights : Tensor of shape (steps, members, batch, ...)
        Sample weights, or the `Loss.term_weights`.
    counts : Tensor of shape (steps, members)
        Numbers of samples.
    """

    def __init__(
        self,
        loss: Loss,
        strengths: Tensor,
        weights: Tensor,
        counts: Tensor,
    ) -> None:
        self.loss = loss
        self.strengths, self.weights, self.counts = strengths, weights, counts
        self._n_summed = 0  # steps in the sums
        self._steps: list[tuple[Tensor, ...]] = []  # not yet in the sums
        self._sums = torch.zeros_like(counts[0])

    def add(self, results: tuple[Tensor, ...]) -> None:
        """Add the results of `PackParameters.differentiate` for the next step."""
        self._steps.append(results)
        if len(self._steps) == _STEPS_AT_ONCE:
            self._sum_steps()

    def _sum_steps(self) -> None:
        """Move the stored steps into the sums."""
        steps = slice(self._n_summed, self._n_summed + len(self._steps))
        loss_terms, *norms = map(torch.stack, zip(*self._steps, strict=True))
        # (steps, members)
        losses = self.loss.mean_loss(loss_terms, self.weights[steps])
        for layer_norms in norms:  # alpha / total * norm**2 / 2, as in scikit-learn
            losses.addcmul_(layer_norms.square_(), self.strengths[steps], value=0.5)
        counts = self.counts[steps]
        # The steps become the last, contiguous dimension. So a member's values are
        # added in the same order for any number of members.
        self._sums += (losses.to(counts.dtype) * counts).mT.contiguous().sum(-1)
        self._n_summed, self._steps = steps.stop, []

    def sum(self) -> list[float]:
        """Return the sum of each member."""
        return self.sum_on_device().tolist()

    def sum_on_device(self) -> Tensor:
        """Return the sums ``(members,)`` without waiting for the device."""
        if self._steps:
            self._sum_steps()
        return self._sums
