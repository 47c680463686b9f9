"""Checks of samples and targets that scikit-learn does not make."""
