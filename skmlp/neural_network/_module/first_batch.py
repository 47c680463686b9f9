"""Call a new module with a few samples, and explain what is wrong before training."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from skmlp.training.compute.global_generators import seeded_global_generators

# Number of samples of the trial. One sample is tried too, because some modules drop the
# dimension of a single sample.
N_SAMPLES = 8

# Names of the operations whose results are probabilities, in torch's graph.
_PROBABILITIES = {"SigmoidBackward0": "sigmoid", "SoftmaxBackward0": "softmax"}

# Beginnings of the names of operations that only change shape or dtype.
_RESHAPING = ("View", "Unsafe", "Squeeze", "Unsqueeze", "Reshape", "ToCopy", "Slice")

_TOLERANCE = 1e-4


def check_first_batch(
    network: nn.Module, x: Tensor, n_outputs: int, name: str, *, are_classes: bool
) -> None:
    """Raise ValueError if a module cannot be trained; the module does not change.

    Parameters
    ----------
    network : nn.Module
        With its initial weights.
    x : Tensor of shape (n, n_features)
        The first samples.
    n_outputs : int
        Number of logits of a sample.
    name : str
        Name of the module, for the message.
    are_classes : bool
        Whether the outputs are logits of classes, which must not be probabilities.
    """
    try:
        # Training mode changes running statistics, so the buffers are copied.
        trial = copy.deepcopy(network, {id(p): p for p in network.parameters()})
    except Exception as error:
        raise ValueError(
            f"module={name} cannot be copied, which predictions and copies need: "
            f"{type(error).__name__}: {error}"
        ) from error
    for training, samples in ((True, x), (False, x), (False, x[:1])):
        trial.train(training)
        before = samples.clone()
        with seeded_global_generators(0), torch.enable_grad():
            logits = _call(trial, samples, name)
        if not torch.equal(samples, before):
            raise ValueError(
                f"module={name} changes its input, which later batches would see; let "
                "it compute on a copy, x = x.clone()."
            )
        _check_logits(logits, len(samples), n_outputs, name)
        if training and not logits.requires_grad:
            raise ValueError(
                f"module={name} returns logits that do not depend on its parameters, "
                "so that nothing can be learned."
            )
        if are_classes and (function := _find_probabilities(logits)) is not None:
            raise ValueError(
                f"module={name} returns probabilities, but it has to return logits; "
                f"remove its {function}, which predict_proba applies."
            )


def _call(network: nn.Module, x: Tensor, name: str) -> Any:
    """Return the output of a module for a batch, or raise a ValueError."""
    try:
        return network(x)
    except Exception as error:
        text = str(error).strip().split("\n")[0].rstrip(".")
        remedy = ""
        if "dtype" in text or "scalar type" in text:
            dtype = str(x.dtype).removeprefix("torch.")
            remedy = f"; the network computes in {dtype}, see the parameter dtype"
        elif "device" in text:
            remedy = "; register its tensors as parameters or buffers"
        raise ValueError(
            f"module={name} failed in its first batch, {len(x)} samples of "
            f"{x.shape[1]} features: {type(error).__name__}: {text}{remedy}."
        ) from error


def _check_logits(logits: Any, n_samples: int, n_outputs: int, name: str) -> None:
    """Raise ValueError if an output is no finite matrix of the right shape."""
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"module={name} returned a {type(logits).__name__}; it has to return one "
            "tensor of logits."
        )
    needed = (n_samples, n_outputs)
    if tuple(logits.shape) != needed:
        hint = ""
        if tuple(logits.shape) == needed[:1] and n_outputs == 1:
            hint = ", for instance by .unsqueeze(1)"
        raise ValueError(
            f"module={name} returned logits of shape {tuple(logits.shape)} for "
            f"{n_samples} samples, but y needs the shape {needed}{hint}."
        )
    if not torch.isfinite(logits).all():
        raise ValueError(
            f"module={name} returned NaN or infinite logits in its first batch, before "
            "any training; look at its initial weights and at the scale of X."
        )


def _find_probabilities(logits: Tensor) -> str | None:
    """Return the function that made probabilities of the logits, or None."""
    node: Any = logits.grad_fn
    while node is not None and node.name().startswith(_RESHAPING):
        node = node.next_functions[0][0]
    if node is not None and node.name() in _PROBABILITIES:
        return _PROBABILITIES[node.name()]
    if logits.shape[1] == 1 or not (logits >= 0).all():
        return None
    sums = logits.detach().sum(1)
    return "softmax" if ((sums - 1).abs() < _TOLERANCE).all() else None
