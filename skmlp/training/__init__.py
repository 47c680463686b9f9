"""The training engine that all estimators share. It is private; users do not import it.

The modules of this folder train one network. ``net`` holds the network and its history
behind skorch's interface. ``run`` describes one training, and ``trainer`` runs its
epochs. ``steps`` chooses how a batch is computed. ``schedules`` and ``stopping`` hold
the rules. ``lbfgs`` replaces the epochs by one minimization over all samples.

The sub-packages are ``modules`` (networks), ``losses``, ``data`` (batches),
``optimizers`` (from gradients to parameters), ``compute`` (devices, threads, matrix
products) and ``packs`` (many networks trained as one). README.md tells how they work
together.
"""
