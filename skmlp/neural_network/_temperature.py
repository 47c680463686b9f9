"""The temperature of probabilities (Guo et al. 2017, arXiv:1706.04599)."""

import numpy as np
import scipy.optimize
import scipy.special
import torch.nn.functional as F
from torch import Tensor

# Lower and upper bound of a fitted temperature.
_BOUNDS = (1e-2, 1e2)


def fit_temperature(logits: Tensor, targets: Tensor, *, logistic: bool) -> float:
    """Return the temperature that minimizes the cross-entropy of the targets.

    Parameters
    ----------
    logits : Tensor of float64 of shape (n_samples, n_outputs)
        The temperature divides them.
    targets : Tensor
        Class indices, or a number in [0, 1] for each logit.
    logistic : bool
        Whether each logit has a probability of its own. Otherwise the probabilities of
        a sample are a softmax.
    """
    if targets.is_floating_point():
        targets = targets.to(logits.dtype)

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if logistic:
            return float(F.binary_cross_entropy_with_logits(scaled, targets))
        return float(F.cross_entropy(scaled, targets))

    minimum = scipy.optimize.minimize_scalar(
        cross_entropy, bounds=np.log(_BOUNDS), method="bounded"
    )
    return float(np.exp(minimum.x))


def logits_of_probabilities(probabilities: np.ndarray, logistic: bool) -> np.ndarray:
    """Return logits ``(n_samples, n_outputs)`` in float64 that give probabilities.

    A probability of 0 counts as the smallest number above it, so that no logit is
    infinite. `logistic` is explained in `fit_temperature`.
    """
    smallest = np.finfo(probabilities.dtype).tiny
    probabilities = probabilities.astype(np.float64)
    logits = np.log(probabilities.clip(smallest))
    if logistic:
        logits -= np.log((1.0 - probabilities).clip(smallest))
    return logits


def temper_probabilities(
    probabilities: np.ndarray, temperature: float, logistic: bool
) -> np.ndarray:
    """Return the probabilities whose logits are divided by a temperature."""
    if temperature == 1.0:
        return probabilities
    logits = logits_of_probabilities(probabilities, logistic) / temperature
    tempered = (
        scipy.special.expit(logits)
        if logistic
        else scipy.special.softmax(logits, axis=1)
    )
    return tempered.astype(probabilities.dtype)
