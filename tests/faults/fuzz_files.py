"""Mutate model files, IDX files or CIFAR archives, and read them.

    python tests/faults/fuzz_files.py model 10000

One line is printed: the number of files that raised the documented error, the number of
files that were read, the longest time, and the largest memory relative to the limit. If
a file caused anything else, its number is printed and the exit status is 1. ``--only
NUMBER`` repeats one file.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import resource
import struct
import sys
import tarfile
import tempfile
import time
import tracemalloc
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skmlp.augmentation import RandomCrop
from skmlp.datasets import read_idx, write_idx
from skmlp.datasets._cifar10 import read_batches
from skmlp.neural_network import CNNClassifier, MLPClassifier, MLPRegressor
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.preprocessing import PixelStandardizer
from skmlp.storage import container

MAX_SECONDS = 1.0
FREE_BYTES = 1 << 20  # memory that reading a small file may always take

# Audit events that reading data must not cause.
FORBIDDEN_EVENTS = {
    "exec",
    "compile",
    "marshal.loads",
    "pickle.find_class",
    "ctypes.dlopen",
}
FORBIDDEN_EVENTS |= {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
}
FORBIDDEN_EVENTS |= {
    "socket.connect",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.symlink",
}

HOSTILE_NUMBERS = [0, 1, 2, 7, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40]
HOSTILE_NUMBERS += [2**53, 2**63 - 1, 2**63, 2**64 - 1]

BATCHES = ("data_batch_1.bin", "test_batch.bin")
ROWS = 3
MAX_BYTES = 200_000


class File(NamedTuple):
    """A mutated file, the index of its original, and whether the checksum is right."""

    content: bytes
    seed: int
    sealed: bool = False


def flip_bits(rng: np.random.Generator, content: bytes) -> bytes:
    """Flip up to 16 bits, sometimes only in the first 200 bytes."""
    changed = bytearray(content)
    last = len(changed) if rng.random() < 0.5 else min(len(changed), 200)
    for _ in range(rng.integers(1, 17)):
        changed[rng.integers(last)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(rng: np.random.Generator, content: bytes) -> bytes:
    """Cut off the end or the beginning."""
    at = int(rng.integers(len(content)))
    return content[:at] if rng.random() < 0.8 else content[at:]


def extend(rng: np.random.Generator, content: bytes) -> bytes:
    """Append random bytes, or bytes of the file."""
    more = rng.bytes(int(rng.integers(1, 5000)))
    return content + (more if rng.random() < 0.5 else content[: len(more)])


def splice(rng: np.random.Generator, content: bytes) -> bytes:
    """Copy some bytes over others, or remove them."""
    source, target = rng.integers(len(content), size=2)
    size = int(rng.integers(1, 300))
    part = content[source : source + size] if rng.random() < 0.7 else b""
    return content[:target] + part + content[target + size :]


def overwrite_number(rng: np.random.Generator, content: bytes) -> bytes:
    """Overwrite 4 or 8 bytes by a hostile number, often the first ones."""
    number = int(rng.choice(np.array(HOSTILE_NUMBERS, dtype=np.uint64)))
    size, order = int(rng.choice([4, 8])), str(rng.choice(["little", "big"]))
    at = 0 if rng.random() < 0.5 else int(rng.integers(min(len(content), 600)))
    packed = (number % 2 ** (8 * size)).to_bytes(size, order)  # type: ignore[arg-type]
    return content[:at] + packed + content[at + size :]


MUTATIONS = [flip_bits, cut, extend, splice, overwrite_number]


class Fuzzed(ABC):
    """A kind of file: how to mutate it, and the limits for reading it."""

    seeds: list[bytes]

    @abstractmethod
    def mutate(self, rng: np.random.Generator) -> File:
        """Return a mutated file."""

    @abstractmethod
    def read(self, path: Path, file: File) -> str | None:
        """Read a file; return a message if the result is wrong."""

    error: type[Exception] = ValueError

    def allowed_bytes(self, file: File) -> int:
        """Return the memory that reading may take, in bytes."""
        return max(3 * len(file.content), FREE_BYTES)

    def pick(self, rng: np.random.Generator) -> tuple[int, bytes]:
        """Return the index and the content of a random original."""
        seed = int(rng.integers(len(self.seeds)))
        return seed, self.seeds[seed]


def fit_models() -> list[Any]:
    """Return the models whose files are mutated."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].astype(np.float32) / 16, y[:200]
    names = np.array([f"digit {label}" for label in y], dtype=object)
    few = {"max_iter": 2, "random_state": 0}
    standardized = make_pipeline(
        PixelStandardizer(), "passthrough", MLPClassifier((8,), **few)
    )
    standardized.set_params(mlpclassifier__random_state=np.random.RandomState(0))
    dates = np.arange(10).astype("datetime64[D]")[y]
    target = TransformedTargetRegressor(
        make_pipeline(MaxAbsScaler(), MLPRegressor(hidden_layer_sizes=8, **few)),
        transformer=PowerTransformer(),
    )
    with warnings.catch_warnings(action="ignore"):
        return [
            table_pipeline(MLPClassifier((8,), **few)).fit(X, dates),
            target.fit(X, y.astype(np.float64)),
            MLPClassifier((20, 10), batch_norm=True, **few).fit(X, names),
            CNNClassifier((4, 8), augmentation=RandomCrop(), **few).fit(X, y),
            MLPRegressor(hidden_layer_sizes=1500, **few).fit(X, y),
            standardized.fit(X, y.astype(str)),
        ]


