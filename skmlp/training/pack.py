"""Many multi-layer perceptrons of one shape, trained as one network.

Every tensor has a leading dimension of members: parameters ``(members, parameters)``,
features ``(members, batch, features)``. Members differ in what a tensor can carry:
rows, weights of rows, seeds, learning rates, penalties, moments, when to stop. Each
ends as it would have ended alone.
"""

import operator
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from skmlp.training.batches import Batches, Rows, rows_at_once
from skmlp.training.modules import Dropout
from skmlp.training.net import Net
from skmlp.training.optimizers import DECOUPLED, SGD, Adam, adam_step, sgd_step
from skmlp.training.steps import DenseLayer, WrittenOutStep, dense_structure

_SOLVERS = frozenset({"sgd", "adam", "adamw"})


@dataclass(eq=False)
class Member:
    """One of the networks: an initialised net, its rows, and how long to train.

    ``error`` is set if the loss stopped being finite; the net is then of no use.
    """

    net: Net
    train: Batches
    valid: Batches | None
    epochs: int
    error: FloatingPointError | None = None

    @property
    def group(self) -> dict[str, Any]:
        """Learning rate and the optimizer's other numbers, as they stand."""
        return self.net.optimizer_.param_groups[0]


def pack_key(member: Member) -> Hashable | None:
    """Return what members of one pack have in common; None if it cannot be packed."""
    net, rows = member.net, member.train.rows
    structure = dense_structure(net.module_)
    if (
        structure is None
        or net.solver not in _SOLVERS
        or len(net.callbacks_) > 1
        or net.amp
        or net.verbose
        or net.train_score is not None
        or net.weight_averaging is not None
        or member.train.augment is not None
        or not isinstance(net.alpha, (int, float))
        or not isinstance(rows.X, Tensor)
        or not all(p.requires_grad for p in net.module_.parameters())
    ):
        return None
    layers = tuple(
        (layer.linear.weight.shape, layer.activation, layer.dropout is None)
        for layer in structure
    )
    loss = net.criterion_
    size = member.train.batch_size
    return (
        layers,
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


def train_together(
    members: Sequence[Member], advance: Callable[[int], None] = lambda epochs: None
) -> None:
    """Train members of one `pack_key` until the last one has ended.

    `advance` is called after every epoch with the number of members that went through.
    Ctrl-C ends the training of all with scikit-learn's warning; what they learnt is
    kept.
    """
    pack = _Pack(sorted(members, key=_numbers))
    with torch.no_grad():
        try:
            while pack.members:
                pack.run_epoch()
                advance(sum(member.error is None for member in pack.members))
                pack.dismiss_finished()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            for member in pack.members:
                member.net.converged_ = True
            pack.dismiss_finished()


def _numbers(member: Member) -> tuple[Any, ...]:
    """Return all that an update takes as one number for the members it moves."""
    numbers = tuple(v for k, v in sorted(member.group.items()) if k != "params")
    decay = member.net.alpha if member.net.solver in DECOUPLED else 0.0
    return (*numbers, decay)


class _Pack:
    """The members that still train, their parameters and their optimizers' state."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        flats = [member.net.flat_ for member in members]
        self.own = [flat.values for flat in flats]
        self.values = torch.stack(self.own)  # (members, parameters)
        self.gradients = torch.zeros_like(self.values)
        adam = isinstance(members[0].net.optimizer_, Adam)
        self.moments = [torch.zeros_like(self.values) for _ in range(1 + adam)]
        self.t = [0] * len(members)
        self.rates = [member.group["lr"] for member in members]
        (self.penalized, _), *_ = flats[0].decays(1.0)
        for member in members:
            member.net.epochs_, member.net.converged_ = 0, False
        self._arrange()

    def _arrange(self) -> None:
        """Take views of the stacked tensors for the members that there are."""
        members, values = self.members, self.values
        for member, row in zip(members, values, strict=True):
            member.net.flat_.values = row
        first = members[0].net
        structures = [dense_structure(m.net.module_) or [] for m in members]
        layers = []
        for i, (linear, activation, dropout) in enumerate(structures[0]):
            weight, bias = (
                first.flat_.place_of(p) for p in (linear.weight, linear.bias)
            )
            shape = linear.weight.shape
            masks = [structure[i].dropout for structure in structures]
            layers.append(
                DenseLayer(
                    values[:, weight].unflatten(1, shape),
                    values[:, bias],
                    self.gradients[:, weight].unflatten(1, shape),
                    self.gradients[:, bias],
                    activation,
                    None if dropout is None else _Masks(masks, self),
                )
            )
        self.step = WrittenOutStep(layers, first.criterion_)
        self.data = _StackedRows([member.train.rows for member in members])
        self.held_out = (
            None
            if members[0].valid is None
            else _StackedRows([m.valid.rows for m in members if m.valid is not None])
        )
        alphas = [member.net.alpha for member in members]
        self.alpha = torch.tensor(alphas, dtype=values.dtype, device=values.device)

    def run_epoch(self) -> None:
        """Train every member on all of its rows once, and judge what came of it."""
        members, device = self.members, self.values.device
        plan = _EpochPlan(members, self.data, self.values.dtype, device)
        for i in range(len(members)):
            self._rescale(i)
        losses = torch.zeros(len(members), dtype=torch.float64, device=device)
        moving = [
            i for i, m in enumerate(members) if m.net.schedule.moves_within_epochs
        ]
        runs: list[tuple[int, int]] = []
        for s in range(plan.n_steps):
            for i in moving:
                if plan.active[s][i]:
                    net, steps = members[i].net, len(members[i].train)
                    net.schedule.before_batch(net.optimizer_, steps)
                    self._rescale(i)
            self.counts = plan.counts[s]
            x, y = self.data.gather(plan.X_index[s], plan.y_index[s])
            _, loss = self.step(x.to(self.values.dtype), y, plan.weights[s])
            loss = self._penalize(loss, plan.totals[s])
            losses.addcmul_(loss.double(), plan.counts_on_device[s])
            if moving or s == 0 or plan.active[s] != plan.active[s - 1]:
                runs = self._runs(plan.active[s])
            for start, stop in runs:
                self._update(start, stop)
        for member, loss in zip(members, losses.tolist(), strict=True):
            self._end_epoch(member, loss / len(member.train.rows))
        if self.held_out is not None:
            self._validate(self.held_out)
        for member in members:
            if member.error is None:
                member.net.converged_ = member.net.judge_epoch(len(member.train.rows))

    def _end_epoch(self, member: Member, loss: float) -> None:
        """Write a member's epoch into its history."""
        net = member.net
        net.history.new_epoch()
        net.history.record("epoch", len(net.history))
        net.history.record("train_batch_count", len(member.train))
        if not np.isfinite(loss):
            member.error = FloatingPointError(net.epochs_ + 1)
            return
        net.epochs_ += 1
        net.record("train_loss", loss, operator.lt)

    def _penalize(self, loss: Tensor, totals: Tensor) -> Tensor:
        """Add every member's L2 penalty to its loss and gradients; clip these."""
        weights = self.values[:, self.penalized]
        net = self.members[0].net
        if net.solver not in DECOUPLED:
            strength = self.alpha / totals
            loss = loss + 0.5 * strength * torch.linalg.vecdot(weights, weights)
            self.gradients[:, self.penalized].addcmul_(weights, strength.unsqueeze(1))
        if net.max_grad_norm is not None:
            norm = torch.linalg.vector_norm(self.gradients, dim=1, keepdim=True)
            factor = (net.max_grad_norm / (norm + 1e-6)).clamp_max(1.0)
            self.gradients.mul_(factor)
        return loss

    def _runs(self, active: tuple[bool, ...]) -> list[tuple[int, int]]:
        """Return stretches of active members that one call of a kernel can update."""
        keys = [
            (on, t, _numbers(member))
            for on, t, member in zip(active, self.t, self.members, strict=True)
        ]
        runs = []
        for (on, *_), places in groupby(range(len(keys)), key=keys.__getitem__):
            found = list(places)
            if on:
                runs.append((found[0], found[-1] + 1))
        return runs

    def _update(self, start: int, stop: int) -> None:
        """Take one step of the optimizer for members that share its numbers."""
        member, part = self.members[start], slice(start, stop)
        group = member.group
        values, gradients = self.values[part], self.gradients[part]
        if member.net.solver in DECOUPLED:
            shrink = 1.0 - group["lr"] * member.net.alpha
            values[:, self.penalized].mul_(shrink)
        if len(self.moments) == 1:
            buffer = self.moments[0][part] if group["momentum"] else None
            sgd_step(values, gradients, buffer, group)
            return
        t = self.t[start] + 1
        self.t[part] = [t] * (stop - start)
        moments = self.moments[0][part], self.moments[1][part]
        adam_step(values, gradients, moments, values.new_tensor(float(t)), t, group)

    def _rescale(self, i: int) -> None:
        """Keep a momentum buffer, which holds the rate, in step with a new rate."""
        rate = self.members[i].group["lr"]
        if rate != self.rates[i] and len(self.moments) == 1:
            self.moments[0][i].mul_(self.rates[i] / rate)
        self.rates[i] = rate

    def _validate(self, held_out: "_StackedRows") -> None:
        """Compute every member's validation loss and score."""
        members = self.members
        sizes = [len(rows) for rows in held_out.members]
        widest = max(layer.weight.shape[-2:].numel() for layer in self.step.layers)
        at_once = max(1, rows_at_once(widest) // len(members))
        parts = []
        for start in range(0, max(sizes), at_once):
            # Members with fewer rows repeat their last one, which is cut off below.
            rows = [
                torch.from_numpy(
                    held.index[np.arange(start, start + at_once).clip(0, size - 1)]
                )
                for held, size in zip(held_out.members, sizes, strict=True)
            ]
            x, _ = held_out.gather(*held_out.offset(torch.stack(rows)))
            parts.append(self.step.logits(x.to(self.values.dtype)))
        logits = torch.cat(parts, dim=1)
        for i, (member, size) in enumerate(zip(members, sizes, strict=True)):
            if member.error is None:
                self.own[i].copy_(self.values[i])
                member.net.record_validation(held_out.members[i], logits[i, :size])

    def dismiss_finished(self) -> None:
        """Give members that have ended their weights, and go on with the others."""
        going = []
        for i, member in enumerate(self.members):
            net = member.net
            if member.error or net.converged_ or net.epochs_ >= member.epochs:
                self._dismiss(i)
            else:
                going.append(i)
        if len(going) == len(self.members):
            return
        index = torch.tensor(going, dtype=torch.long, device=self.values.device)
        self.members = [self.members[i] for i in going]
        self.own = [self.own[i] for i in going]
        self.t = [self.t[i] for i in going]
        self.rates = [self.rates[i] for i in going]
        self.values = self.values[index]
        self.gradients = self.gradients[index]
        self.moments = [moment[index] for moment in self.moments]
        if going:
            self._arrange()

    def _dismiss(self, i: int) -> None:
        """Leave a member as its own training would have left it."""
        net, own = self.members[i].net, self.own[i]
        own.copy_(self.values[i])
        net.flat_.values = own
        state = net.optimizer_.state[own]
        if isinstance(net.optimizer_, SGD):
            if self.members[i].group["momentum"]:
                state["momentum_buffer"] = self.moments[0][i].clone()
            state["lr"] = self.rates[i]
        else:
            state["t"] = self.t[i]
            state["step"] = torch.tensor(float(self.t[i]), device=own.device)
            state["exp_avg"] = self.moments[0][i].clone()
            state["exp_avg_sq"] = self.moments[1][i].clone()
        net.monitor.restore(net.flat_, net.module_)
        net.module_.eval()


class _Masks:
    """Dropout masks of all members, each from its own generator."""

    def __init__(self, layers: Sequence[Dropout | None], pack: _Pack) -> None:
        self.layers = layers
        self.pack = pack

    def __call__(self, a: Tensor) -> Tensor:
        """Draw as many rows as each member has, as it would alone."""
        mask = torch.ones_like(a)
        for i, (layer, count) in enumerate(
            zip(self.layers, self.pack.counts, strict=True)
        ):
            if layer is not None and count:
                mask[i, :count] = layer.mask(a[i, :count])
        return mask


class _StackedRows:
    """Rows of all members one below the other, those that members share but once."""

    def __init__(self, members: Sequence[Rows]) -> None:
        self.members = members
        # Sparse rows are not packed.
        self.X, X_offsets = _stack([cast(Tensor, rows.X) for rows in members])
        self.y, y_offsets = _stack([rows.y for rows in members])
        self._offsets = torch.tensor([X_offsets, y_offsets])

    def offset(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Turn members' own row numbers ``(members, rows)`` into those of X and y."""
        device = self.y.device
        X_offsets, y_offsets = self._offsets
        return (
            (index + X_offsets.unsqueeze(1)).to(device),
            (index + y_offsets.unsqueeze(1)).to(device),
        )

    def gather(self, X_index: Tensor, y_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and targets of shape ``(members, rows, ...)``."""
        shape = X_index.shape
        x = self.X.index_select(0, X_index.reshape(-1)).unflatten(0, shape)
        return x, self.y.index_select(0, y_index.reshape(-1)).unflatten(0, shape)


def _stack(tensors: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Concatenate tensors, equal ones once; return where each begins."""
    begins: dict[int, int] = {}
    distinct: list[Tensor] = []
    for tensor in tensors:
        if tensor.data_ptr() not in begins:
            begins[tensor.data_ptr()] = sum(map(len, distinct))
            distinct.append(tensor)
    stacked = distinct[0] if len(distinct) == 1 else torch.cat(distinct)
    return stacked, [begins[tensor.data_ptr()] for tensor in tensors]


class _EpochPlan:
    """Which rows each member sees in each step of an epoch, and with what weight.

    Batches shorter than the longest are filled with rows of weight zero.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: _StackedRows,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.n_steps = max(len(member.train) for member in members)
        size = max(member.train.batch_size for member in members)
        shape = (len(members), self.n_steps, size)
        index = np.zeros(shape, dtype=np.int64)
        weights = np.zeros(shape)
        counts = np.zeros(shape[:2], dtype=np.int64)
        for i, member in enumerate(members):
            train = member.train
            order = train.next_order()
            host = train.rows.host_weight
            of_rows = np.ones(len(order)) if host is None else host[order]
            for whole, part in ((index, order), (weights, of_rows)):
                padded = np.zeros(len(train) * train.batch_size, dtype=whole.dtype)
                padded[: len(order)] = part
                whole[i, : len(train), : train.batch_size] = padded.reshape(
                    len(train), train.batch_size
                )
            counts[i, : len(train)] = train.batch_size
            counts[i, len(train) - 1] -= len(train) * train.batch_size - len(order)
        totals = weights.sum(axis=2)
        self.active = [tuple(step) for step in (totals > 0).T.tolist()]
        counts[totals == 0] = 0
        totals[totals == 0] = 1.0
        weights /= totals[:, :, np.newaxis]
        rows = torch.from_numpy(index.reshape(len(members), -1))
        X_index, y_index = data.offset(rows)
        self.X_index = X_index.unflatten(1, shape[1:]).transpose(0, 1).contiguous()
        self.y_index = y_index.unflatten(1, shape[1:]).transpose(0, 1).contiguous()
        self.weights = torch.as_tensor(
            weights.transpose(1, 0, 2).copy(), dtype=dtype, device=device
        )
        self.totals = torch.as_tensor(totals.T.copy(), dtype=dtype, device=device)
        self.counts = counts.T.tolist()
        self.counts_on_device = torch.as_tensor(
            counts.T.copy(), dtype=torch.float64, device=device
        )
