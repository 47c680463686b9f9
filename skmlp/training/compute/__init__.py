"""How operations run: devices, seeds, threads, matrix products, CUDA graphs."""
