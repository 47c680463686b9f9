"""A simulated CUDA device, for tests on machines without one.

`SimulatedCuda` tags storages as being on a simulated device. Two modes of torch see
every call.

- An operation on tensors of different devices raises, as on CUDA.
- The result of an operation on a simulated device is on that device.
- Every copy between devices and every wait for a value is recorded, with the line of
  `skmlp` that caused it.
- The host may change pinned memory only after the copy from it, and a stream may use
  the copy of another stream only after it has waited for it.
- A stand-in for `torch.cuda.CUDAGraph` records operations. It raises if a capture on
  CUDA would fail. A replay calls the operations again, on the same tensors.

The simulation cannot see the speed, the rounding of CUDA's kernels, races of other
operations, and memory that a graph's pool uses twice. It sees the thread that entered
it, because the modes of torch belong to one thread.
"""

from simulated_cuda.simulation import SimulatedCuda
from simulated_cuda.storages import CaptureError, MixedDevicesError
from simulated_cuda.streams import RaceError

__all__ = ["CaptureError", "MixedDevicesError", "RaceError", "SimulatedCuda"]
