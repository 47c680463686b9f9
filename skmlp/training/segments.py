"""Training on a GPU in segments: many steps that one CUDA graph holds.

The kernels of a small network end sooner than Python can launch the next ones. The
graph of a segment gathers the batches, computes losses and gradients, updates the
parameters, and adds the losses. All numbers that change between steps are in tensors:
the sample indices, their weights, the learning rates with their bias corrections, and
the decays.

- The segments of an epoch are equal, except for the last one, which has a graph of its
  own. A step that is not recorded computes the same formulas, so its results are equal.
- `DenseBlocks` needs fewer kernels for a small multi-layer perceptron.
- Callbacks may change the network between two epochs. `_settings` notices what a graph
  would not.
- The penalty in the loss is computed at a few points of a segment, and interpolated
  linearly between them. The gradients have the penalty of each step.
"""

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.cuda_graphs import (
    SegmentRecorder,
    divide_into_segments,
)
from skmlp.training.compute.devices import highest_precision_float, upload
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER
from skmlp.training.data.slices import slices_of_size
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.modules.introspection import (
    known_modules,
    plain_attributes,
    weight_layers,
)
from skmlp.training.modules.layers import dropout_generators
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import SGD, Adam
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.optimizers.update import ParameterUpdater
from skmlp.training.run import TrainingRun
from skmlp.training.steps import Step, make_step
from skmlp.training.steps.dense_blocks import (
    DenseBlocks,
    find_block_layers,
    with_ones,
)

# Maximum number of steps in a graph. The time of a launch is then a small part of that
# of the steps.
_MAX_STEPS = 64

# Minimum number of launches in a training. The recording of a graph takes about as long
# as its steps without a graph.
_MIN_LAUNCHES = 8

