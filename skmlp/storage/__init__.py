"""Files that hold arrays and JSON, and no code. Private.

- ``atomic_files`` replaces a file atomically. It needs nothing but Python, so
  `skmlp.datasets` may import it.
- ``container`` writes JSON, the description, and arrays to one file. It validates a
  file when it reads it.
- ``value_encoder`` and ``value_decoder`` turn Python values into JSON and arrays, and
  back.
- ``checkpoint`` writes and reads a dict of values with the four modules above.
- ``fingerprints`` identifies parameters and data, so that a checkpoint is used only for
  the fit that wrote it.
"""
