"""Files that hold arrays and JSON, and no code. Private.

``encoding`` and ``decoding`` turn values into JSON and arrays and back, ``container``
makes one file of them and reads it without trusting it, ``durable`` brings it to the
disk.
"""
