"""Packs: many networks of one shape that train as one network."""
