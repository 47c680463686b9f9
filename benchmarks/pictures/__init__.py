"""`pictures`: small models of the comparison, and every display drawn of them."""
