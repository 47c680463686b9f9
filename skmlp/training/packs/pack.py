"""Train many networks together, as one network.

All have the same number of layers. They are perceptrons or small CNNs. Every tensor has
a leading dimension of members. Features have the shape ``(members, batch, features)``.
Members may differ in samples, sample weights, seeds, learning rates, penalties,
optimizer states and widths of layers. Narrower layers are padded with zeros. Each
member has its own stopping rules. Its final weights equal those of a separate training,
up to rounding.
"""

import operator
import threading
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn import config_context, get_config

from skmlp.training.compute.interrupts import raise_lost_interrupt
from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.processor import flushed_denormals
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.data.slices import samples_per_chunk
from skmlp.training.losses import Loss
from skmlp.training.packs.batches import (
    PackBatches,
    PackData,
    common_group_size,
    data_key,
)
from skmlp.training.packs.epochs import PackEpochs
from skmlp.training.packs.joint_selection import JointSelection
from skmlp.training.packs.members import sort_members, split_members
from skmlp.training.packs.obstacles import find_obstacle
from skmlp.training.packs.optimizer import PackOptimizer, learning_rate
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.packs.structure import describe_network
from skmlp.training.run import ProgressCallback, TrainingRun, ignore_progress

# Fraction of the members of a pack on a GPU from which on ended ones are removed.
_MAX_ENDED = 0.25


def pack_key(run: TrainingRun, network_key: Hashable | None = None) -> Hashable | None:
    """Return a key; runs with equal keys can train in one pack.

    The key is None if the run has to be trained alone. `find_obstacle` says why.
    """
    if find_obstacle(run, network_key) is not None:
        return None
    net, data = run.net, run.train_loader.data
    layers_key = describe_network(run).layers_key
    if layers_key is None:
        shapes = tuple(tuple(p.shape) for p in run.flat.parameters)
        layers_key = network_key, data.X.shape[1], shapes
    loss, size = net.criterion_, run.train_loader.batch_size
    return (
        layers_key,
        net.solver,
        net.max_grad_norm,
        tuple(net.rate_factors() or ()),
        net.schedule.fades,
        type(loss),
        _shared_hyperparameters(loss),
        run.flat.values.dtype,
        run.flat.values.device,
        data.X.dtype,
        None if data.y is None else (data.y.dtype, data.y.shape[1:]),
        # A batch of the whole training set has different sizes in different folds.
        # Shorter batches are padded.
        None if size == len(data) else size,
        run.valid_loader is None,
    )


def _shared_hyperparameters(loss: Loss) -> Hashable:
    """Return the hyperparameters of a loss that are equal in a pack.

    Of the others, only the number of values has to be equal.
    """
    return tuple(
        (name, np.size(value) if name in loss.member_hyperparameters else value)
        for name, value in loss.hyperparameters.items()
    )


def train_pack(
    runs: Sequence[TrainingRun],
    progress_callback: ProgressCallback = ignore_progress,
    n_threads: int = 1,
    selection: JointSelection | None = None,
) -> None:
    """Train runs with equal `pack_key` until all of them have ended.

    If the loss of a run is not finite, its training ends; see `TrainingRun.diverged`.
    A single fit keeps its weights after Ctrl-C. A pack raises a KeyboardInterrupt,
    because the search or the ensemble around it has to end, too.

    Parameters
    ----------
    runs : sequence of TrainingRun
        The members.
    progress_callback : callable
        Called after every epoch with the number of members that finished it, from any
        thread. For each checkpoint it is first called with the number of epochs in the
        checkpoint.
    n_threads : int
        Number of threads. The runs are divided into as many parts, and each thread
        trains its part as a pack.
    selection : JointSelection, optional
        Selects one best epoch for all runs, which have no checkpoints. One thread only.
    """
    for run in runs:
        # Values at the start. `load_checkpoint` may change them.
        run.net.epochs_, run.net.converged_ = 0, False
        run.load_checkpoint(progress_callback)
    # One pack per thread is faster than all threads on one pack, because the threads
    # need not wait for each other in every step.
    parts = split_members(sort_members(runs), n_threads)
    packs = [
        _Pack(*members, is_only_part=len(parts) == 1, selection=selection)
        for members in parts
    ]
    stop = threading.Event()
    if len(packs) == 1:
        _train_until_end(packs[0], progress_callback, stop)
        return
    with ThreadPoolExecutor(len(packs)) as pool:
        train = partial(
            _train_until_end,
            progress_callback=progress_callback,
            stop=stop,
            sklearn_config=get_config(),
        )
        try:
            for _ in pool.map(train, packs):
                pass
        finally:
            stop.set()


