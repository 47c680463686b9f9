"""Initial weights and biases that are fitted to samples.

As in Krähenbühl et al. (2016), arXiv:1511.06856, the weights of each unit are scaled so
that its output before the activation has the deviation 1. The bias of a unit is chosen
as in RealMLP (Holzmüller et al. 2024, arXiv:2407.04491): the output is zero at a point
between samples. So each unit bends within the data.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skmlp.training.modules.introspection import WeightLayer, evaluation_mode

# Number of samples whose mean is the point where the output of a unit is zero.
_N_AVERAGED = 5

# Units with a smaller deviation are nearly constant. They keep their weights.
_SMALLEST_DEVIATION = 1e-6


def initialize_from_data(
    network: nn.Sequential, x: Tensor, random_state: np.random.RandomState
) -> None:
    """Change the initial parameters of all layers but the last one.

    Parameters
    ----------
    network : nn.Sequential
        Initialized by 'data_dependent'.
    x : Tensor of shape (samples, features)
        Samples of the training set.
    random_state : RandomState
        Draws the samples for the biases.
    """
    layers = [module for module in network if isinstance(module, WeightLayer)]
    with torch.no_grad(), evaluation_mode(network):
        for module in network:
            if module is layers[-1]:
                return
            if isinstance(module, WeightLayer):
                _fit_to_outputs(module, module(x), random_state)
            x = module(x)


def _fit_to_outputs(
    layer: WeightLayer, z: Tensor, random_state: np.random.RandomState
) -> None:
    """Change the weights and biases of a layer with the output `z`, in place."""
    assert layer.bias is not None
    z = z.transpose(0, 1).flatten(1)  # (units, samples), for images also their pixels
    deviation = z.std(dim=1, correction=0)
    factor = torch.where(deviation > _SMALLEST_DEVIATION, 1.0 / deviation, 1.0)
    layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.dim() - 1)))
    drawn = random_state.randint(z.shape[1], size=(len(z), _N_AVERAGED))
    points = z.gather(1, torch.from_numpy(drawn).to(z.device)).mean(dim=1)
    layer.bias.copy_(-points * factor)  # the initial bias is zero