def table_pipeline(network: Any) -> Pipeline:
    """Return a Pipeline with most of the transformers that files may hold."""
    columns = ColumnTransformer(
        [
            ("standard", StandardScaler(), slice(0, 8)),
            ("robust", make_union(RobustScaler(), MinMaxScaler()), [8, 9, 10]),
            (
                "imputed",
                make_pipeline(
                    SimpleImputer(
                        missing_values=0, add_indicator=True, keep_empty_features=True
                    ),
                    QuantileTransformer(n_quantiles=9),
                    PCA(4),
                ),
                slice(11, 30),
            ),
            (
                "one_hot",
                OneHotEncoder(
                    handle_unknown="infrequent_if_exist",
                    max_categories=3,
                    sparse_output=False,
                    dtype=np.float32,
                ),
                [30, 31],
            ),
            (
                "ordinal",
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                [32, 33],
            ),
            (
                "bins",
                KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"),
                [34, 35, 36],
            ),
            ("decomposed", make_pipeline(Normalizer(), TruncatedSVD(2)), [40, 41, 42]),
            ("unchanged", "passthrough", [50]),
        ],
        remainder=FunctionTransformer(),
    )
    return make_pipeline(columns, VarianceThreshold(), SelectKBest(k=20), network)


class ModelFiles(Fuzzed):
    """Files of `skmlp.persistence`."""

    error = ModelFileError

    def __init__(self) -> None:
        self.rows = load_digits().data[:50].astype(np.float32)
        models = fit_models()
        self.expected = [model.predict(self.rows) for model in models]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            self.seeds = []
            for model in models:
                save_model(model, path)
                self.seeds.append(path.read_bytes())
                load_model(path).predict(self.rows)
                repr(model)  # now, because scikit-learn imports modules for it

    def mutate(self, rng: np.random.Generator) -> File:
        seed, content = self.pick(rng)
        kind = rng.integers(10)
        if kind < 5:
            return File(MUTATIONS[kind](rng, content), seed)
        if kind < 7:
            return File(self._rewrite_header(rng, content), seed)
        if kind == 7:
            return File(self._bomb(rng, content), seed)
        return File(self._change_description(rng, content), seed, sealed=True)

    def read(self, path: Path, file: File) -> str | None:
        model = load_model(path)
        if type(model).__module__.split(".")[0] not in ("skmlp", "sklearn"):
            return f"it became a {type(model)}"
        if file.sealed:  # the model may be wrong, but must do no harm
            with contextlib.suppress(Exception):
                model.predict(self.rows)
            return None
        same = np.array_equal(model.predict(self.rows), self.expected[file.seed])
        return None if same else "it predicts otherwise"

    def _rewrite_header(self, rng: np.random.Generator, content: bytes) -> bytes:
        """Change numbers, dtypes and names in the header of safetensors."""
        header, data = split(content)
        parsed = json.loads(header)
        for _ in range(rng.integers(1, 4)):
            names = sorted(parsed.keys() - {"__metadata__"})
            name, other = map(str, rng.choice(names, 2))
            entry = parsed[name]
            change = rng.integers(6)
            if change == 0 and entry["shape"]:
                entry["shape"][0] = hostile_number(rng)
            elif change == 1:
                entry["shape"] = [hostile_number(rng) for _ in range(rng.integers(5))]
            elif change == 2:
                entry["data_offsets"][int(rng.integers(2))] = hostile_number(rng)
            elif change == 3:
                entry["dtype"] = str(rng.choice(["F64", "F16", "BF16", "C64", "X", ""]))
            elif change == 4:
                parsed[name], parsed[other] = parsed[other], entry
            else:
                parsed[name + "x"] = parsed.pop(name)
        return join(json.dumps(parsed, separators=(",", ":")).encode(), data)

    def _bomb(self, rng: np.random.Generator, content: bytes) -> bytes:
        """Return an oversized or endlessly nested header."""
        _, data = split(content)
        size = int(10 ** rng.uniform(1, 6))
        parts = [b"[", b'{"a":', b"[[],", b'{"a":{},', b" ", b'"', b"\xff", b"0", b"1,"]
        header = parts[rng.integers(len(parts))] * size
        if rng.random() < 0.5:
            header = b'{"__metadata__":{"skmlp_model":"' + header.replace(b'"', b"'")
            header += b'"}}'
        return join(header, data if rng.random() < 0.5 else b"")

    def _change_description(self, rng: np.random.Generator, content: bytes) -> bytes:
        """Change the description, or an array, and correct the checksum."""
        header, _ = split(content)
        entry = json.loads(header)["__metadata__"]["skmlp_model"]
        description = json.loads(entry.partition("\n")[2])
        arrays = safetensors.numpy.load(content)
        for _ in range(rng.integers(1, 3)):
            change_somewhere(rng, description)
        if rng.random() < 0.2:
            arrays.pop(str(rng.choice(sorted(arrays))))
        if rng.random() < 0.2:
            arrays["more"] = np.zeros(3)
        return container.seal_container(json.dumps(description), arrays)


