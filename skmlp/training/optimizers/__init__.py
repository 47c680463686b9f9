"""Parameter updates: flat parameters, optimizers, L2 penalty, gradient clipping."""

from skmlp.training.optimizers import flat_optimizers
from skmlp.training.optimizers.factory import make_optimizer

# Pickles of earlier versions look for the function here, or in `flat_optimizers`.
__all__ = ["make_optimizer"]
flat_optimizers.make_optimizer = make_optimizer  # type: ignore[attr-defined]
