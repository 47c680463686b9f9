"""`speed`: the same work by skmlp, its peers and hand-written loops, side by side.

Every contestant has a process of its own, with the same number of threads, told to
scikit-learn's BLAS, torch and TensorFlow alike before they start. A round takes one
slice of each contestant in turn, so that a busy machine is busy for all; figures are
medians over rounds, ratios medians of the ratios within a round.

* ``_workloads``: what is measured, and what is aimed at.
* ``_contestants``: how each package does it, as its documentation says; ``_loops``: the
  hand-written torch loops.
* ``_worker``: a contestant's process; ``_fresh``: what needs a new process each time.
* ``_table``: the table, made from stored records alone.
"""
