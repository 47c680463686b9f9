"""Parameter updates: flat parameters, optimizers, L2 penalty, gradient clipping."""

from skmlp.training.optimizers.flat_optimizers import make_optimizer

# Pickles of earlier versions look for the function here.
__all__ = ["make_optimizer"]
