"""Simulated devices in the workers of joblib."""

from contextlib import AbstractContextManager

from joblib import parallel_config

from simulated_cuda.simulation import SimulatedCuda


def simulate(n_devices: int) -> None:
    """Simulate devices until the process ends."""
    SimulatedCuda(n_devices).__enter__()


def parallel_with_devices(n_devices: int) -> AbstractContextManager[object]:
    """Let joblib start workers that have simulated devices."""
    return parallel_config(backend="loky", initializer=simulate, initargs=(n_devices,))
