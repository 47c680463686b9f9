"""Nets and runs as plain values and arrays, for pickles and checkpoints."""
