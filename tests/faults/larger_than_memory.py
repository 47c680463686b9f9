"""Fit a mapped file that is larger than the memory that the fit may take.

    python tests/faults/larger_than_memory.py --dir FOLDER

- FOLDER/rows.npy with 4 GB of random bytes (``--gigabytes``) is written, unless it
  exists.
- A perceptron is fitted to it for one epoch, and predicts. The peak of resident memory
  and the time per sample are printed.
- A part of the samples is fitted from the file and from memory, alternately. The times
  per sample are printed.
- The networks of both fits, with the same order of samples, are compared.

The exit status is 1 if more than 1 GB was resident, a sample from the file took more
than 1.3 times as long, or the networks differ.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from skmlp.neural_network import MLPClassifier

N_FEATURES = 784
MAX_RESIDENT_BYTES = 1e9
MAX_TIME_RATIO = 1.3


def write_samples(path: Path, gigabytes: float) -> None:
    """Write samples of random bytes, in blocks."""
    n_samples = int(gigabytes * 1e9) // N_FEATURES
    generator = np.random.default_rng(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_samples, N_FEATURES)}
    # Not through a memory map: its pages would count as memory of this process.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_samples, 50_000):
            file.write(generator.bytes(min(50_000, n_samples - start) * N_FEATURES))


def make_targets(X: np.ndarray, n_samples: int) -> np.ndarray:
    """Return labels that a network can learn: whether the first byte is above 127."""
    return (np.array(X[:n_samples, 0]) > 127).astype(np.int8)


def make_network(**params: object) -> MLPClassifier:
    """Return a network that trains for one epoch."""
    return MLPClassifier(
        (50,), max_iter=1, learning_rate_init=1e-4, random_state=0, **params
    )


def time_fit(X: np.ndarray, y: np.ndarray) -> float:
    """Return the seconds of one fit."""
    start = time.perf_counter()
    make_network().fit(X, y)
    return time.perf_counter() - start


def fit_all(path: Path) -> bool:
    """Fit and predict all samples in this process; print time and memory."""
    X = np.load(path, mmap_mode="r")
    y = np.random.default_rng(0).integers(2, size=len(X)).astype(np.int8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    model = make_network().fit(X, y)
    elapsed = time.perf_counter() - start
    model.predict(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{X.nbytes / 1e9:.2f} GB of uint8, {len(X):,} samples: peak resident memory "
        f"{peak / 1e6:.0f} MB ({before / 1e6:.0f} MB before fit), one epoch in "
        f"{elapsed:.1f} s, {elapsed / len(X) * 1e6:.2f} us a sample",
        flush=True,
    )
    return peak < MAX_RESIDENT_BYTES


def compare(path: Path, n_samples: int, rounds: int) -> bool:
    """Fit some samples from the file and from memory; compare times and networks."""
    mapped = np.load(path, mmap_mode="r")[:n_samples]
    in_memory, y = np.array(mapped), make_targets(mapped, n_samples)
    times = [(time_fit(mapped, y), time_fit(in_memory, y)) for _ in range(rounds)]
    streamed, resident = np.min(times, axis=0) / n_samples * 1e6
    print(
        f"{n_samples:,} samples, best of {rounds}: {streamed:.2f} us a sample from the "
        f"file, {resident:.2f} us in memory, ratio {streamed / resident:.2f}"
    )
    one, other = (make_network(shuffle=False).fit(X, y) for X in (mapped, in_memory))
    weights = one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_
    same = all(map(np.array_equal, *weights))
    same &= bool((one.predict_proba(mapped) == other.predict_proba(in_memory)).all())
    print(f"Same order of samples: {'the same bits' if same else 'OTHER bits'}")
    return same and streamed < MAX_TIME_RATIO * resident


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--rows", type=int, default=500_000, help="to compare times")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the file there")
    parser.add_argument("--fit-all", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path = args.dir / "rows.npy"
    if args.fit_all:
        return 0 if fit_all(path) else 1
    if not path.exists():
        write_samples(path, args.gigabytes)
    # In a separate process, so that its peak memory is that of the fit.
    command = [sys.executable, __file__, "--dir", str(args.dir), "--fit-all"]
    small = subprocess.run(command).returncode == 0
    comparable = compare(path, args.rows, args.rounds)
    if not args.keep:
        path.unlink()
    return 0 if small and comparable else 1


if __name__ == "__main__":
    sys.exit(main())
