"""Fit many estimators at once, in packs if possible.

- ``preparation`` checks parameters and data, and builds the networks.
- ``packed_fit`` decides which estimators train in a pack, and fits them.
- ``pack_size`` chooses the number of networks in a pack.

`skmlp.training.packs` trains a pack.
"""
