"""How long a step takes in a pack and alone, measured on the networks at hand."""

import math
import time
from collections.abc import Callable, Sequence

import torch

from skmlp.training.compute.cuda_graphs import CALLS_BEFORE_RECORDING
from skmlp.training.compute.devices import repeatable_convolutions
from skmlp.training.compute.thread_tuning import ThreadTuner, make_thread_tuner
from skmlp.training.compute.threads import single_threaded
from skmlp.training.modules.layers import dropout_generators
from skmlp.training.packs.batches import PackData
from skmlp.training.packs.optimizer import PackOptimizer
from skmlp.training.packs.parameters import PackParameters
from skmlp.training.run import TrainingRun
from skmlp.training.snapshot import GeneratorSnapshot, TensorSnapshot
from skmlp.training.trainer import Trainer

# The first steps, which pay for the memory and for recordings, are not among them.
_STEPS = 3
_FIRST_STEPS = {"cuda": CALLS_BEFORE_RECORDING + 1}


def time_single_step(run: TrainingRun) -> float:
    """Return the seconds of one step of a run that has not been trained yet.

    The run is left as it was before.
    """
    net, data = run.net, run.train.data
    weights, generators = TensorSnapshot(run.weights), _dropout_snapshot([run])
    index = torch.from_numpy(data.index[: run.train.batch_size])
    trainer = Trainer(run)
    trainer.record_steps()

    def step() -> None:
        x, y, weight = data.gather(index)
        if weight is not None:
            weight = weight / weight.sum()
        trainer.train_batch((x, y, weight, float(len(index))), notify=False)

    net.module_.train()
    seconds = math.inf
    tuner = make_thread_tuner(run.flat.values)
    with torch.no_grad(), repeatable_convolutions(), trainer.without_tracking():
        seconds = _fastest(step, tuner, run.flat.values.device)
    weights.restore()
    net.optimizer_.state.clear()
    generators.restore()
    return seconds


def time_pack_step(runs: Sequence[TrainingRun], n_packs: int = 1) -> float:
    """Return the seconds of one step of a pack; the runs are left as they were before.

    If there are several packs, each in its own thread, no pack has a thread tuner.
    """
    batch = runs[0].train.batch_size
    counts = [batch] * len(runs)
    generators = _dropout_snapshot(runs)
    stack = PackParameters([run.net for run in runs], counts)
    optimizer = PackOptimizer(stack)
    optimizer.choose([True] * len(runs))
    template = stack.alpha
    data = PackData([run.train.data for run in runs])
    orders = [_first(run.train.data.index, batch) for run in runs]
    index = data.offset(torch.stack(orders))
    weights = template.new_full((len(runs), batch), 1.0 / batch)
    totals = template.new_full((len(runs),), float(batch))

    def step() -> None:
        x, y = data.gather(*index)
        stack.differentiate(x.to(template.dtype), y, weights, totals)
        optimizer.update()

    with torch.inference_mode(), single_threaded():
        tuner = (
            make_thread_tuner(stack.values.vector) if n_packs == 1 else ThreadTuner(1)
        )
        seconds = _fastest(step, tuner, template.device)
    generators.restore()
    return seconds


def _first(index: object, n: int) -> torch.Tensor:
    """Return `n` row numbers, repeated where there are fewer."""
    rows = torch.as_tensor(index)
    return rows.repeat(-(-n // len(rows)))[:n]


def _fastest(
    step: Callable[[], None], tuner: ThreadTuner, device: torch.device
) -> float:
    """Return the seconds of the fastest of some steps, on any of a team's sizes."""
    fastest, first = math.inf, _FIRST_STEPS.get(device.type, 1)
    with tuner:
        for size in tuner.sizes:
            tuner.take(size)
            for i in range(first + _STEPS):
                start = time.perf_counter()
                step()
                if device.type == "cuda":
                    torch.cuda.current_stream(device).synchronize()
                if i >= first:
                    fastest = min(fastest, time.perf_counter() - start)
    return fastest


def _dropout_snapshot(runs: Sequence[TrainingRun]) -> GeneratorSnapshot:
    """Return the states of the generators from which steps draw."""
    return GeneratorSnapshot(dropout_generators([run.net.module_ for run in runs]))
