"""From gradients to parameters: flat parameters, optimizers, penalty, clipping."""
