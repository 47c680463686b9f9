"""Why a network has to be trained alone, not in a pack."""

from collections.abc import Hashable
from typing import Any

import torch

from skmlp.training.packs.functional import find_module_obstacle
from skmlp.training.packs.optimizer import SOLVERS
from skmlp.training.packs.structure import describe_network, unpackable_layer
from skmlp.training.run import TrainingRun


def find_obstacle(run: TrainingRun, network_key: Hashable | None) -> str | None:
    """Return why a run has to be trained alone; None if a pack can train it.

    Parameters
    ----------
    run : TrainingRun
        Not trained yet.
    network_key : hashable or None
        Identifies the module of a user, as in `find_module_obstacle`.

    Returns
    -------
    obstacle : str or None
        A part of a sentence for the user.
    """
    return _find_setting(run) or _find_in_network(run, network_key)


def _find_setting(run: TrainingRun) -> str | None:
    """Return the setting of a training that packs do not have, or None."""
    net, loader = run.net, run.train_loader
    if net.solver not in SOLVERS:
        return f"packs have no update of solver={_name(net.solver)}"
    if net.criterion_.uses_autograd:
        return "packs have no gradient of the own loss"
    if not isinstance(net.alpha, (int, float)):
        return "alpha differs between the layers"
    if not loader.data.shares_features:
        return "X is read from a file"
    if not isinstance(loader.data.X, torch.Tensor):
        return "X is sparse"
    if describe_network(run).has_frozen:
        return "some parameters are frozen"
    used = {
        "callbacks": bool(net.user_callbacks()),
        "amp": net.amp,
        "verbose": bool(net.verbose),
        "record_train_score": run.train_score is not None,
        "weight_averaging": net.weight_averaging is not None,
        "augmentation": loader.augment is not None,
        "noise": loader.corrupt is not None,
    }
    names = [name for name, is_used in used.items() if is_used]
    return f"packs have no {' and no '.join(names)}" if names else None


def _find_in_network(run: TrainingRun, network_key: Hashable | None) -> str | None:
    """Return why a pack cannot compute the layers of a network; None if it can."""
    description = describe_network(run)
    if description.layers_key is None:
        network = run.net.module_
        layer = unpackable_layer(network)
        if network_key is None and layer is not None:
            return f"packs have no formulas for {layer}"
        return find_module_obstacle(run, network_key)
    if run.train_loader.batch_size > description.max_batch_size:
        return "a single network divides a batch of images into chunks"
    return None


def _name(value: Any) -> str:
    """Return the name of a class, or the value itself."""
    return value.__name__ if isinstance(value, type) else repr(value)
