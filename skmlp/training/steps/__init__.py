"""Steps of training: loss and gradients of a batch, by formulas or by autograd."""

from skmlp.training.steps.selection import Step, make_step, threads_for_step

__all__ = ["Step", "make_step", "threads_for_step"]
