"""Tables and pictures, made from stored records alone."""