def split(content: bytes) -> tuple[bytes, bytes]:
    """Return header and data of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length], content[8 + length :]


def join(header: bytes, data: bytes) -> bytes:
    """Return a safetensors file."""
    return struct.pack("<Q", len(header)) + header + data


def hostile_number(rng: np.random.Generator) -> int:
    """Return a number that is often large, sometimes negative."""
    number = HOSTILE_NUMBERS[rng.integers(len(HOSTILE_NUMBERS))]
    return -number if rng.random() < 0.1 else number


def change_somewhere(rng: np.random.Generator, root: Any) -> None:
    """Replace a random value in parsed JSON."""
    positions = list(walk(root))
    node, key = positions[rng.integers(len(positions))]
    node[key] = hostile_value(rng)
    if isinstance(node, dict) and rng.random() < 0.2:
        names = ["__class__", "predict", "net_", "\xe9", "x", "__reduce__", "requests"]
        names += ["_metadata_request", "memory", "versions", "_sklearn_output_config"]
        node[names[rng.integers(len(names))]] = 1


def walk(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every position in parsed JSON as a container and a key."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from walk(node[key])


def hostile_value(rng: np.random.Generator) -> Any:
    """Return JSON that a decoder must not trust."""
    nested: Any = []
    for _ in range(rng.integers(1, 900)):
        nested = [nested]
    size = int(10 ** rng.uniform(0, 5))
    values = [
        None,
        True,
        hostile_number(rng),
        10**400,
        -1.5,
        1e308,
        "",
        "x" * size,
        "\ud800",
        [],
        [[]] * size,
        [1] * size,
        [{}] * min(size, 3000),
        nested,
        {},
        {"float": "NaN"},
        {"float": [1]},
        {"tuple": [1] * size},
        {"tuple": "ab"},
        {"pairs": [[[], 1]]},
        {"pairs": [1]},
        {"dict": [1]},
        {"scalar": ["float32", 1e300]},
        {"scalar": ["uint8", 300]},
        {"scalar": ["O", 1]},
        {"scalar": [f"U{2**40}", "a"]},
        {"array": "../../etc/passwd"},
        {"array": "classes_"},
        {"text": "net.output.weight"},
        {"objects": [[2**40], []]},
        {"objects": [[-1], [1]]},
        {"device": "cuda:99"},
        {"device": "meta"},
        {"device": "/dev/null"},
        {"random_state": ["MT19937", {"array": "x"}, 10**6, 0, 0.0]},
        {"object": {"class": "os.system", "params": {}, "attributes": {}}},
        {"object": {"class": "builtins.eval", "params": {"x": "1"}, "attributes": {}}},
        {"object": {"class": "skmlp.Compose", "params": {}, "attributes": {"y": 1}}},
        {"object": {"class": "sklearn.Pipeline", "params": {}, "attributes": {}}},
        {"object": {"class": "sklearn.PCA", "params": {}, "attributes": {}}},
        {"function": "os.system"},
        {"function": ["sklearn.chi2"]},
        {"type": "os.system"},
        {"type": "numpy.float64"},
        {"dtype": f"str{2**40}"},
        {"dtype": "object"},
        {"dates": ["datetime64[D]", "classes_"]},
        {"dates": ["datetime64", 1]},
        {"transposed": "net.output.weight"},
        {"slice": [0, 2**62, 1]},
        {"slice": [[], {}, "x" * size]},
        {"path": "/etc/passwd"},
        {"__reduce__": ["os.system", ["true"]]},
        {"a": 1, "b": 2},
    ]
    return values[rng.integers(len(values))]


class IdxFiles(Fuzzed):
    """Files of `skmlp.datasets.read_idx`, plain and compressed."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        arrays = [
            rng.integers(256, size=(20, 28, 28)).astype(np.uint8),
            rng.normal(size=(30, 7)),
            np.arange(-9, 9, dtype=np.int16),
            np.array(3.0, dtype=np.float32),
            np.zeros((3, 0, 2), np.uint8),
        ]
        self.seeds = [idx_content(array) for array in arrays]
        self.seeds += [gzip.compress(content, mtime=0) for content in self.seeds]

    def mutate(self, rng: np.random.Generator) -> File:
        seed, content = self.pick(rng)
        kind = rng.integers(8)
        if kind < 5:
            return File(MUTATIONS[kind](rng, content), seed)
        if kind == 5 and content[:2] == b"\x1f\x8b":
            inner = MUTATIONS[rng.integers(5)](rng, gzip.decompress(content))
            return File(gzip.compress(inner, mtime=0), seed)
        n_dimensions = int(rng.choice([0, 1, 2, 3, 5, 31, 33, 255]))
        lengths = [
            HOSTILE_NUMBERS[rng.integers(9)].to_bytes(4, "big")
            for _ in range(n_dimensions)
        ]
        code = int(rng.choice([8, 9, 11, 12, 13, 14, 0, 255]))
        crafted = bytes([0, 0, code, n_dimensions]) + b"".join(lengths)
        crafted += bytes(int(10 ** rng.uniform(0, 6)))
        return File(gzip.compress(crafted, 9) if kind == 6 else crafted, seed)

    def read(self, path: Path, file: File) -> str | None:
        # The format has no checksum, so the array is compared with the file.
        again = idx_content(read_idx(path))
        content = decompress(file.content)
        return None if again == content else "the array is not what the file says"

    def allowed_bytes(self, file: File) -> int:
        return max(3 * len(decompress(file.content)), super().allowed_bytes(file))


