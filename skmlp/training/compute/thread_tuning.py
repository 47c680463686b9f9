"""Choose the number of threads of a step's operations by measurement.

The matrix products and the update of a network with more than 32,000 parameters take
from some tens of microseconds to milliseconds. More threads shorten them while their
cores are free. While another process computes on those cores, waiting for the threads
costs milliseconds. The tuner therefore measures during training which number of threads
is the fastest. It is used only for operations whose results are exactly equal on any
number of threads.
"""

from math import inf
from time import perf_counter

import torch
from torch import Tensor

from skmlp.training.compute.threads import available_threads, using_threads

# Steps in one timing of the fastest candidate.
_STEPS_PER_TIMING = 16
# Steps in one timing of another candidate, and the seconds after which it ends earlier.
_STEPS_PER_TRIAL = 6
_SECONDS_PER_TRIAL = 0.01
# A trial is left out if an operation of `_VALUES_PER_THREAD` values on each thread
# takes longer than this. On free cores it takes some tens of microseconds, and less
# than a millisecond if it starts the threads.
_MAX_SECONDS_OF_PROBE = 0.0005
_MAX_SECONDS_OF_START = 0.002
_VALUES_PER_THREAD = 2**15  # torch uses no thread for fewer values
# Maximum ratio of the times with more and with fewer threads for which more threads are
# chosen. Single steps vary, and each thread occupies a core.
_MAX_RATIO_FOR_MORE_THREADS = 0.95
# Number of timings of the fastest candidate before all candidates are timed again. It
# doubles, up to a maximum, each time that the fastest candidate stays the same.
_TIMINGS_BEFORE_RETRY = 8
_MAX_TIMINGS_BEFORE_RETRY = 2048

# Minimum number of parameters for which more threads can shorten an update.
MIN_TUNED_PARAMETERS = 2**15


class ThreadTuner:
    """Chooses on how many threads the operations of one training loop run.

    Objects that compute hold the tuner of their training loop and read `n_threads`
    before each operation.

    Parameters
    ----------
    max_threads : int
        Number of threads that the training loop may use.

    Attributes
    ----------
    n_threads : int
        Number of threads for the operations of the current step.
    candidates : list of int
        The numbers of threads that are compared: the powers of two below `max_threads`,
        and `max_threads`.
    """

    def __init__(self, max_threads: int) -> None:
        powers = (2**i for i in range(1, max_threads.bit_length()))
        self.candidates = [1, *(n for n in powers if n < max_threads)]
        if max_threads > 1:
            self.candidates.append(max_threads)
        self.n_threads = 1
        self._seconds_per_step: dict[int, float] = {}  # by number of threads
        self._n_steps, self._elapsed = 0, 0.0  # of the current timing
        self._max_steps, self._max_elapsed = _STEPS_PER_TRIAL, _SECONDS_PER_TRIAL
        self._step_began: float | None = None
        self._is_first_step = True
        self._fastest = 1
        self._n_timings, self._timings_before_retry = 0, _TIMINGS_BEFORE_RETRY

    def pause(self) -> None:
        """Leave the time until the next step out of the measurement."""
        self._step_began = None

    def begin_step(self) -> None:
        """Add the time since the last call, and set `n_threads` for the next step.

        The first step is not timed, because it allocates memory.
        """
        if self._is_first_step:
            self._is_first_step = False
            return
        now = perf_counter()
        if self._step_began is not None:
            self._n_steps += 1
            self._elapsed += now - self._step_began
        self._step_began = now
        if self._n_steps == self._max_steps or self._elapsed > self._max_elapsed:
            self._end_timing()

    def _end_timing(self) -> None:
        """Store the time of a step, and choose the number of threads to time next."""
        self._seconds_per_step[self.n_threads] = self._elapsed / self._n_steps
        self._n_steps, self._elapsed = 0, 0.0
        n_threads = self._choose()
        while n_threads != self._fastest and not cores_are_free(n_threads):
            self._seconds_per_step[n_threads] = inf
            n_threads = self._choose()
        is_trial = n_threads != self._fastest
        self._max_steps = _STEPS_PER_TRIAL if is_trial else _STEPS_PER_TIMING
        # A timing on several threads ends early if one thread is clearly faster, that
        # is, after the time that one thread needs for `_STEPS_PER_TIMING` steps.
        on_one_thread = _STEPS_PER_TIMING * self._seconds_per_step.get(1, inf)
        self._max_elapsed = inf if n_threads == 1 else on_one_thread
        if is_trial:
            self._max_elapsed = min(self._max_elapsed, _SECONDS_PER_TRIAL)
        if n_threads != self.n_threads:
            self.n_threads = n_threads
            self._step_began = None  # the first step after a change is not timed

    def _choose(self) -> int:
        """Return the number of threads to time next.

        It is a candidate without a timing, otherwise the fastest candidate. After
        enough timings of the fastest candidate, the timings of the others are deleted.
        """
        for n in self.candidates:
            if n not in self._seconds_per_step:
                return n
        seconds = self._seconds_per_step
        fastest = self.candidates[0]
        for n in self.candidates[1:]:  # more threads have to be clearly faster
            if seconds[n] < _MAX_RATIO_FOR_MORE_THREADS * seconds[fastest]:
                fastest = n
        if fastest != self._fastest:
            self._fastest = fastest
            self._n_timings, self._timings_before_retry = 0, _TIMINGS_BEFORE_RETRY
        self._n_timings += 1
        if self._n_timings == self._timings_before_retry:
            self._n_timings = 0
            self._timings_before_retry = min(
                2 * self._timings_before_retry, _MAX_TIMINGS_BEFORE_RETRY
            )
            self._seconds_per_step = {fastest: self._seconds_per_step[fastest]}
        return fastest


def cores_are_free(n_threads: int) -> bool:
    """Return whether a short operation on several threads waits for no core.

    A step has many operations. Each would wait for milliseconds if other processes
    compute on the cores.
    """
    values = torch.empty(n_threads * _VALUES_PER_THREAD, dtype=torch.float32)
    with using_threads(n_threads):
        # The first call may start the threads, and maps the memory.
        for max_seconds in (_MAX_SECONDS_OF_START, _MAX_SECONDS_OF_PROBE):
            began = perf_counter()
            values.zero_()
            if perf_counter() - began > max_seconds:
                return False
    return True


# The default tuner: always one thread. It measures nothing, because its `begin_step` is
# never called.
SINGLE_THREAD_TUNER = ThreadTuner(1)


def make_thread_tuner(*parameters: Tensor) -> ThreadTuner:
    """Return a tuner for steps that update all of these parameters.

    A network is tuned if it is on the CPU and has enough parameters.
    """
    n_parameters = sum(values.numel() for values in parameters)
    is_tuned = parameters[0].is_cpu and n_parameters >= MIN_TUNED_PARAMETERS
    return ThreadTuner(available_threads() if is_tuned else 1)
