"""What the hooks of skorch's callbacks receive.

skorch notifies its callbacks of every batch and writes every batch into the history.
Here both happen only if a callback has a hook for batches. All other hooks of skorch
are called as in skorch.
"""

from typing import Any

from skorch.callbacks import Callback, PassthroughScoring
from torch import Tensor

from skmlp.training.data.batches import Batch
from skmlp.training.epoch_loss import BatchLosses, EpochLoss
from skmlp.training.net import Net
from skmlp.training.run import TrainingRun

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def datasets_of_hooks(run: TrainingRun) -> dict[str, Any]:
    """Return the arguments of the hooks for epochs.

    If a callback watches batches, the batches of the validation set get the size of the
    training batches, as in skorch.
    """
    train, valid = run.train_loader, run.valid_loader
    run.net.batch_size = train.batch_size
    if valid is not None and notifies_of_batches(run.net):
        valid.batch_size = train.batch_size
    datasets = {
        "dataset_train": train.data,
        "dataset_valid": None if valid is None else valid.data,
    }
    if not run.net.user_callbacks():
        return datasets
    return {
        name: None if data is None else data.as_skorch_dataset()
        for name, data in datasets.items()
    }


def notifies_of_batches(net: Net) -> bool:
    """Return whether a callback has a hook for batches, or reads their records."""
    return any(
        isinstance(callback, PassthroughScoring)
        or getattr(type(callback), hook) is not getattr(Callback, hook)
        for _, callback in net.user_callbacks()
        for hook in _BATCH_HOOKS
    )


def notify_batch_end(
    net: Net,
    prefix: str,
    batch: Batch,
    logits: Tensor,
    losses: EpochLoss,
    batch_losses: BatchLosses,
) -> None:
    """Write a batch into the history and notify the callbacks."""
    loss = losses.batch_losses([batch_losses])[0].to(logits.dtype)
    net.history.record_batch(f"{prefix}_loss", float(loss))
    net.history.record_batch(f"{prefix}_batch_size", len(logits))
    net.notify(
        "on_batch_end",
        batch=batch[:2],
        training=prefix == "train",
        loss=loss,
        y_pred=logits.contiguous(),
    )
