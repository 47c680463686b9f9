"""Batches of a `DeviceData`; they are cast to the training dtype when gathered."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from torch import Tensor

from skmlp.training.compute.seeds import RandomStateFork
from skmlp.training.compute.thread_tuning import SINGLE_THREAD_TUNER, ThreadTuner
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.slices import batches_per_gather, slices_of_size

# Features, targets, normalized sample weights (or None), and the sum of the sample
# weights before normalization.
Batch = tuple[Tensor, Tensor, Tensor | None, float]
Augment = Callable[[Tensor], Tensor]
# Maps targets ``(..., batch)`` and their normalized sample weights, or None, to
# `Loss.term_weights`.
TermWeights = Callable[[Tensor, Tensor | None], Tensor]

# Maximum number of targets whose weights are computed at once.
_TARGETS_AT_ONCE = 2**14


class BatchLoader:
    """Iterates over the batches of a `DeviceData`, each epoch in a new order.

    Parameters
    ----------
    data : DeviceData
    batch_size : int
        Samples in a batch; the last batch of an epoch may be shorter.
    random_state : RandomState, RandomStateFork or None
        Each epoch shuffles the order of the previous epoch, as in scikit-learn. None
        leaves the order unchanged.
    augment : callable or None
        Applied to the features of every batch. If the features are the targets, the
        results are the targets.
    corrupt : callable or None
        Applied to the features after `augment`. It leaves the targets unchanged.
    changes_many : bool
        Whether both functions change each sample on its own, and take no numbers from
        the host. A GPU then changes many batches at once.

    Attributes
    ----------
    order : ndarray of int
        Sample indices in the order of the current epoch.
    """

    def __init__(
        self,
        data: DeviceData,
        batch_size: int,
        random_state: np.random.RandomState | RandomStateFork | None = None,
        augment: Augment | None = None,
        corrupt: Augment | None = None,
        changes_many: bool = False,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.random_state = random_state
        self.augment = augment
        self.corrupt = corrupt
        self.changes_many = changes_many
        self.order = data.index

    @property
    def changes_features(self) -> bool:
        """Whether the features of the batches are changed."""
        return self.augment is not None or self.corrupt is not None

    def change(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changed features, and the targets."""
        x = x if self.augment is None else self.augment(x)
        y = x if self.data.y is None else y
        return x if self.corrupt is None else self.corrupt(x), y

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.data) // self.batch_size)  # rounded up

    def next_order(self) -> np.ndarray:
        """Draw and return the order of the next epoch."""
        if self.random_state is not None:
            self.order = self.data.shuffle(
                self.order, self.random_state, self.batch_size
            )
        return self.order

    def copy_order_from(self, other: "BatchLoader") -> None:
        """Copy order and random state from a loader with the same batches.

        `other` does not draw any more. So its `RandomStateFork` is taken over.
        """
        if isinstance(self.random_state, RandomStateFork):
            self.random_state = other.random_state
        elif self is not other and self.random_state and other.random_state:
            self.random_state.set_state(other.random_state.get_state())
        self.order = other.order

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return self.batches(SINGLE_THREAD_TUNER)

    def batches(
        self, tuner: ThreadTuner, term_weights: TermWeights | None = None
    ) -> Iterator[Batch]:
        """Yield the batches of one epoch, gathered on the tuner's threads.

        With `term_weights`, the batches have these weights. They are computed for many
        batches at once.
        """
        size = self.batch_size
        gathered_size = size * self._batches_per_gather()
        changes_many = self.changes_many and self.data.device.type == "cuda"
        for data, positions, order in self.data.windows(self.next_order(), size):
            totals = data.sums_of_weights(order, size)
            weights: Iterable[Tensor | None] = [None] * len(totals)
            if data.weight is not None or term_weights is not None:
                weights = _weights_of_batches(
                    data, positions, totals, size, term_weights
                )
            of_batches = zip(weights, totals, strict=True)
            for gathered in slices_of_size(len(order), gathered_size):
                X, Y = data.gather(positions[gathered], tuner.n_threads)
                if changes_many:
                    X, Y = self.change(X, Y)
                batches = zip(_split(X, size), _split(Y, size), strict=True)
                # `batches` comes first, so that no weight is lost when it ends.
                for (x, y), (weight, total_weight) in zip(
                    batches, of_batches, strict=False
                ):
                    if not changes_many:
                        x, y = self.change(x, y)
                    yield x, y, weight, total_weight

    def _batches_per_gather(self) -> int:
        """Return how many batches one call gathers."""
        values_per_batch = self.batch_size * max(1, math.prod(self.data.X.shape[1:]))
        return batches_per_gather(values_per_batch, self.data.dtype)


def _split(samples: Tensor, size: int) -> Sequence[Tensor]:
    """Split samples into batches; faster than torch's `split` for a single batch."""
    return (samples,) if samples.shape[0] <= size else samples.split(size)


def _weights_of_batches(
    data: DeviceData,
    positions: Tensor,
    totals: list[float],
    batch_size: int,
    term_weights: TermWeights | None,
) -> Iterator[Tensor]:
    """Yield the normalized sample weights, or the term weights, of each batch.

    `totals` has the sum of the sample weights of each batch.
    """
    batches_at_once = max(1, _TARGETS_AT_ONCE // batch_size)
    batch_totals = iter(totals)
    for samples in slices_of_size(len(positions), batches_at_once * batch_size):
        index, weight = positions[samples].to(data.device), None
        if data.weight is not None:
            weight = data.weight.index_select(0, index)
            # The totals come last, so that none is lost at the end of the slice.
            for w, total in zip(weight.split(batch_size), batch_totals, strict=False):
                w.div_(total or 1.0)
        if term_weights is None:
            assert weight is not None
            yield from weight.split(batch_size)
        else:
            assert data.y is not None
            y = data.y.index_select(0, index)
            yield from _weights_of_terms(y, weight, batch_size, term_weights)


def _weights_of_terms(
    y: Tensor, weight: Tensor | None, batch_size: int, term_weights: TermWeights
) -> Iterator[Tensor]:
    """Yield the term weights of each batch; the last one may be shorter."""
    n_whole = len(y) - len(y) % batch_size  # samples in whole batches
    whole, rest = slice(0, n_whole), slice(n_whole, len(y))
    for part, shape in ((whole, (-1, batch_size)), (rest, (1, -1))):
        if part.start < part.stop:
            of_part = None if weight is None else weight[part].view(shape)
            yield from term_weights(y[part].view(shape), of_part).unbind()