def idx_content(array: np.ndarray) -> bytes:
    """Return the content of an IDX file."""
    stream = io.BytesIO()
    write_idx(stream, array)
    return stream.getvalue()


def decompress(content: bytes) -> bytes:
    """Return the content of a gzip file up to the first error."""
    if content[:2] != b"\x1f\x8b":
        return content
    whole = bytearray()
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            while chunk := stream.read(4096):
                whole += chunk
    except (OSError, EOFError, ValueError, struct.error):
        pass
    except Exception as error:  # zlib.error derives from Exception alone
        if type(error).__name__ != "error":
            raise
    return bytes(whole)


class CifarArchives(Fuzzed):
    """Archives of the reader of `skmlp.datasets.fetch_cifar10`."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        members = {}
        for name in BATCHES:
            records = rng.integers(256, size=(ROWS, 3073)).astype(np.uint8)
            records[:, 0] %= 10
            members[f"cifar-10-batches-bin/{name}"] = records.tobytes()
        formats = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
        self.tars = [make_tar(members, format) for format in formats]
        self.members = members
        self.seeds = [gzip.compress(tar, mtime=0) for tar in self.tars]

    def mutate(self, rng: np.random.Generator) -> File:
        seed, content = self.pick(rng)
        kind = rng.integers(10)
        if kind < 3:
            return File(MUTATIONS[rng.integers(5)](rng, content), seed)
        if kind < 6:
            tar = MUTATIONS[rng.integers(5)](rng, self.tars[seed])
        elif kind == 6:
            tar = rewrite_tar_header(rng, self.tars[seed])
        elif kind == 7:
            tar = bytes(int(10 ** rng.uniform(3, 7))) + self.tars[seed]
        else:
            tar = make_tar(self.members, tarfile.PAX_FORMAT, rng)
        return File(gzip.compress(tar, 1, mtime=0), seed)

    def read(self, path: Path, file: File) -> str | None:
        images, target = read_batches(path, BATCHES, ROWS, MAX_BYTES)
        if images.shape != (2 * ROWS, 32, 32, 3) or target.shape != (2 * ROWS,):
            return "the arrays have other shapes"
        return None

    def allowed_bytes(self, file: File) -> int:
        return max(3 * (len(file.content) + MAX_BYTES), FREE_BYTES)


def make_tar(
    members: dict[str, bytes], format: int, rng: np.random.Generator | None = None
) -> bytes:
    """Return an archive; with `rng`, its members have hostile names and types."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if rng is not None:
                make_hostile(rng, info)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return stream.getvalue()


