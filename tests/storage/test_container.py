import contextlib
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from skmlp.neural_network import MLPClassifier
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.storage.container import _digest, opened, pack

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b.c": np.array(3, dtype=np.int64),
    "d": np.zeros((0, 4), dtype=np.uint16),
    "e": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_what_is_packed_is_read(path):
    path.write_bytes(pack('{"x": [1]}', ARRAYS))
    with opened(path) as (description, arrays):
        assert json.loads(description) == {"x": [1]}
        assert dict(arrays).keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_equal_content_makes_equal_files():
    backwards = dict(reversed(ARRAYS.items()))
    assert pack("{}", ARRAYS) == pack("{}", backwards)


def test_other_programs_can_read_the_arrays(path):
    path.write_bytes(pack("{}", ARRAYS))
    assert safetensors.numpy.load_file(path).keys() == ARRAYS.keys()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"[2,3]", b"[3,2]", 1),
        lambda content: content.replace(b'"a":', b'"f":'),
        lambda content: content.replace(b"sha256 ", b"sha256 0"),
        lambda content: content.replace(b"format 1", b"format 0"),
        lambda content: content[:-1] + b"\x01",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content.replace(b"skmlp_model", b"skmlp_modes"),
        lambda content: content.replace(b"\\n{}", b"\\n[]"),
        lambda content: content.replace(b"\\n{}", "\\né".encode()),
    ],
)
def test_every_part_is_under_the_checksum_or_checked(change, path):
    content = pack("{}", ARRAYS)
    changed = change(content)
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(ModelFileError, match="file"), opened(path):
        pass


def sealed(description, arrays=None):
    """Return a file as `pack` would write it, but not weighed."""
    arrays = arrays or {}
    line = f"format 1, skmlp 0.1.0, sha256 {_digest(1, description, arrays)}"
    return safetensors.numpy.save(arrays, {"skmlp_model": f"{line}\n{description}"})


def peak_of_loading(path):
    tracemalloc.start()
    with contextlib.suppress(ModelFileError):
        load_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("size", [1_000, 4_000, 40_000])
@pytest.mark.parametrize(
    "item",
    [
        "[]",
        "{}",
        "[[]]",
        '{"tuple":[]}',
        '{"float":"inf"}',
        '{"dict":{"abc":2.5}}',
        '{"scalar":["float64",1.5]}',
        '{"objects":[[1],[2.5]]}',
        "1.5",
        "123456",
        '"ab"',
        '"\\u1234\\u1234"',
    ],
)
@pytest.mark.parametrize("padded", [False, True])
def test_a_description_takes_no_more_than_three_times_its_file(
    item, size, padded, path
):
    value = "[" + ",".join([item] * size) + "]"
    params = f'{{"class":"skmlp.Compose","params":{{"transforms":{value}}}'
    description = f'{{"object":{params},"attributes":{{"y__":1,"class":2}}}}}}'
    content = pack(description, {}) if padded else sealed(description)
    path.write_bytes(content)
    assert peak_of_loading(path) <= max(3 * len(content), 1 << 20)


def test_a_description_out_of_proportion_is_refused_before_it_is_parsed(path):
    path.write_bytes(sealed("[" + "[]," * 300_000 + "1]"))
    with pytest.raises(ModelFileError, match="far more memory"):
        load_model(path)


def test_an_oversized_header_is_refused_unread(path):
    with path.open("wb") as stream:
        stream.write((1 << 26).to_bytes(8, "little"))
        stream.truncate(1 << 27)  # sparse
    with pytest.raises(ModelFileError, match="no safetensors file, or not a whole one"):
        load_model(path)


def test_a_long_history_loads(path):
    X = np.random.default_rng(0).normal(size=(2, 3))
    model = MLPClassifier((2,), max_iter=3000, n_iter_no_change=np.inf, solver="sgd")
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, [0, 1])
    save_model(model, path)
    loaded = load_model(path)
    assert len(loaded.history_) == 3000
    assert loaded.history_ == model.history_


def test_a_deep_network_loads(path):
    X = np.random.default_rng(0).normal(size=(3, 3))
    model = MLPClassifier((2,) * 100, random_state=0)
    model.partial_fit(X, [0, 1, 1], classes=[0, 1])
    save_model(model, path)
    assert (load_model(path).predict_proba(X) == model.predict_proba(X)).all()


def test_hidden_layers_without_arrays_are_not_built(path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = MLPClassifier((2,), solver="lbfgs", random_state=0).fit(X, X[:, 0] > 0)
    save_model(model, path)
    with opened(path) as (description, arrays):
        layers = '"hidden_layer_sizes":{"tuple":[' + ",".join(["2"] * 5000) + "]}"
        changed = description.replace('"hidden_layer_sizes":{"tuple":[2]}', layers)
        content = sealed(changed, dict(arrays))
    assert changed != description
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="5000 layers do not fit 4 arrays"):
        load_model(path)
    assert peak_of_loading(path) <= 1 << 20


def test_huge_layers_are_not_allocated(path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = MLPClassifier((2,), solver="lbfgs", random_state=0).fit(X, X[:, 0] > 0)
    save_model(model, path)
    with opened(path) as (description, arrays):
        huge = '"hidden_layer_sizes":{"tuple":[1000000000000]}'
        changed = description.replace('"hidden_layer_sizes":{"tuple":[2]}', huge)
        content = sealed(changed, dict(arrays))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"dense1|output"):
        load_model(path)
