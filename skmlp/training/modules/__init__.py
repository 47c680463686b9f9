"""torch modules: layers, activations, initializers, and the builders of networks."""
