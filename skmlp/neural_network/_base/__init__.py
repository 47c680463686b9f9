"""Base classes of the estimators, and the parameters that they share."""
