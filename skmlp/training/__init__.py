"""Training of networks: what every estimator shares, and no user imports.

``modules`` builds a network of logits, ``initializers`` draws its weights,
``batches`` feeds it, ``steps`` computes a batch's loss and gradients,
``optimizers`` and ``schedules`` turn them into an update, ``net`` runs the epochs
behind skorch's interface and ``stopping`` ends them. ``lbfgs`` replaces the epochs
by one minimisation over all rows.

``pack`` trains many nets as one: ``stacked_parameters``, ``stacked_optimizer`` and
``stacked_rows`` hold what all of them have, and ``trial`` measures whether it pays.
"""
