"""`search`: packed searches compared with searches that fit networks one by one.

Seconds are wall-clock time. Processor seconds are the CPU time of this process. On a
machine with other work only the latter are meaningful.

* ``contestants``: one grid of networks, searched with each package's own tools.
* ``measurements``: the parts of the benchmark, and the content of their records.
* ``search_table``: the table with target ratios, made from stored records alone.
"""
