"""Files that hold arrays and JSON, and no code. Private.

- ``atomic_files`` replaces a file by a whole new one, or leaves it unchanged. It needs
  nothing but Python, so `skmlp.datasets` may import it.
- ``container`` makes one file of JSON and arrays, and reads such a file without
  trusting it.
- ``value_encoder`` and ``value_decoder`` turn Python values into JSON and arrays, and
  back.
- ``checkpoint`` writes and reads a dict of values with the four modules above.
- ``fingerprints`` identifies parameters and data, so that a checkpoint is used only for
  the fit that wrote it.
"""
