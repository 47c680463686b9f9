"""`pictures`: small models of `compare`, and every display drawn for them."""
