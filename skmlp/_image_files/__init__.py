"""Read image files as arrays, for `skmlp.datasets` and `skmlp.preprocessing`."""
