"""Neural networks that drop into scikit-learn."""

__version__ = "0.1.0"
