"""Check that fits in threads give equal networks, and that many fits leak no memory.

    python tests/faults/repeated_fits.py

- Eight networks are fitted in eight threads and one by one, and compared.
- 200 networks (``--fits``) are fitted in sequence. The growth of resident memory is
  printed.

The exit status is 1 if a network differs or memory grew by 20 MB or more.
"""

import argparse
import gc
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from sklearn.base import clone
from sklearn.datasets import load_digits

from skmlp.augmentation import RandomAffine
from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression

N_THREADS = 8
MAX_GROWTH_BYTES = 20e6
SHARED = {"max_iter": 5, "early_stopping": True}
MODELS = [
    MLPClassifier((30,), dropout=0.3, **SHARED),
    CNNClassifier(4, hidden_layer_sizes=10, augmentation=RandomAffine(5), **SHARED),
    SoftmaxRegression(**SHARED),
    MLPClassifier((20, 10), solver="lbfgs", max_iter=10, max_fun=30),
]


def fit(seed: int) -> bytes:
    """Fit one of the models; return all of its weights."""
    X, y = load_digits(return_X_y=True)
    model = clone(MODELS[seed % len(MODELS)]).set_params(random_state=seed)
    model.fit(X / 16, y)
    return b"".join(np.ascontiguousarray(w).tobytes() for w in model.coefs_)


def check_fits_in_threads() -> bool:
    """Compare fits in threads with fits one by one."""
    alone = [fit(seed) for seed in range(N_THREADS)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        at_once = list(pool.map(fit, range(N_THREADS)))
    equal = sum(a == b for a, b in zip(alone, at_once, strict=True))
    print(
        f"{N_THREADS} fits at once in threads: {equal} of them equal, to the bit, to "
        "those alone"
    )
    return equal == N_THREADS


def measure_growth(fits: int) -> float:
    """Return the growth of resident memory in bytes, after the first few fits."""
    process = psutil.Process()
    for seed in range(2 * len(MODELS)):
        fit(seed)
    gc.collect()
    before = process.memory_info().rss
    for seed in range(fits):
        fit(seed)
    gc.collect()
    grown = process.memory_info().rss - before
    print(
        f"{fits} fits in a row: resident memory grew by {grown / 1e6:.1f} MB from "
        f"{before / 1e6:.0f} MB"
    )
    return grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=200)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    good = check_fits_in_threads()
    good &= measure_growth(args.fits) < MAX_GROWTH_BYTES
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
