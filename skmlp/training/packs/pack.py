"""Many networks of one depth, perceptrons or small CNNs, trained as one network.

Every tensor has a leading dimension of members. Parameters have the shape
``(members, parameters)``, features the shape ``(members, batch, features)``. Members
may differ in all that a tensor can hold: samples, sample weights, seeds, learning
rates, penalties, moments of the optimizer, and widths of layers, where zeros fill the
missing units. Each member also stops by its own rules, and ends with the weights that
it would have had alone.
"""

import operator
import threading
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn import config_context, get_config

from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.data.batches import samples_per_chunk
from skmlp.training.modules.introspection import max_values_per_sample
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
from skmlp.training.run import (
    ProgressCallback,
    TrainingRun,
    ignore_progress,
    warn_interrupted,
)


def pack_key(run: TrainingRun) -> Hashable | None:
    """Return a value that runs of one pack share, or None for a run without a pack."""
    net, data = run.net, run.train_loader.data
    structure = pack_structure(net.module_)
    if (
        structure is None
        or net.solver not in SOLVERS
        or len(net.callbacks_) > 1
        or net.amp
        or net.verbose
        or run.train_score is not None
        or net.weight_averaging is not None
        or run.train_loader.augment is not None
        or not isinstance(net.alpha, (int, float))
        or not isinstance(data.X, torch.Tensor)
        or not data.shares_features
        or not all(p.requires_grad for p in net.module_.parameters())
    ):
        return None
    loss = net.criterion_
    size = run.train_loader.batch_size
    # Alone, such a batch of images passes in chunks, and each chunk draws its own
    # dropout masks for the convolutions.
    if structure.images and size > samples_per_chunk(
        max_values_per_sample(net.module_, data.X.shape[1])
    ):
        return None
    return (
        structure.shape,
        net.solver,
        net.max_grad_norm,
        type(loss),
        tuple(sorted((k, v) for k, v in vars(loss).items() if not k.startswith("_"))),
        run.flat.values.dtype,
        run.flat.values.device,
        data.X.dtype,
        data.y.dtype,
        data.y.shape[1:],
        # Full batches have different sizes in different folds; shorter ones are filled.
        None if size == len(data) else size,
        run.valid_loader is None,
    )


def train_pack(
    runs: Sequence[TrainingRun],
    progress_callback: ProgressCallback = ignore_progress,
    n_threads: int = 1,
) -> None:
    """Train runs of one `pack_key` until the last one ends.

    A run whose loss is not finite ends with its ``error`` set. Ctrl-C ends the training
    of all runs with scikit-learn's warning, and every net keeps its present weights.

    Parameters
    ----------
    runs : sequence of TrainingRun
        The members.
    progress_callback : callable
        Called with the number of members that finished an epoch, from any thread, and
        at the beginning with the epochs of the checkpoints.
    n_threads : int
        Number of packs to divide the runs into, each in its own thread. Threads that
        wait for each other in every step would gain less.
    """
    for run in runs:
        run.net.epochs_, run.net.converged_ = 0, False
        run.load_checkpoint(progress_callback)
    parts = _split_members(_sort_members(runs), n_threads)
    packs = [_Pack(*members, is_alone=len(parts) == 1) for members in parts]
    stop = threading.Event()
    try:
        if len(packs) == 1:
            _train(packs[0], progress_callback, stop)
            return
        with ThreadPoolExecutor(len(packs)) as pool:
            train = partial(
                _train,
                progress_callback=progress_callback,
                stop=stop,
                sklearn_config=get_config(),
            )
            try:
                for _ in pool.map(train, packs):
                    pass
            finally:
                stop.set()
    except KeyboardInterrupt:
        warn_interrupted()
        for pack in packs:
            for run in pack.runs:
                run.interrupt()
            pack.remove_ended()


def _train(
    pack: "_Pack",
    progress_callback: ProgressCallback,
    stop: threading.Event,
    sklearn_config: Mapping[str, Any] | None = None,
) -> None:
    """Train a pack until its last run ends, or until `stop` is set.

    Scorers see the configuration of scikit-learn of the thread that started the pack.
    """
    with torch.no_grad(), config_context(**(sklearn_config or {})):
        pack.remove_ended()  # the checkpoint of a run may be its last epoch
        while pack.runs and not stop.is_set():
            pack.run_epoch()
            progress_callback(sum(run.error is None for run in pack.runs))
            pack.remove_ended()


class _Members(NamedTuple):
    """Runs, and for each run the rank of its stream of batches."""

    runs: list[TrainingRun]
    streams: list[Hashable]


def _sort_members(runs: Sequence[TrainingRun]) -> _Members:
    """Sort runs so that those with one update, and then with one stream, are neighbors.

    Runs of one stream see the same batches in the same order.
    """
    ranks: dict[Hashable, int] = {}
    ranked = [
        ranks.setdefault(batch_stream_key(run.train_loader), len(ranks)) for run in runs
    ]
    keys = [
        (hyperparameters_of(run.net), rank)
        for run, rank in zip(runs, ranked, strict=True)
    ]
    order = sorted(range(len(runs)), key=keys.__getitem__)
    return _Members([runs[i] for i in order], [ranked[i] for i in order])


def _split_members(members: _Members, n: int) -> list[_Members]:
    """Divide members into at most `n` equal parts, if possible between streams."""
    runs, streams = members
    step = common_run_length(streams)
    if len(runs) < n * step:
        step = 1
    n_steps = len(runs) // step
    n = min(n, n_steps)
    cuts = [round(i * n_steps / n) * step for i in range(n + 1)]
    return [_Members(runs[a:b], streams[a:b]) for a, b in pairwise(cuts)]


