"""The parts that the ensembles of classifiers and of regressors share.

- `parameters`: descriptions and constraints of their parameters.
- `members`: checks and training of the members.
- `base`: `BaseNetworkEnsemble`, with `fit` and everything else that needs no labels.
"""
