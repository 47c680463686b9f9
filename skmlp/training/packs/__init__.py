"""Train many networks of equal structure together, as one network: a pack.

- ``pack`` is the training loop.
- ``structure`` decides whether networks have the same layers.
- ``parameters`` and ``vector`` hold the parameters and compute the gradients.
- ``dense_products`` and ``convolution`` compute the layers.
- ``optimizer`` updates the parameters.
- ``batches`` and ``epoch_loss`` prepare the samples and sum the losses.
- ``step_timing`` measures how long a step takes.

`skmlp.neural_network._packs` decides which estimators train in a pack.
"""