class _Pack:
    """The runs that still train as one network.

    Parameters
    ----------
    runs : list of TrainingRun
        Runs of one `pack_key`, sorted.
    streams : list of hashable
        Equal for runs that see the same batches.
    is_alone : bool
        Whether no other pack trains at the same time. A thread tuner then chooses the
        number of threads of each operation; otherwise it is one.
    """

    def __init__(
        self, runs: list[TrainingRun], streams: list[Hashable], is_alone: bool = True
    ) -> None:
        keep_freed_memory()
        self.runs, self.streams = runs, streams
        nets = [run.net for run in runs]
        # A list of its own: a reference back to the pack would be a cycle, and the
        # data of the pack would outlive the training.
        self.counts = [0] * len(runs)
        flat_values = [run.flat.values for run in runs]
        self.tuner = make_thread_tuner(*flat_values) if is_alone else ThreadTuner(1)
        self.parameters = PackParameters(nets, self.counts, self.tuner)
        self.optimizer = PackOptimizer(self.parameters, self.tuner)
        self.widest = max(
            widest_patches(nets[0].module_, runs[0].train_loader.data.X.shape[1]),
            *(
                layer.products.weight.shape[-2:].numel()
                for layer in self.parameters.step.layers
            ),
        )
        self._join_data()

    def _join_data(self) -> None:
        """Join the training and validation sets of the runs."""
        self.batches = PackBatches(
            [run.train_loader for run in self.runs], self.streams
        )
        validation_sets = [
            run.valid_loader.data for run in self.runs if run.valid_loader is not None
        ]
        self.valid: PackData | None = None
        if validation_sets:
            runs_per_set = common_run_length(map(data_key, validation_sets))
            self.valid = PackData(validation_sets[::runs_per_set])

    def run_epoch(self) -> None:
        """Train every member on its training set once, and validate it."""
        losses = self._train_epoch()
        for run, loss in zip(self.runs, losses, strict=True):
            self._record_loss(run, loss / len(run.train_loader.data))
        if self.valid is not None:
            self._validate(self.valid)
        for run in self.runs:
            if not run.diverged:
                run.finish_epoch()

    def _train_epoch(self) -> list[float]:
        """Train on every batch once; return each member's sum of losses."""
        runs, parameters = self.runs, self.parameters
        dtype, device = parameters.alpha.dtype, parameters.alpha.device
        plan = self.batches.next_epoch(dtype, device)
        step_weights, active = plan.step_weights, plan.step_weights.active
        losses = PackEpochLoss(runs[0].net.criterion_, parameters.alpha, step_weights)
        scheduled = [
            i for i, run in enumerate(runs) if run.net.schedule.moves_within_epochs
        ]
        self.tuner.pause()
        with torch.inference_mode():  # no foreign code sees the tensors of a step
            steps = zip(
                self.batches.steps(plan, dtype),
                step_weights.weights.unbind(),
                step_weights.totals.unbind(),
                strict=True,
            )
            for s, ((x, y), weights, totals) in enumerate(steps):
                self.tuner.begin_step()
                for i in scheduled:
                    if active[s][i]:
                        net, n_batches = runs[i].net, len(runs[i].train_loader)
                        net.schedule.before_batch(net.optimizer_, n_batches)
                if scheduled or s == 0 or active[s] != active[s - 1]:
                    self.optimizer.prepare(active[s])
                self.counts[:] = step_weights.counts[s]
                losses.add(parameters.differentiate(x, y, weights, totals))
                self.optimizer.update()
            return losses.sum()

    def _record_loss(self, run: TrainingRun, loss: float) -> None:
        """Write a member's epoch into its history; end the run if it diverged."""
        net = run.net
        net.history.new_epoch()
        counts = {"epoch": len(net.history), "train_batch_count": len(run.train_loader)}
        net.history[-1].update(counts)
        if not np.isfinite(loss):
            run.record_divergence(loss)
            return
        net.epochs_ += 1
        net.record("train_loss", loss, operator.lt)

    def _validate(self, valid: PackData) -> None:
        """Record every member's validation loss and score."""
        runs, step = self.runs, self.parameters.step
        sizes = [len(data) for data in valid.sets]
        chunk_size = max(1, samples_per_chunk(self.widest) // len(runs))
        chunks = []
        for start in range(0, max(sizes), chunk_size):
            # Shorter sets repeat their last sample; its repeated logits are cut off.
            index = [
                torch.from_numpy(
                    data.index[np.arange(start, start + chunk_size).clip(0, size - 1)]
                )
                for data, size in zip(valid.sets, sizes, strict=True)
            ]
            x, _ = valid.gather(*valid.add_offsets(torch.stack(index)))
            chunks.append(step.logits(x.to(self.parameters.alpha.dtype)))
        logits = torch.cat(chunks, dim=1)  # (members, samples, outputs)
        runs_per_set = len(runs) // len(sizes)
        for i, run in enumerate(runs):
            if not run.diverged:
                self.parameters.write_back(i)
                run.record_validation(logits[i, : sizes[i // runs_per_set]])

    def remove_ended(self) -> None:
        """Give the nets of ended runs their weights; continue with the other runs."""
        training = [i for i, run in enumerate(self.runs) if not run.ended]
        if len(training) == len(self.runs):
            return
        self.batches.synchronize_loaders()
        for i, run in enumerate(self.runs):
            if not run.ended:
                continue
            self.parameters.write_back(i)
            self.optimizer.write_back(i)
            if not (run.diverged or run.net.interrupted_):
                run.save_checkpoint()
            run.finish()
        self.runs = [self.runs[i] for i in training]
        self.streams = [self.streams[i] for i in training]
        index = torch.tensor(
            training, dtype=torch.long, device=self.parameters.alpha.device
        )
        self.parameters.select(index)
        self.optimizer.select(index)
        if training:
            self._join_data()