# Number of parts of a segment in which the penalty is interpolated.
_PENALTY_PARTS = 4

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
        net, loader = run.net, run.train_loader
        self.run, self.penalty, self.update = run, penalty, update
        self.loss = net.criterion_.for_known_targets()
        self._host_weight = _useful_weights(run)
        # The penalty is divided by the sum of the weights of the batch. A graph reads
        # the sums from a tensor, unless they are the sizes of the batches.
        self._scales_penalty = self._host_weight is not None
        self._blocks: DenseBlocks | None = None
        if (blocks := _make_blocks(run)) is not None:
            self._blocks = blocks
            self.penalty = Penalty(blocks, penalty.alphas)
            self.update = update.with_tensors(blocks, blocks.tensors)
        step_penalty = Penalty(run.flat, 0.0) if self._scales_penalty else penalty
        self.step: Step
        if self._blocks is not None:
            self.step = self._blocks.make_step(self.loss, step_penalty.alphas)
        else:
            self.step = make_step(
                net.module_,
                self.loss,
                run.flat,
                step_penalty,
                net.amp,
                SINGLE_THREAD_TUNER,
                run.generator,
            )
        self._n_outputs = list(weight_layers(net.module_))[-1].weight.shape[0]
        self._max_steps = max_steps_of_segment(
            run.max_epochs * len(loader), loader.batch_size * loader.data.X.shape[1]
        )
        device = run.device
        # One graph for the equal segments of an epoch, and one for the last segment.
        self._recorder = SegmentRecorder(self._generators, device, 2 if records else 0)
        self._sum = torch.zeros(
            (), dtype=highest_precision_float(device), device=device
        )

    def _generators(self) -> set[torch.Generator]:
        """Return the generators from which a segment draws."""
        generators = dropout_generators([self.run.net.module_])
        if self.run.train_loader.changes_features and self.run.generator is not None:
            generators.add(self.run.generator)
        return generators

    def train_epoch(self) -> float:
        """Train on every batch once; return the sum of the losses of all samples."""
        loader, device = self.run.train_loader, self.run.device
        size, n_steps = loader.batch_size, len(loader)
        host_order = loader.next_order()
        order = torch.from_numpy(host_order)
        weights, totals = self._weights_of_batches(host_order)
        if not any(totals):
            return 0.0
        plan = torch.from_numpy(self._plan(totals))
        if self._blocks is not None:
            self._blocks.load()
            self.update.begin_epoch()
        self._sum.zero_()
        of_samples = [order] if weights is None else [order, weights]
        train = partial(self._train_segment, None if weights is None else iter(totals))
        net = self.run.net
        settings = _settings(net) if net.callbacks else None
        may_record = (
            all(totals)
            and not self.update.has_frozen
            and (not net.callbacks or self._is_known_to_graphs())
        )
        first = 0
        for n_segments, n in divide_into_segments(
            len(order) // size, n_steps, self._max_steps
        ):
            end = first + n_segments * n
            samples = slice(first * size, end * size)
            self._recorder.call_segments(
                train,
                upload(plan[first:end].view(n_segments, n, -1), device),
                *(upload(t[samples].view(n_segments, -1), device) for t in of_samples),
                key=settings,
                n_steps=n,
                may_record=may_record,
            )
            first = end
        if self._blocks is not None:
            self._blocks.store()
        return float(self._sum)

    def _is_known_to_graphs(self) -> bool:
        """Return whether `_settings` has all that callbacks may have changed.

        They may have added hooks, or changed the augmentation.
        """
        run = self.run
        has_hooks = known_modules(run.net.module_) is None
        return not has_hooks and not run.train_loader.changes_features

    def _weights_of_batches(
        self, order: np.ndarray
    ) -> tuple[Tensor | None, Sequence[float]]:
        """Return normalized sample weights, and their sums before normalization.

        The weights of each batch sum to one. They are in the order of training. None
        means that all weights are one.
        """
        loader = self.run.train_loader
        totals = loader.data.sums_of_weights(order, loader.batch_size)
        if self._host_weight is None:
            return None, totals
        weights = self._host_weight[order].astype(np.float32)
        batches = slices_of_size(len(order), loader.batch_size)
        for batch, total in zip(batches, totals, strict=True):
            if total:
                weights[batch] /= np.float32(total)
        return torch.from_numpy(weights), totals

    def _plan(self, totals: Sequence[float]) -> np.ndarray:
        """Return the numbers ``(steps, factors)`` that the steps of an epoch need.

        The last two are one and the size of the batch, divided by the sum of its
        weights. Batches whose weights are all zero are left out of the training.
        """
        net, average, loader = self.run.net, self.run.average, self.run.train_loader
        used = [s for s, total in enumerate(totals) if total]
        rates = []
        for _ in used:
            net.begin_step(len(totals))
            rates.append(net.optimizer_.param_groups[0]["lr"])
        columns = [self.update.plan_steps(rates)]
        if average is not None:
            columns.append(np.array([[average.next_factor()] for _ in used]))
        batches = slices_of_size(len(loader.data), loader.batch_size)
        sizes = np.array([batches[s].stop - batches[s].start for s in used])
        used_totals = np.array([totals[s] for s in used])
        of_used = np.column_stack([*columns, 1.0 / used_totals, sizes / used_totals])
        plan = np.zeros((len(totals), of_used.shape[1]), dtype=np.float32)
        plan[used] = of_used
        return plan

    def _train_segment(
        self,
        totals: Iterator[float] | None,
        plan: Tensor,
        order: Tensor,
        weights: Tensor | None = None,
    ) -> None:
        """Take the steps of a segment; a CUDA graph may record this.

        Parameters
        ----------
        totals : iterator of float or None
            The sums of the weights of these and of later batches. None means that all
            weights are one. A graph does not use the sums, which are not zero then.
        plan : Tensor of shape (steps, factors)
            Rows of the plan.
        order : Tensor of shape (samples,)
            Sample indices in the order of training.
        weights : Tensor of shape (samples,) or None
            Normalized sample weights.
        """
        loader = self.run.train_loader
        X, Y = loader.change(*loader.data.gather(order))
        if self._blocks is not None:
            X = with_ones(X)
        batches = slices_of_size(len(order), loader.batch_size)
        loss_weights = self._loss_weights(Y, weights, batches)
        losses, norms = EpochLoss(self.loss), []
        parts = slices_of_size(len(batches), -(-len(batches) // _PENALTY_PARTS))
        first_steps = {part.start for part in parts}
        for s, (batch, factors) in enumerate(zip(batches, plan.unbind(), strict=True)):
            if s in first_steps:
                norms.append(self.penalty.norms())
            size = float(batch.stop - batch.start)
            total = size if totals is None else next(totals)
            if total == 0.0:
                continue  # all samples have weight zero
            weight = None if loss_weights is None else loss_weights[batch]
            _, loss_terms = self.step(X[batch], Y[batch], weight, total)
            if self._scales_penalty:
                self.penalty.add_scaled_to_gradients(factors[-2])
            if self.run.average is None:
                self.update.planned_step(factors[:-2])
            else:
                self.update.planned_step(factors[:-3])
                self.run.average.update(factors[-3])
            losses.add(BatchLosses(loss_terms, weight, total), size)
        norms.append(self.penalty.norms())
        if losses.sum_of_factors:
            self._sum.add_(losses.sum_on_device())
            self._add_penalties(norms, parts, plan[:, -1])

    def _add_penalties(
        self,
        norms: Sequence[Sequence[Tensor]],
        parts: Sequence[slice],
        factors: Tensor,
    ) -> None:
        """Add the penalties of the steps of a segment, each times a factor.

        `norms` are those before each part of the segment, and after the last one. The
        penalties between are interpolated.
        """
        norms_by_slice = map(torch.stack, zip(*norms, strict=True))
        ones = self._sum.new_ones(len(norms))
        penalties = self.penalty.from_norms(norms_by_slice, ones).unbind()
        factors = factors.to(ones.dtype)
        positions = torch.arange(len(factors), dtype=ones.dtype, device=ones.device)
        for part, (before, after) in zip(parts, pairwise(penalties), strict=True):
            in_part = (positions[part] - part.start) / (part.stop - part.start)
            self._sum.add_(torch.lerp(before, after, in_part) @ factors[part])

    def _loss_weights(
        self, y: Tensor, weights: Tensor | None, batches: list[slice]
    ) -> Tensor | None:
        """Return the weights of the samples or of the loss terms for the loss."""
        if not self.loss.has_term_weights:
            return weights
        if weights is None:
            dtype = self.run.flat.values.dtype
            weights = torch.empty(y.shape, dtype=dtype, device=y.device)
            first, last = batches[0], batches[-1]
            weights.fill_(1.0 / (first.stop - first.start))
            # The last batch may be shorter.
            weights[last].fill_(1.0 / (last.stop - last.start))
        return self.loss.term_weights(y, weights, self._n_outputs)


def _useful_weights(run: TrainingRun) -> np.ndarray | None:
    """Return the sample weights of a run, unless all are one."""
    data = run.train_loader.data
    weight = data.host_weight
    return None if weight is None or (weight[data.index] == 1.0).all() else weight


def _settings(net: Net) -> Hashable:
    """Return the numbers of Python that the steps of an epoch use."""
    group = net.optimizer_.param_groups[0]
    of_optimizer = ((k, v) for k, v in group.items() if k not in ("params", "lr"))
    return *of_optimizer, plain_attributes(net.module_)


def _make_blocks(run: TrainingRun) -> DenseBlocks | None:
    """Return blocks for the network of a run, if they can hold it."""
    net = run.net
    if run.average is not None:  # it reads the flat parameters in each step
        return None
    layers = find_block_layers(net.module_, run.flat, net.optimizer_)
    return None if layers is None else DenseBlocks(layers, run.flat, net.optimizer_)


def trains_in_segments(run: TrainingRun) -> bool:
    """Return whether the steps of a run need no work of the host between them.

    CUDA's optimizers read the learning rate in float32. Augmentation and noise of the
    user may need the host.
    """
    net, loader = run.net, run.train_loader
    return (
        run.flat.values.is_cuda
        and run.flat.values.dtype == torch.float32
        and isinstance(net.optimizer_, (Adam, SGD))
        and not net.criterion_.uses_autograd
        and known_modules(net.module_) is not None
        and isinstance(loader.data.X, Tensor)
        and (loader.changes_many or not loader.changes_features)
    )


def launches_equal_kernels(net: Net) -> bool:
    """Return whether all steps launch the same kernels, callbacks aside.

    Code of the user may do anything. A graph has fixed probabilities of dropout.
    """
    return not (
        net.criterion_.uses_autograd
        or net.schedule.fades
        or known_modules(net.module_) is None
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
