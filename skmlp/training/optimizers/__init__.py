"""From the gradients of a batch to the next parameters, all in one flat vector."""
