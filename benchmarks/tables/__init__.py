"""Tables and pictures that are made from stored records alone."""
