"""Many networks of one depth, perceptrons or small CNNs, trained as one network.

Every tensor has a leading dimension of members: parameters ``(members, parameters)``,
features ``(members, batch, features)``. Members differ in what a tensor can carry:
rows, weights of rows, seeds, learning rates, penalties, moments, when to stop, and
widths, where zeros keep the place of missing units. Each ends as it would have ended
alone.
"""

import operator
import threading
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn import config_context, get_config

from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.data.batches import BatchLoader, samples_per_chunk
from skmlp.training.modules.introspection import widest_layer_size
from skmlp.training.net import Keeper, Net
from skmlp.training.packs.batches import (
    PackBatches,
    PackData,
    batch_stream_key,
    common_run_length,
    data_key,
)
from skmlp.training.packs.convolution import pack_structure, widest_patches
from skmlp.training.packs.epoch_loss import PackEpochLoss
from skmlp.training.packs.optimizer import SOLVERS, PackOptimizer, hyperparameters_of
from skmlp.training.packs.parameters import PackParameters


@dataclass(eq=False)
class PackMember:
    """One of the networks: an initialised net, its rows, and how long to train.

    ``epochs`` count those that ``keeper`` has kept. ``error`` is set if the loss
    stopped being finite; the net is then of no use.
    """

    net: Net
    train: BatchLoader
    valid: BatchLoader | None
    epochs: int
    keeper: Keeper | None = None
    error: FloatingPointError | None = None

    @property
    def ended(self) -> bool:
        """Whether no other epoch follows."""
        done = self.net.converged_ or self.net.epochs_ >= self.epochs
        return done or self.error is not None


def pack_key(member: PackMember) -> Hashable | None:
    """Return what members of one pack have in common; None if it cannot be packed."""
    net, rows = member.net, member.train.data
    structure = pack_structure(net.module_)
    if (
        structure is None
        or net.solver not in SOLVERS
        or len(net.callbacks_) > 1
        or net.amp
        or net.verbose
        or net.train_score is not None
        or net.weight_averaging is not None
        or member.train.augment is not None
        or not isinstance(net.alpha, (int, float))
        or not isinstance(rows.X, torch.Tensor)
        or not rows.shares_features
        or not all(p.requires_grad for p in net.module_.parameters())
    ):
        return None
    loss = net.criterion_
    size = member.train.batch_size
    # Alone such a batch of images passes in parts, whose convolutions draw their masks.
    if structure.images and size > samples_per_chunk(
        widest_layer_size(net.module_, rows.X.shape[1])
    ):
        return None
    return (
        structure.shape,
        net.solver,
        net.max_grad_norm,
        type(loss),
        tuple(sorted((k, v) for k, v in vars(loss).items() if not k.startswith("_"))),
        net.flat_.values.dtype,
        net.flat_.values.device,
        rows.X.dtype,
        rows.y.dtype,
        rows.y.shape[1:],
        # Full batches differ in size where folds do; the shorter ones are padded.
        None if size == len(rows) else size,
        member.valid is None,
    )


def train_pack(
    members: Sequence[PackMember],
    advance: Callable[[int], None] = lambda epochs: None,
    n_threads: int = 1,
) -> None:
    """Train members of one `pack_key` until the last one has ended.

    They are shared out among `n_threads`, each of which trains a pack of its own:
    threads that wait for each other in every step gain less. `advance` is called, from
    any of them, after every epoch with the number of members that went through, and
    before with the epochs that were kept. Ctrl-C ends the training of all with
    scikit-learn's warning; what they learnt stays.
    """
    for member in members:
        member.net.epochs_, member.net.converged_ = 0, False
        if member.keeper is not None:
            member.keeper.resume(member.net, member.train)
            advance(member.net.epochs_)
    packs = [_Pack(*share) for share in _shares(*_sorted(members), n_threads)]
    stop = threading.Event()
    try:
        if len(packs) == 1:
            _train(packs[0], advance, stop)
            return
        with ThreadPoolExecutor(len(packs)) as pool:
            # Scorers see scikit-learn's settings of this thread.
            train = partial(_train, advance=advance, stop=stop, settings=get_config())
            try:
                for _ in pool.map(train, packs):
                    pass
            finally:
                stop.set()
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
        for pack in packs:
            for member in pack.members:
                member.net.converged_ = member.net.interrupted_ = True
            pack.dismiss_finished()