def make_hostile(rng: np.random.Generator, info: tarfile.TarInfo) -> None:
    """Give a member a hostile name, type or headers."""
    folders = ["../../../../tmp", "/tmp", "..", "a" * 300, "C:\\windows", "."]
    info.name = f"{folders[rng.integers(len(folders))]}/{Path(info.name).name}"
    types = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE]
    types += [tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.REGTYPE]
    info.type = types[rng.integers(len(types))]
    info.linkname = "/etc/passwd"
    if rng.random() < 0.3:
        number = str(hostile_number(rng))
        keys = ["size", "GNU.sparse.size", "GNU.sparse.realsize", "path", "mtime"]
        keys += ["GNU.sparse.map", "GNU.sparse.numblocks", "hdrcharset", "linkpath"]
        info.pax_headers = {keys[rng.integers(len(keys))]: number}


def rewrite_tar_header(rng: np.random.Generator, tar: bytes) -> bytes:
    """Change fields of the first header, and correct its checksum."""
    block = bytearray(tar[:512])
    for _ in range(rng.integers(1, 4)):
        field = [(124, 12), (156, 1), (0, 100), (345, 155), (257, 8)][rng.integers(5)]
        at, size = field
        filler = [b"7" * size, b"\x80" + b"\xff" * size, b"\0" * size, rng.bytes(size)]
        filler += [b"gLKxXSDVM"[rng.integers(9) :][:1] * size]
        block[at : at + size] = filler[rng.integers(len(filler))][:size]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + tar[512:]


