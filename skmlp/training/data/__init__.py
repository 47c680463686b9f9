"""Training data: out-of-core arrays, subsets, data on the device, batches."""
