"""The training loop of a single net."""

import math
import operator
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from skmlp.training.callback_hooks import (
    datasets_of_hooks,
    notifies_of_batches,
    notify_batch_end,
)
from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.cuda_graphs import GraphRecorder
from skmlp.training.compute.devices import deterministic_cudnn
from skmlp.training.compute.interrupts import (
    InterruptWatch,
    current_watch,
    raise_lost_interrupt,
)
from skmlp.training.compute.memory import keep_freed_memory
from skmlp.training.compute.thread_tuning import make_thread_tuner
from skmlp.training.data.batches import Batch
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.modules.layers import (
    dropout_generators,
    remove_thread_tuner,
    use_thread_tuner,
)
from skmlp.training.optimizers.factory import DECOUPLED_DECAY_SOLVERS
from skmlp.training.optimizers.flat_optimizers import FlatOptimizer
from skmlp.training.optimizers.penalty import Penalty
from skmlp.training.optimizers.update import ParameterUpdater
from skmlp.training.run import (
    ProgressCallback,
    TrainingRun,
    ignore_progress,
    warn_interrupted,
)
from skmlp.training.segments import (
    SegmentTrainer,
    launches_equal_kernels,
    trains_in_segments,
)
from skmlp.training.steps import make_step
from skmlp.training.steps.autograd_step import AutogradStep
from skmlp.training.steps.handwritten_step import HandwrittenStep
from skmlp.training.steps.known_targets import use_known_targets

# Minimum number of steps for a CUDA graph. In fewer steps, it saves less time than its
# recording takes.
_MIN_RECORDED_STEPS = 32


def train(
    run: TrainingRun, progress_callback: ProgressCallback = ignore_progress
) -> None:
    """Train the net of a run until it stops or reaches ``max_epochs``.

    Sets ``epochs_`` and ``converged_`` of the net. If an epoch is over and the run may
    be interrupted, Ctrl-C ends training with scikit-learn's warning. The net then keeps
    its current weights.

    Raises
    ------
    KeyboardInterrupt
        After any other Ctrl-C.
    FloatingPointError
        If the loss of an epoch is not finite and there are no best weights. The
        argument of the error is the number of the epoch.
    """
    Trainer(run).train(progress_callback)