def _train_until_end(
    pack: "_Pack",
    progress_callback: ProgressCallback,
    stop: threading.Event,
    sklearn_config: Mapping[str, Any] | None = None,
) -> None:
    """Train a pack until its last run ends, or until `stop` is set.

    `sklearn_config` is the configuration of the thread that called `train_pack`.
    Scorers need it, because scikit-learn has one configuration for each thread.
    """
    with (
        torch.no_grad(),
        config_context(**(sklearn_config or {})),
        flushed_denormals(),
    ):
        pack.remove_ended()  # a checkpoint may hold the last epoch of its run
        while pack.runs and not stop.is_set():
            raise_lost_interrupt()
            pack.run_epoch()
            progress_callback(pack.count_trained())
            pack.remove_ended()


class _Pack:
    """The runs that still train as one network.

    Parameters
    ----------
    runs : list of TrainingRun
        Runs with equal `pack_key`, sorted.
    streams : list of int
        Equal for runs that see the same batches.
    is_only_part : bool
        If True, a thread tuner chooses the number of threads of each operation. If
        False, other packs train at the same time, and each operation uses one thread.
    selection : JointSelection, optional
        Selects the best epoch.
    """

    def __init__(
        self,
        runs: list[TrainingRun],
        streams: list[int],
        is_only_part: bool = True,
        selection: JointSelection | None = None,
    ) -> None:
        keep_freed_memory()
        self.runs, self.streams, self.selection = runs, streams, selection
        # On a GPU, ended members stay in the pack for a while; see `remove_ended`.
        self.trains = [True] * len(runs)
        nets = [run.net for run in runs]
        # The dropout masks and the normalizations read this list. They do not refer to
        # the pack: a reference cycle would keep its data in memory after the training.
        self.counts = [0] * len(runs)
        flat_values = [run.flat.values for run in runs]
        self.tuner = make_thread_tuner(*flat_values) if is_only_part else ThreadTuner(1)
        self.parameters = PackParameters(nets, self.counts, self.tuner)
        self.optimizer = PackOptimizer(self.parameters, self.tuner)
        n_features = runs[0].train_loader.data.X.shape[1]
        self._values_per_sample_bound = self.parameters.max_values_per_sample(
            n_features
        )
        self._join_data()

    def _join_data(self) -> None:
        """Build the batches and the validation data of the current runs."""
        self.batches = PackBatches(
            [run.train_loader for run in self.runs], self.streams
        )
        self.epochs = PackEpochs(
            self.parameters,
            self.optimizer,
            self.batches,
            self.counts,
            max(run.max_epochs for run in self.runs),
        )
        validation_sets = [
            run.valid_loader.data for run in self.runs if run.valid_loader is not None
        ]
        self.valid: PackData | None = None
        if validation_sets:
            # Neighbors with the same validation set share one copy of it.
            self.validation_group_size = common_group_size(
                map(data_key, validation_sets)
            )
            self.valid = PackData(validation_sets[:: self.validation_group_size])
            self.valid_targets = [
                data.targets_on_host() for data in self.valid.datasets
            ]

    def run_epoch(self) -> None:
        """Train every member on its training set once, and validate it."""
        losses = self._train_epoch()
        for i in self._training_members():
            run = self.runs[i]
            self._record_loss(run, losses[i] / len(run.train_loader.data))
        if self.valid is not None:
            self._validate(self.valid)
        going_on = [i for i in self._training_members() if not self.runs[i].diverged]
        is_best = None
        if self.selection is not None:
            records = [self.runs[i].net.epoch_record for i in going_on]
            is_best = self.selection.is_best([r["valid_score"] for r in records])
        for i in going_on:
            self.runs[i].finish_epoch(partial(self.parameters.write_back, i), is_best)

    def _training_members(self) -> list[int]:
        """Return the indices of the members that have not ended before this epoch."""
        return [i for i, trains in enumerate(self.trains) if trains]

    def count_trained(self) -> int:
        """Return the number of members that the last epoch has trained."""
        return sum(self.runs[i].error is None for i in self._training_members())

    def _train_epoch(self) -> list[float]:
        """Train on every batch once; return the sum of each member's sample losses."""
        alpha = self.parameters.alpha
        plan = self.batches.next_epoch(alpha.dtype, alpha.device)
        active = plan.step_weights.active
        self.optimizer.plan_steps(active, self._learning_rates(active))
        return self.epochs.train(plan)

    def _learning_rates(self, active: Sequence[tuple[bool, ...]]) -> np.ndarray:
        """Return the learning rates ``(steps, members)`` of the next epoch."""
        rates = np.empty((len(active), len(self.runs)))
        for i, run in enumerate(self.runs):
            net, n_batches = run.net, len(run.train_loader)
            if not (net.schedule.changes_in_steps and self.trains[i]):
                rates[:, i] = learning_rate(net)
                continue
            for s, is_active in enumerate(active):
                if is_active[i]:
                    net.begin_step(n_batches)
                rates[s, i] = learning_rate(net)
        return rates

    def _record_loss(self, run: TrainingRun, loss: float) -> None:
        """Write a member's epoch into its history; end the run if it diverged."""
        net = run.net
        net.history.new_epoch()
        counts = {"epoch": len(net.history), "train_batch_count": len(run.train_loader)}
        net.epoch_record.update(counts)
        if not np.isfinite(loss):
            run.record_divergence(loss)
            return
        net.epochs_ += 1
        net.record("train_loss", loss, operator.lt)

    def _validate(self, valid: PackData) -> None:
        """Record every member's validation loss and score."""
        runs, step = self.runs, self.parameters.step
        sizes = [len(data) for data in valid.datasets]
        of_one = samples_per_chunk(
            self._values_per_sample_bound, self.parameters.alpha.device.type
        )
        chunk_size = min(max(sizes), max(1, of_one // len(runs)))
        chunks = []
        for start in range(0, max(sizes), chunk_size):
            # Shorter validation sets are padded with their last sample. The logits of
            # the padding are dropped.
            index = [
                torch.from_numpy(
                    data.index[np.arange(start, start + chunk_size).clip(0, size - 1)]
                )
                for data, size in zip(valid.datasets, sizes, strict=True)
            ]
            offsets = valid.add_offsets(torch.stack(index))
            x, _ = valid.gather(*offsets, self.parameters.alpha.dtype)
            chunks.append(step.logits(x))
        # (members, samples, outputs). One copy from a GPU serves all members.
        logits = torch.cat(chunks, dim=1).cpu()
        for i in self._training_members():
            run = runs[i]
            if run.diverged:
                continue
            if run.scores_network:
                self.parameters.write_back(i)
            group = i // self.validation_group_size
            run.record_validation(logits[i, : sizes[group]], *self.valid_targets[group])

    def remove_ended(self) -> None:
        """Copy the weights of ended runs into their nets, and finish these runs.

        The pack continues with the other runs. A smaller pack needs a new CUDA graph.
        On a GPU, ended members are therefore trained on, and the results are ignored,
        until a quarter of the members has ended.
        """
        ended = [i for i in self._training_members() if self.runs[i].ended]
        if not ended:
            return
        self.batches.synchronize_loaders()
        self.parameters.write_members_back(ended)
        self.optimizer.write_members_back(ended)
        for i in ended:
            run = self.runs[i]
            self.trains[i] = False
            if not run.diverged:
                run.save_checkpoint()
            run.finish()
        training, n_members = self._training_members(), len(self.runs)
        n_ended = n_members - len(training)
        if self.parameters.alpha.is_cuda and n_ended < _MAX_ENDED * n_members:
            return
        self.runs = [self.runs[i] for i in training]
        self.streams = [self.streams[i] for i in training]
        self.trains = [True] * len(training)
        index = torch.tensor(
            training, dtype=torch.long, device=self.parameters.alpha.device
        )
        self.parameters.select(index)
        self.optimizer.select(index)
        if training:
            self._join_data()
