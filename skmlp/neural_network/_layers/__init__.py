"""The layers of an estimator's network: names, shapes, costs, arrays, activations.

`skmlp.training.modules.introspection` looks at a torch module. This package gives what
it finds to users: as numbers or names of layers, arrays, a table, an HTML panel.
"""
