"""Fit a mapped file that is larger than the memory that the fit may take.

    python tests/faults/larger_than_memory.py --dir FOLDER

writes FOLDER/rows.npy, 4 GB of random bytes (``--gigabytes``), unless it is there; fits
a perceptron to it for one epoch, predicts, and prints the largest resident memory and
the time per row; then the time per row of fits of the same part of the rows in memory
and from the file, in turn; and whether the rows in the same order give the same
network. It ends with status 1 if more than 1 GB was resident, a row took over 1.3 times
as long, or the networks differ.
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
MOST_RESIDENT = 1e9
MOST_TIME = 1.3


def write(path: Path, gigabytes: float) -> None:
    """Write rows whose bytes are random, drawn a part at a time."""
    n_rows = int(gigabytes * 1e9) // N_FEATURES
    generator = np.random.default_rng(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_rows, N_FEATURES)}
    # Not through a map, whose pages would count as this process's, and its children's.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_rows, 50_000):
            file.write(generator.bytes(min(50_000, n_rows - start) * N_FEATURES))


def targets(X: np.ndarray, n_rows: int) -> np.ndarray:
    """Return labels that a network can learn: whether the first byte is large."""
    return (np.array(X[:n_rows, 0]) > 127).astype(np.int8)


def network(**params: object) -> MLPClassifier:
    return MLPClassifier(
        (50,), max_iter=1, learning_rate_init=1e-4, random_state=0, **params
    )


def seconds(X: np.ndarray, y: np.ndarray) -> float:
    start = time.perf_counter()
    network().fit(X, y)
    return time.perf_counter() - start


def fit_all(path: Path) -> bool:
    """Fit and predict all rows in this process; print what it took."""
    X = np.load(path, mmap_mode="r")
    y = np.random.default_rng(0).integers(2, size=len(X)).astype(np.int8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    model = network().fit(X, y)
    took = time.perf_counter() - start
    model.predict(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{X.nbytes / 1e9:.2f} GB of uint8, {len(X):,} rows: peak resident memory "
        f"{peak / 1e6:.0f} MB ({before / 1e6:.0f} MB before fit), one epoch in "
        f"{took:.1f} s, {took / len(X) * 1e6:.2f} us a row",
        flush=True,
    )
    return peak < MOST_RESIDENT


def compare(path: Path, n_rows: int, rounds: int) -> bool:
    """Fit a part of the rows from the file and in memory; print times and equality."""
    mapped = np.load(path, mmap_mode="r")[:n_rows]
    held, y = np.array(mapped), targets(mapped, n_rows)
    times = [(seconds(mapped, y), seconds(held, y)) for _ in range(rounds)]
    streamed, resident = np.min(times, axis=0) / n_rows * 1e6
    print(
        f"{n_rows:,} rows, best of {rounds}: {streamed:.2f} us a row from the file, "
        f"{resident:.2f} us in memory, ratio {streamed / resident:.2f}"
    )
    one, other = (network(shuffle=False).fit(X, y) for X in (mapped, held))
    weights = one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_
    same = all(map(np.array_equal, *weights))
    same &= bool((one.predict_proba(mapped) == other.predict_proba(held)).all())
    print(f"Same order of rows: {'the same bits' if same else 'OTHER bits'}")
    return same and streamed < MOST_TIME * resident


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
        write(path, args.gigabytes)
    # In a process of its own, whose peak is of nothing else.
    command = [sys.executable, __file__, "--dir", str(args.dir), "--fit-all"]
    small = subprocess.run(command).returncode == 0
    as_good = compare(path, args.rows, args.rounds)
    if not args.keep:
        path.unlink()
    return 0 if small and as_good else 1


if __name__ == "__main__":
    sys.exit(main())
