"""The program ``gpu``: correctness, waits, speed and memory on a GPU."""
