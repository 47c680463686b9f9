"""One fit: checked data, the objects that train, checkpoints and progress."""
