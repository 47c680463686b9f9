"""`search`: packed searches beside searches that fit one network after the other.

Seconds are those of the clock, processor seconds those of this process; on a machine
with other work only the latter mean anything.

* ``_contestants``: one grid of networks, by every package's own means.
* ``_parts``: what is measured, and what a record of each part holds.
* ``_table``: the table, made from stored records alone, and what is aimed at.
"""
