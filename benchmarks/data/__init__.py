"""Data sets by name or path, and tables that come with scikit-learn."""
