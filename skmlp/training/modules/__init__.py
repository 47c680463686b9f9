"""Networks from samples to logits: layers, activations, initializers."""
