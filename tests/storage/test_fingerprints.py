import subprocess
import sys
import threading
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import f1_score, make_scorer
from sklearn.preprocessing import StandardScaler

from skmlp.storage.fingerprints import (
    check_fingerprints,
    fingerprint,
    fingerprint_array,
)

PROGRAM = """
from functools import partial
from pathlib import Path
import numpy as np, scipy.sparse, scipy.stats, torch
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from skmlp.storage.fingerprints import fingerprint

values = [
    None, True, 1, 1.0, "a", b"a", (1, 2), {"b": 1, "a": (2,)}, {3, 1}, range(3),
    StandardScaler(with_mean=False), np.float64, len, np.mean,
    partial(f1_score, pos_label=2), StandardScaler(copy=False), slice(3),
    make_scorer(f1_score, average="macro"), scipy.stats.loguniform(1e-4, 1),
    scipy.stats.randint(1, 5), StratifiedKFold(3, shuffle=True, random_state=1),
    np.random.RandomState(3), np.random.default_rng(3), Path("p"), torch.device("cpu"),
    np.arange(3), torch.arange(3), scipy.sparse.eye(3, format="csr"),
    StratifiedKFold(random_state=np.random.RandomState(0), shuffle=True),
]
fingerprints = [fingerprint(value) for value in values]
"""


def test_fingerprints_are_equal_in_another_process():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + "print(fingerprints)"],
        capture_output=True,
        text=True,
        check=True,
    )
    namespace: dict = {}
    exec(PROGRAM, namespace)
    fingerprints = namespace["fingerprints"]
    assert done.stdout.strip() == str(fingerprints)
    assert len(set(fingerprints)) == len(fingerprints)
    assert " at 0x" not in done.stdout


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (np.float64(0.1), 0.1),
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Path("a/b"), Path("a") / "b"),
        (scipy.stats.norm(2), scipy.stats.norm(2)),
        (np.arange(4)[::2], np.array([0, 2])),
    ],
)
def test_equal_values_have_equal_fingerprints(one, two):
    assert fingerprint(one) == fingerprint(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (0.1, np.nextafter(0.1, 1)),
        ("1", 1),
        (np.arange(3), np.arange(3.0)),
        (StandardScaler(), StandardScaler(with_std=False)),
        (make_scorer(f1_score), make_scorer(f1_score, average="macro")),
        (scipy.stats.norm(2), scipy.stats.norm(3)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (list(range(999)), [*range(998), 0]),
        (date(2026, 1, 1), date(2026, 1, 2)),
        ([pd.Timestamp(1)], [pd.Timestamp(2)]),
        (Counter("a").most_common, Counter("b").most_common),
    ],
)
def test_different_values_have_different_fingerprints(one, two):
    assert fingerprint(one) != fingerprint(two)
    assert len(fingerprint(one)) < 200


def test_object_without_attributes_or_pickle_is_refused():
    with pytest.raises(TypeError, match="A checkpoint cannot tell"):
        fingerprint(threading.Lock())


def test_sampling_does_not_change_the_fingerprint_of_a_distribution():
    distribution = scipy.stats.loguniform(1e-4, 1)
    before = fingerprint(distribution)
    distribution.rvs(random_state=0)
    distribution.entropy()
    assert fingerprint(distribution) == before


def test_list_that_contains_itself_has_a_fingerprint():
    endless: list = []
    endless.append(endless)
    assert "list" in fingerprint(endless)


@given(npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_side=0, max_dims=3)))
def test_memory_layout_does_not_change_the_fingerprint(X):
    assert fingerprint_array(np.asfortranarray(X)) == fingerprint_array(X)
    assert fingerprint_array(np.repeat(X, 2, axis=0)[::2]) == fingerprint_array(X)


def test_memmap_is_read_in_blocks(tmp_path):
    X = np.random.default_rng(0).normal(size=(1000, 7))
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
    whole = fingerprint_array(X)

    class Sliced:
        shape, dtype, longest = X.shape, X.dtype, 0

        def __getitem__(self, part):
            block = mapped[part]
            self.longest = max(self.longest, len(block))
            return block

    sliced = Sliced()
    assert fingerprint_array(mapped, block_bytes=1000) == whole
    assert fingerprint_array(sliced, block_bytes=1000) == whole
    assert sliced.longest == 1000 // 56


@given(st.integers(0, 2), st.floats(allow_nan=False).filter(bool))
def test_change_of_one_value_changes_the_fingerprint(i, value):
    X = np.zeros((3, 2))
    changed = X.copy()
    changed[i, 1] = value
    assert fingerprint_array(changed) != fingerprint_array(X)
    sparse = scipy.sparse.csr_matrix
    assert fingerprint_array(sparse(changed)) != fingerprint_array(sparse(X))


def test_frames_lists_and_strings_have_array_fingerprints():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert fingerprint_array(frame) == fingerprint_array(frame.copy())
    assert fingerprint_array(frame) != fingerprint_array(frame.replace("y", "z"))
    assert fingerprint_array([[1, 2]]) == fingerprint_array(np.array([[1, 2]]))
    assert fingerprint_array(np.array(["a", "b"])) != fingerprint_array(
        np.array(["a", "c"])
    )


def test_first_different_fingerprint_is_named():
    now = {"alpha": "1", "X": "2"}
    check_fingerprints("checkpoint", Path("f"), dict(now), now)
    with pytest.raises(ValueError, match=r"^checkpoint='f' .* alpha was 3 and is 1; "):
        check_fingerprints("checkpoint", Path("f"), {"X": "5", "alpha": "3"}, now)
    with pytest.raises(ValueError, match="X was unknown and is 2"):
        check_fingerprints("checkpoint", Path("f"), {"alpha": "1"}, now)
    with pytest.raises(ValueError, match="beta was 2 and is unknown"):
        check_fingerprints("checkpoint", Path("f"), now | {"beta": "2"}, now)