class Trainer:
    """Trains the net of a run; owns the objects that a training step needs.

    Attributes
    ----------
    tuner : ThreadTuner
        Chooses the number of threads of all operations of a step.
    penalty : Penalty
        L2 penalty in the loss.
    step : callable
        Computes logits and loss terms of a batch, and writes the gradients into
        ``run.flat.gradients``.
    loss, term_weights : Loss, callable or None
        Loss of the training set. See `use_known_targets`.
    update : ParameterUpdater
        Updates the parameters by the gradients.
    recorder : GraphRecorder or None
        Repeats a step on a GPU as a CUDA graph.
    segments : SegmentTrainer or None
        Trains on a GPU in segments of many steps. The updates are part of their graphs.
    interrupts : InterruptWatch
        Handles Ctrl-C during training.
    """

    def __init__(self, run: TrainingRun) -> None:
        keep_freed_memory()
        net = run.net
        decoupled = net.solver in DECOUPLED_DECAY_SOLVERS
        self.run = run
        self.tuner = make_thread_tuner(run.flat.values)
        self.penalty = Penalty(run.flat, 0.0 if decoupled else net.alpha, self.tuner)
        self.step = make_step(
            net.module_,
            net.criterion_,
            run.flat,
            self.penalty,
            net.amp,
            self.tuner,
            run.generator,
        )
        self.update = ParameterUpdater(
            run.flat,
            net.optimizer_,
            net.alpha if decoupled else 0.0,
            net.max_grad_norm,
            self.tuner,
            lambda: net.schedule.fade,
        )
        self.loss, self.term_weights = use_known_targets(
            self.step, net.criterion_, run.flat.values
        )
        if self._trains_on_bfloat16():
            run.train_loader.data = run.train_loader.data.in_bfloat16()
        self.recorder: GraphRecorder | None = None
        self.segments: SegmentTrainer | None = None
        self.interrupts = current_watch() or InterruptWatch()
        self._is_first_epoch = True

    def train(self, progress_callback: ProgressCallback = ignore_progress) -> None:
        """Train until the run ends; see the function `train`."""
        run, net = self.run, self.run.net
        datasets = datasets_of_hooks(run)
        is_long = run.max_epochs * len(run.train_loader) >= _MIN_RECORDED_STEPS
        if trains_in_segments(run) and not notifies_of_batches(net):
            records = is_long and launches_equal_kernels(net)
            self.segments = SegmentTrainer(run, self.penalty, self.update, records)
        elif is_long:
            self.enable_cuda_graph()
        net.epochs_, net.converged_, net.interrupted_ = 0, False, False
        X, y = run.given_data
        net.notify("on_train_begin", X=X, y=y)
        run.load_checkpoint(progress_callback)
        self._mark_epoch_end()
        own_watch = None
        if current_watch() is None:
            own_watch = self.interrupts
            own_watch.begin()
        try:
            with self.computing_context():
                while not run.ended:
                    # Only skorch's timer is a callback. So no callback of the user can
                    # have caught the KeyboardInterrupt.
                    if len(net.callbacks_) == 1:
                        raise_lost_interrupt()
                    net.notify("on_epoch_begin", **datasets)
                    self.update.begin_epoch()
                    with self.inference_mode_if_possible():
                        loss = self._train_epoch()
                    if not math.isfinite(loss):
                        self._finish_epoch(loss)
                        progress_callback(1)
                        break
                    with self._averaged_weights():
                        self._validate()
                        self._finish_epoch(loss)
                    self._notify_epoch_end(datasets)
                    progress_callback(1)
                    run.save_checkpoint()
        except KeyboardInterrupt:
            if not self._may_be_interrupted():
                raise
            self._interrupt()
        finally:
            if own_watch is not None:
                own_watch.end()
            self.recorder = self.segments = None  # frees the memory of the steps
        if run.error is not None:
            raise run.error
        if run.average is not None:
            run.average.apply()
        run.finish()
        net.notify("on_train_end", X=X, y=y)

    def _finish_epoch(self, loss: float) -> None:
        """Complete the record of an epoch, diverged or not; Ctrl-C waits meanwhile."""
        self.interrupts.waits = True
        try:
            if math.isfinite(loss):
                self.run.net.epochs_ += 1
                self.run.finish_epoch()
            else:
                self.run.record_divergence(loss)
            self._mark_epoch_end()
        finally:
            self.interrupts.release_between_epochs(self.run.ended)

    def _mark_epoch_end(self) -> None:
        """Remember the length of the history and the best values between two epochs."""
        net = self.run.net
        self._n_records, self._bests = len(net.history), net.bests_.copy()

    def _may_be_interrupted(self) -> bool:
        """Return whether training ends with the epochs so far after KeyboardInterrupt.

        An epoch has to be over. A KeyboardInterrupt of a callback always ends training.
        """
        net = self.run.net
        # Without callbacks of the user, only Ctrl-C can have raised it.
        was_ctrl_c = self.interrupts.seen or len(net.callbacks_) == 1
        return net.epochs_ > 0 and (not was_ctrl_c or self.run.may_be_interrupted())

    def _interrupt(self) -> None:
        """End training; the history forgets the epoch that is not over."""
        net = self.run.net
        del net.history[self._n_records :]
        net.bests_ = self._bests
        remove_thread_tuner(net.module_)
        warn_interrupted()
        self.run.interrupt()

    @contextmanager
    def computing_context(self) -> Iterator[None]:
        """Set up torch and the network for steps and for validation."""
        with (
            torch.no_grad(),
            deterministic_cudnn(),
            use_thread_tuner(self.run.net.module_, self.tuner),
        ):
            yield

    def enable_cuda_graph(self) -> None:
        """Create a recorder for CUDA graphs, if they can repeat all steps.

        Callbacks may change anything.
        """
        net, is_cuda = self.run.net, self.run.flat.values.is_cuda
        if is_cuda and not net.callbacks and launches_equal_kernels(net):
            self.recorder = GraphRecorder(partial(dropout_generators, [net.module_]))

    def inference_mode_if_possible(self) -> AbstractContextManager[object]:
        """Return torch's inference mode if no user code sees the tensors of a batch.

        Callbacks, augmentation, noise and a loss of the user may use autograd, which
        rejects tensors that were created in inference mode.
        """
        is_flat = isinstance(self.run.net.optimizer_, FlatOptimizer)
        is_handwritten = isinstance(self.step, HandwrittenStep) and is_flat
        is_unseen = is_handwritten and not self._others_see_batches()
        return inference_mode(True) if is_unseen else nullcontext()

    def _others_see_batches(self) -> bool:
        """Return whether code of the user, or noise, takes the tensors of a batch."""
        return (
            self.run.train_loader.changes_features
            or self.run.net.criterion_.uses_autograd
            or notifies_of_batches(self.run.net)
        )

    def _trains_on_bfloat16(self) -> bool:
        """Return whether the step alone takes the features, and casts them first."""
        loader = self.run.train_loader
        return (
            isinstance(self.step, HandwrittenStep)
            and self.step.casts_to_bfloat16(loader.batch_size)
            and isinstance(loader.data.X, Tensor)
            and loader.data.y is not None  # otherwise, the features are targets
            and not self._others_see_batches()
        )

    def _averaged_weights(self) -> AbstractContextManager[None]:
        """Give the network the averaged weights within the block, if there are any."""
        average = self.run.average
        return nullcontext() if average is None else average.temporarily_applied()

    def _train_epoch(self) -> float:
        """Train on every batch once; record and return the loss."""
        net, batches = self.run.net, self.run.train_loader
        # A walk over the modules takes as long as the update of a small network. Scores
        # change the mode of the whole network, callbacks that of any module.
        if self._is_first_epoch or net.callbacks or not net.module_.training:
            net.module_.train()
            self._is_first_epoch = False
        n_batches, notify = len(batches), notifies_of_batches(net)
        if self.segments is not None and not net.optimizer_.counts_steps:
            loss = self.segments.train_epoch()
        else:
            loss = self._train_batches(notify)
        if not notify:
            # skorch's Checkpoint reads the last batch record.
            net.epoch_record["batches"].append({})
        net.epoch_record["train_batch_count"] = n_batches
        mean = loss / len(batches.data)
        if math.isfinite(mean):
            net.record("train_loss", mean, operator.lt)
        return mean

    def _train_batches(self, notify: bool) -> float:
        """Train on every batch once; return the sum of the losses of all samples."""
        net, batches = self.run.net, self.run.train_loader
        losses = EpochLoss(self.loss, self.penalty)
        n_batches = len(batches)
        self.tuner.pause()
        for batch in batches.batches(self.tuner, self.term_weights):
            x, y, _, total_weight = batch
            if total_weight == 0.0:
                continue  # all samples have weight zero
            if notify:
                net.notify("on_batch_begin", batch=(x, y), training=True)
            self.tuner.begin_step()
            net.begin_step(n_batches)
            logits, batch_losses = self.train_batch(batch, notify)
            # As in scikit-learn, a batch counts by its number of samples in the loss
            # curve, not by its sample weights.
            losses.add(batch_losses, float(logits.shape[0]))
            if notify:
                notify_batch_end(net, "train", batch, logits, losses, batch_losses)
        return losses.sum()

    def _validate(self) -> None:
        """Record loss and score of the validation set, and the training score."""
        run, net, batches = self.run, self.run.net, self.run.valid_loader
        if batches is not None:
            net.module_.eval()
            notify = notifies_of_batches(self.run.net)
            losses = EpochLoss(net.criterion_)
            all_logits = []
            for batch in batches.batches(self.tuner):
                x, y, _, total_weight = batch
                if notify:
                    net.notify("on_batch_begin", batch=(x, y), training=False)
                logits, batch_losses = self._evaluate_batch(batch)
                all_logits.append(logits)
                losses.add(batch_losses, total_weight)
                if notify:
                    notify_batch_end(net, "valid", batch, logits, losses, batch_losses)
            if not notify:
                net.epoch_record["batches"].append({})
            net.epoch_record["valid_batch_count"] = len(batches)
            net.record("valid_loss", losses.sum() / losses.sum_of_factors, operator.lt)
            if run.score is not None:
                run.record_score(torch.cat(all_logits))
        if run.train_score is not None:
            net.record("train_score", run.train_score(), operator.gt)

    def train_batch(self, batch: Batch, notify: bool) -> tuple[Tensor, BatchLosses]:
        """Update the parameters by one batch; return its logits and `BatchLosses`."""
        x, y, weight, total_weight = batch
        if self.recorder is not None and weight is None:
            # The next replay of the graph overwrites these tensors. The losses are
            # summed later, so they are copied. The logits are read by callbacks only,
            # and there is no recorder if there are callbacks.
            logits, *outputs = self.recorder.call(self._unweighted_step, x, y)
            loss_terms, *norms = (output.clone() for output in outputs)
        else:
            logits, loss_terms = self.step(x, y, weight, total_weight)
            norms = self.penalty.norms()
        self.update.decay_and_clip()
        if notify:
            net = self.run.net
            named = list(net.module_.named_parameters())
            net.notify(
                "on_grad_computed", named_parameters=named, batch=(x, y), training=True
            )
        self.update.step()
        if self.run.average is not None:
            self.run.average.update(self.run.average.next_factor())
        return logits, BatchLosses(loss_terms, weight, total_weight, norms)

    def _unweighted_step(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Compute a batch of weight one: step, and norms of the weights."""
        return *self.step(x, y, None, float(x.shape[0])), *self.penalty.norms()

    def _evaluate_batch(self, batch: Batch) -> tuple[Tensor, BatchLosses]:
        """Return the logits and the `BatchLosses` of a validation batch."""
        x, y, weight, total_weight = batch
        net = self.run.net
        if isinstance(self.step, AutogradStep):
            logits = self.step.evaluate(x)
        else:
            logits = net.module_(x)
        loss_terms, _ = net.criterion_.loss_terms_and_gradient(logits, y, weight)
        return logits, BatchLosses(loss_terms, weight, total_weight)

    def _notify_epoch_end(self, datasets: dict[str, Any]) -> None:
        """Notify the callbacks; one that raises KeyboardInterrupt ends training."""
        try:
            self.run.net.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            if self.interrupts.seen:
                raise
            self.run.net.converged_ = True
