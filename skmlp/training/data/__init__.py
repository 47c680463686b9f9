"""Data on their way to a network: arrays outside memory, subsets, batches."""