KINDS: dict[str, type[Fuzzed]] = {
    "model": ModelFiles,
    "idx": IdxFiles,
    "cifar": CifarArchives,
}


class AuditLog:
    """Records code, processes and written files that reading a file causes."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.is_recording = False
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if self.is_recording and (
            event in FORBIDDEN_EVENTS or (event == "open" and opens_for_writing(args))
        ):
            self.events.append(f"{event}{args!r:.300}")


def opens_for_writing(args: tuple[Any, ...]) -> bool:
    """Return whether an audited call of ``open`` opens a file for writing."""
    _, mode, flags = args
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class Tally:
    """Counts the outcomes of all files, and collects failures."""

    def __init__(self, fuzzed: Fuzzed) -> None:
        self.fuzzed = fuzzed
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        self.seconds = 0.0
        self.memory_ratio = 0.0  # largest memory, relative to the limit
        self.audit_log = AuditLog()

    def try_file(self, number: int, path: Path) -> None:
        """Make the mutated file with this number, read it, and record the outcome."""
        self.judge(str(number), path, self.fuzzed.mutate(np.random.default_rng(number)))

    def judge(self, label: str, path: Path, file: File) -> None:
        """Read a file, and record the outcome."""
        path.write_bytes(file.content)
        tracemalloc.start()
        self.audit_log.is_recording = True
        start = time.perf_counter()
        try:
            wrong = self.fuzzed.read(path, file)
            outcome = "read"
        except self.fuzzed.error as error:
            wrong, outcome = None, "refused"
            if str(path) not in str(error):
                wrong = f"the message does not name the file: {error}"
        except Exception as error:  # noqa: BLE001 - any other error is a failure
            wrong, outcome = f"{type(error).__name__}: {error}", "other"
        seconds = time.perf_counter() - start
        self.audit_log.is_recording = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        memory_ratio = peak / self.fuzzed.allowed_bytes(file)
        self.outcomes[outcome] += 1
        self.seconds, self.memory_ratio = (
            max(self.seconds, seconds),
            max(self.memory_ratio, memory_ratio),
        )
        if self.audit_log.events:
            wrong = f"it caused {self.audit_log.events}"
            self.audit_log.events = []
        if seconds > MAX_SECONDS:
            wrong = f"it took {seconds:.2f} s"
        if memory_ratio > 1:
            wrong = f"it took {peak} bytes, the file has {len(file.content)}"
        if wrong:
            self.failures.append(f"{label}: {wrong}")


def main() -> int:
    """Parse the arguments and try the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("n_files", type=int, nargs="?", default=10000)
    parser.add_argument("--only", type=int, help="number of the one file to try")
    args = parser.parse_args()
    warnings.simplefilter("error")
    tally = Tally(KINDS[args.kind]())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(args.n_files) if args.only is None else [args.only]
        for number in numbers:
            tally.try_file(number, Path(folder) / "file")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    outcomes = tally.outcomes
    print(
        f"{args.kind}: {sum(outcomes.values())} files, {outcomes['refused']} refused, "
        f"{outcomes['read']} read, {len(tally.failures)} failures; at most "
        f"{tally.seconds:.3f} s and {tally.memory_ratio:.2f} of the memory allowed; "
        f"resident memory grew by {grown / 1024:.0f} MiB"
    )
    print(*tally.failures[:20], sep="\n")
    return bool(tally.failures)


if __name__ == "__main__":
    sys.exit(main())
