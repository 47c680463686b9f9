"""The training engine that all estimators share. It is private; users do not import it.

The modules of this folder are what one fit needs. ``net`` runs the epochs behind
skorch's interface. ``steps`` computes the loss and the gradients of a batch.
``losses``, ``schedules`` and ``stopping`` hold the rules. ``lbfgs`` replaces the epochs
by one minimization over all samples.

The sub-packages are ``modules`` (networks), ``data`` (batches), ``optimizers`` (from
gradients to parameters), ``compute`` (devices, threads, matrix products) and ``packs``
(many networks trained as one). README.md tells how they work together.
"""
