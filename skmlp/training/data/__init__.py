"""From X to batches: arrays outside memory, subsets, data on the device."""
