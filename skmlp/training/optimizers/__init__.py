"""Parameter updates: flat parameters, optimizers, L2 penalty, gradient clipping."""
