"""`speed`: the same work by skmlp, its peers and hand-written loops.

Every contestant has a process of its own. The same number of threads is set for
scikit-learn's BLAS, torch and TensorFlow before they start. A round measures one slice
of each contestant in turn, so that other work on the machine affects all of them. The
table shows medians over rounds, and medians of the ratios within a round.

* ``workloads``: the work that is measured, and the target ratios.
* ``contestants``: how each package does the work, following its documentation.
* ``torch_loops``: the hand-written torch loops.
* ``interleaved_rounds``: the rounds, and the records of their times.
* ``worker``: the process of a contestant.
* ``fresh_processes``: measurements that need a new process each time.
* ``speed_table``: the table, made from stored records alone.
"""
