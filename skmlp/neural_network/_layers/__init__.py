"""The layers of an estimator's network: names, shapes, costs, arrays, activations.

`skmlp.training.modules.introspection` analyzes a torch module. This package presents
the results to users, as numbers or names of layers, arrays, a table, or an HTML panel.
"""
