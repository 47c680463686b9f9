"""Experiments on a tenth of MNIST."""