def _train(
    pack: "_Pack",
    advance: Callable[[int], None],
    stop: threading.Event,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Train a pack to its end, or until it is to stop."""
    tuner = make_thread_tuner(pack.stack.values.vector)
    with torch.no_grad(), config_context(**(settings or {})), tuner:
        pack.dismiss_finished()  # what was kept may have been the end
        while pack.members and not stop.is_set():
            pack.run_epoch(tuner)
            advance(sum(member.error is None for member in pack.members))
            pack.dismiss_finished()


_Share = tuple[list[PackMember], list[Hashable]]


def _shares(members: list[PackMember], streams: list[Hashable], n: int) -> list[_Share]:
    """Cut lists into at most `n` equal parts, if they can be between sets of rows."""
    each = common_run_length(streams)
    if len(members) < n * each:
        each = 1
    n_sets = len(members) // each
    n = min(n, n_sets)
    cuts = [round(i * n_sets / n) * each for i in range(n + 1)]
    return [(members[a:b], streams[a:b]) for a, b in pairwise(cuts)]


def _sorted(members: Sequence[PackMember]) -> _Share:
    """Put members together that one update moves, and of these those of equal rows.

    Their streams are of the same order.
    """
    ranks: dict[Hashable, int] = {}
    ranked = [ranks.setdefault(batch_stream_key(m.train), len(ranks)) for m in members]
    numbers = [
        (hyperparameters_of(m.net), rank)
        for m, rank in zip(members, ranked, strict=True)
    ]
    places = sorted(range(len(members)), key=numbers.__getitem__)
    return [members[i] for i in places], [ranked[i] for i in places]


class _Pack:
    """The members that still train, and what those of equal streams have in common."""

    def __init__(self, members: list[PackMember], streams: list[Hashable]) -> None:
        keep_freed_memory()
        self.members, self.streams = members, streams
        nets = [member.net for member in members]
        # Not asked back from the pack: in a cycle its rows would outlive the training.
        self.counts = [0] * len(members)
        self.stack = PackParameters(nets, self.counts)
        self.optimizer = PackOptimizer(self.stack)
        self.widest = max(
            widest_patches(nets[0].module_, members[0].train.data.X.shape[1]),
            *(
                layer.products.weight.shape[-2:].numel()
                for layer in self.stack.step.layers
            ),
        )
        self._arrange()

    def _arrange(self) -> None:
        """Stack the rows of the members that there are."""
        members = self.members
        self.batches = PackBatches([m.train for m in members], self.streams)
        held_out = [m.valid.data for m in members if m.valid is not None]
        self.held_out = None
        if held_out:
            each = common_run_length(map(data_key, held_out))
            self.held_out = PackData(held_out[::each])

    def run_epoch(self, tuner: ThreadTuner) -> None:
        """Train every member on all of its rows once, and judge what came of it."""
        members, stack = self.members, self.stack
        dtype, device = stack.alpha.dtype, stack.alpha.device
        plan = self.batches.next_epoch(dtype, device)
        shares, active = plan.shares, plan.shares.active
        losses = PackEpochLoss(members[0].net.criterion_, stack.alpha, shares)
        moving = [
            i for i, m in enumerate(members) if m.net.schedule.moves_within_epochs
        ]
        tuner.pause()
        with torch.inference_mode():  # no code but ours sees what a step makes
            of_steps = zip(
                self.batches.of(plan, dtype),
                shares.weights.unbind(),
                shares.totals.unbind(),
                strict=True,
            )
            for s, ((x, y), weights, totals) in enumerate(of_steps):
                tuner.begin_step()
                for i in moving:
                    if active[s][i]:
                        net, steps = members[i].net, len(members[i].train)
                        net.schedule.before_batch(net.optimizer_, steps)
                if moving or s == 0 or active[s] != active[s - 1]:
                    self.optimizer.choose(active[s])
                self.counts[:] = shares.counts[s]
                losses.add(stack.differentiate(x, y, weights, totals))
                self.optimizer.update()
            sums = losses.sum()
        for member, loss in zip(members, sums, strict=True):
            self._end_epoch(member, loss / len(member.train.data))
        if self.held_out is not None:
            self._validate(self.held_out)
        for member in members:
            if member.error is None:
                member.net.converged_ = member.net.judge_epoch(len(member.train.data))

    def _end_epoch(self, member: PackMember, loss: float) -> None:
        """Write a member's epoch into its history."""
        net = member.net
        net.history.new_epoch()
        counts = {"epoch": len(net.history), "train_batch_count": len(member.train)}
        net.history[-1].update(counts)
        if not np.isfinite(loss):
            member.error = FloatingPointError(net.epochs_ + 1)
            return
        net.epochs_ += 1
        net.record("train_loss", loss, operator.lt)

    def _validate(self, held_out: PackData) -> None:
        """Compute every member's validation loss and score."""
        members, step = self.members, self.stack.step
        sizes = [len(rows) for rows in held_out.sets]
        at_once = max(1, samples_per_chunk(self.widest) // len(members))
        parts = []
        for start in range(0, max(sizes), at_once):
            # Sets of fewer rows repeat their last one, which is cut off below.
            rows = [
                torch.from_numpy(
                    held.index[np.arange(start, start + at_once).clip(0, size - 1)]
                )
                for held, size in zip(held_out.sets, sizes, strict=True)
            ]
            x, _ = held_out.gather(*held_out.offset(torch.stack(rows)))
            parts.append(step.logits(x.to(self.stack.alpha.dtype)))
        logits = torch.cat(parts, dim=1)
        each = len(members) // len(sizes)
        for i, member in enumerate(members):
            if member.error is None:
                rows = held_out.sets[i // each]
                self.stack.write_back(i)
                member.net.record_validation(rows, logits[i, : len(rows)])

    def dismiss_finished(self) -> None:
        """Give members that have ended their weights, and go on with the others."""
        going = [i for i, member in enumerate(self.members) if not member.ended]
        if len(going) == len(self.members):
            return
        self.batches.catch_up()
        for i, member in enumerate(self.members):
            if not member.ended:
                continue
            net = member.net
            self.stack.write_back(i)
            self.optimizer.write_back(i)
            if member.keeper and not (member.error or net.interrupted_):
                member.keeper.keep(net, member.train, last=True)
            net.monitor.restore(net.flat_, net.module_)
            net.module_.eval()
        self.members = [self.members[i] for i in going]
        self.streams = [self.streams[i] for i in going]
        index = torch.tensor(going, dtype=torch.long, device=self.stack.alpha.device)
        self.stack.select(index)
        self.optimizer.select(index)
        if going:
            self._arrange()
