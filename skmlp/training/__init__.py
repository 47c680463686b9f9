"""The training engine that all estimators share. It is private; users do not import it.

The modules of this folder train one network:

- ``net``: a skorch NeuralNet with network, loss, optimizer and history.
- ``run``: one training of a net. ``trainer`` runs its epochs.
- ``schedules``: learning rate schedules.
- ``stopping``: stopping criteria and the best epoch.
- ``lbfgs``: the solver that minimizes the loss of all samples at once, without epochs.

The sub-packages are ``modules`` (networks), ``losses``, ``data`` (batches), ``steps``
(loss and gradients of a batch), ``optimizers`` (parameter updates), ``compute``
(devices, threads, matrix products), ``packs`` (many networks trained as one) and
``state_dicts`` (plain values for pickles and checkpoints). README.md explains how they
work together.
"""
