"""Time a training step of a pack and of a single network.

The steps are those of the networks that will be trained. On a GPU, a graph of a single
step is timed, with the launches of its update. Training launches many steps at once, so
its steps are shorter than the timed ones, for one network and for a pack.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from skmlp.training.compute.ambient_modes import inference_mode
from skmlp.training.compute.cuda_graphs import CALLS_BEFORE_RECORDING, GraphRecorder
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.compute.threads import single_threaded
from skmlp.training.modules.layers import dropout_generators
from skmlp.training.packs.batches import PackData
from skmlp.training.packs.optimizer import PackOptimizer
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.run import TrainingRun
from skmlp.training.snapshot import GeneratorSnapshot, TensorSnapshot
from skmlp.training.trainer import Trainer

# Number of timed steps.
_TIMED_STEPS = 3
# Number of steps before the timed ones, which allocate memory and record CUDA graphs.
# The keys are device types. Other devices need 1 step.
_WARM_UP_STEPS = {"cuda": CALLS_BEFORE_RECORDING + 1}


def time_single_step(run: TrainingRun) -> float:
    """Return the seconds of a step of a run that has not been trained.

    The run is trained for a few steps and then restored.
    """
    net, data = run.net, run.train_loader.data
    weights, generators = TensorSnapshot(run.state_tensors), _dropout_snapshot([run])
    index = torch.from_numpy(data.index[: run.train_loader.batch_size])
    trainer = Trainer(run)
    trainer.enable_cuda_graph()
    _, y = data.gather(index)
    weight = None
    if data.weight is not None:
        weight = data.weight[index.to(run.device)]
        weight /= weight.sum()
    if trainer.term_weights is not None:
        weight = trainer.term_weights(y, weight)

    def step() -> None:
        x, y = data.gather(index, trainer.tuner.n_threads)
        trainer.train_batch((x, y, weight, float(len(index))), notify=False)

    net.module_.train()
    with trainer.computing_context(), trainer.inference_mode_if_possible():
        seconds = _shortest_time(step, trainer.tuner, run.device)
    weights.restore()
    net.optimizer_.state.clear()
    generators.restore()
    return seconds


def time_pack_step(runs: Sequence[TrainingRun], n_packs: int = 1) -> float:
    """Return the seconds of a step of a pack; the runs do not change.

    `n_packs` is the number of packs that will train at the same time. A step uses one
    thread if there are several packs.
    """
    batch_size = runs[0].train_loader.batch_size
    counts = [batch_size] * len(runs)
    generators = _dropout_snapshot(runs)
    with single_threaded():
        flat_values = [run.flat.values for run in runs]
        tuner = make_thread_tuner(*flat_values) if n_packs == 1 else ThreadTuner(1)
        parameters = PackParameters([run.net for run in runs], counts, tuner)
        optimizer = PackOptimizer(parameters, tuner)
        active = (True,) * len(runs)
        optimizer.plan_steps([active], np.array([optimizer.learning_rates]))
        like = parameters.alpha
        data = PackData([run.train_loader.data for run in runs])
        index = [
            _first_indices(run.train_loader.data.index, batch_size) for run in runs
        ]
        X_index, y_index = data.add_offsets(torch.stack(index))
        sample_weights = like.new_full((len(runs), batch_size), 1.0 / batch_size)
        strength = like / batch_size
        recorder = GraphRecorder(lambda: parameters.generators)
        loss = parameters.step.loss

        def differentiate(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
            weights = sample_weights
            if loss.has_term_weights:
                weights = loss.term_weights(y, weights, parameters.n_outputs)
            return parameters.differentiate(x, y, weights, strength)

        def step() -> None:
            x, y = data.gather(X_index, y_index, like.dtype)
            if like.is_cuda and not parameters.uses_autograd:
                recorder.call(differentiate, x, y)
            else:
                differentiate(x, y)
            optimizer.update(0, active)

        with torch.no_grad(), inference_mode(not parameters.uses_autograd):
            seconds = _shortest_time(step, tuner, like.device)
    generators.restore()
    return seconds


def _first_indices(index: np.ndarray, n: int) -> torch.Tensor:
    """Return the first `n` sample indices, repeated if there are fewer."""
    tensor = torch.from_numpy(index)
    return tensor.repeat(-(-n // len(tensor)))[:n]


def _shortest_time(
    step: Callable[[], None], tuner: ThreadTuner, device: torch.device
) -> float:
    """Return the seconds of the fastest step, for all thread numbers of the tuner."""
    shortest, n_warm_up = math.inf, _WARM_UP_STEPS.get(device.type, 1)
    for n_threads in tuner.candidates:
        tuner.n_threads = n_threads
        for i in range(n_warm_up + _TIMED_STEPS):
            start = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()
            if i >= n_warm_up:
                shortest = min(shortest, time.perf_counter() - start)
    return shortest


def _dropout_snapshot(runs: Sequence[TrainingRun]) -> GeneratorSnapshot:
    """Return a snapshot of the generators of the dropout layers."""
    return GeneratorSnapshot(dropout_generators([run.net.module_ for run in runs]))
