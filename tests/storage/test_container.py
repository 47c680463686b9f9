import contextlib
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from skmlp.neural_network import MLPClassifier
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.storage.container import open_container, seal_container, serialize_container

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b.c": np.array(3, dtype=np.int64),
    "d": np.zeros((0, 4), dtype=np.uint16),
    "e": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_container_returns_description_and_arrays(path):
    path.write_bytes(serialize_container('{"x": [1]}', ARRAYS))
    with open_container(path) as (description, arrays):
        assert json.loads(description) == {"x": [1]}
        assert dict(arrays).keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_equal_content_makes_equal_files():
    backwards = dict(reversed(ARRAYS.items()))
    assert serialize_container("{}", ARRAYS) == serialize_container("{}", backwards)


def test_safetensors_can_read_the_arrays(path):
    path.write_bytes(serialize_container("{}", ARRAYS))
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
def test_change_of_any_part_is_detected(change, path):
    content = serialize_container("{}", ARRAYS)
    changed = change(content)
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(ModelFileError, match="file"), open_container(path):
        pass


def peak_memory_of_loading(path):
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
def test_description_takes_at_most_three_times_the_file_size(item, size, padded, path):
    value = "[" + ",".join([item] * size) + "]"
    params = f'{{"class":"skmlp.Compose","params":{{"transforms":{value}}}'
    description = f'{{"object":{params},"attributes":{{"y__":1,"class":2}}}}}}'
    content = (
        serialize_container(description, {})
        if padded
        else seal_container(description, {})
    )
    path.write_bytes(content)
    assert peak_memory_of_loading(path) <= max(3 * len(content), 1 << 20)


TEXT = "a" * 2**19


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT + r"\u0411",
        TEXT + r"\ud83d\ude00",
        TEXT + r"\uD83D\uDE00",
        TEXT + r"\u0411\ud83d\ude00",
        r"\ud83d\ude00" + TEXT,
        r"\\\"\\\\" + TEXT + r"\ud83d\ude00\\",
        TEXT + r"\\ud83d",
        r"\ud83d\ude00" * (len(TEXT) // 12),
        TEXT + r'\ud83d\ude00","' + TEXT + r"\u0411",
    ],
)
@pytest.mark.parametrize("padded", [False, True])
def test_wide_text_takes_at_most_three_times_the_file_size(text, padded, path):
    described = f'{{"object":{{"class":"skmlp.Compose","params":{{"x":["{text}"]}}}}}}'
    content = (serialize_container if padded else seal_container)(described, {})
    path.write_bytes(content)
    assert peak_memory_of_loading(path) <= max(3 * len(content), 1 << 20)
    is_wide = r"\u" in text
    with pytest.raises(ModelFileError) as refused:
        load_model(path)
    assert ("far more memory" in str(refused.value)) == (is_wide and not padded)


@pytest.mark.parametrize("backslashes", ["\\", "\\" * 3])
def test_wide_characters_in_the_header_are_refused_before_parsing(backslashes, path):
    content = seal_container(f'["{TEXT}"]', {})
    escape = f"{backslashes}ud83d{chr(92)}ude00".encode()
    path.write_bytes(content.replace(b"a" * len(escape), escape, 1))
    with pytest.raises(ModelFileError, match="header is not ASCII"):
        load_model(path)
    assert peak_memory_of_loading(path) <= 3 * len(content)


def test_file_with_wide_text_loads(path):
    text = 3 * TEXT + "\U0001f600 \u0411 \\ud83d \\\\ud83d C:\\users"
    save_model(MLPClassifier(loss=text), path)
    assert load_model(path).loss == text
    assert peak_memory_of_loading(path) <= 3 * path.stat().st_size


def test_description_that_is_too_long_to_be_read_is_refused(path):
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="at most 33554432 can be read"):
        save_model(MLPClassifier(loss=9 * TEXT + "\U0001f600"), path)
    assert path.read_bytes() == b"before"


def test_expensive_description_is_refused_before_parsing(path):
    path.write_bytes(seal_container("[" + "[]," * 300_000 + "1]", {}))
    with pytest.raises(ModelFileError, match="far more memory"):
        load_model(path)


def test_oversized_header_is_refused_before_reading(path):
    with path.open("wb") as stream:
        stream.write((1 << 26).to_bytes(8, "little"))
        stream.truncate(1 << 27)  # sparse
    with pytest.raises(ModelFileError, match="no safetensors file, or not a whole one"):
        load_model(path)


def test_model_with_long_history_loads(path):
    X = np.random.default_rng(0).normal(size=(2, 3))
    model = MLPClassifier((2,), max_iter=3000, n_iter_no_change=np.inf, solver="sgd")
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, [0, 1])
    save_model(model, path)
    loaded = load_model(path)
    assert len(loaded.history_) == 3000
    assert loaded.history_ == model.history_


def test_deep_network_loads(path):
    X = np.random.default_rng(0).normal(size=(3, 3))
    model = MLPClassifier((2,) * 100, random_state=0)
    model.partial_fit(X, [0, 1, 1], classes=[0, 1])
    save_model(model, path)
    assert (load_model(path).predict_proba(X) == model.predict_proba(X)).all()


def test_hidden_layers_without_arrays_are_refused(path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = MLPClassifier((2,), solver="lbfgs", random_state=0).fit(X, X[:, 0] > 0)
    save_model(model, path)
    with open_container(path) as (description, arrays):
        layers = '"hidden_layer_sizes":{"tuple":[' + ",".join(["2"] * 5000) + "]}"
        changed = description.replace('"hidden_layer_sizes":{"tuple":[2]}', layers)
        content = seal_container(changed, dict(arrays))
    assert changed != description
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="5000 layers do not fit 4 arrays"):
        load_model(path)
    assert peak_memory_of_loading(path) <= 1 << 20


def test_huge_layers_without_arrays_are_refused(path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = MLPClassifier((2,), solver="lbfgs", random_state=0).fit(X, X[:, 0] > 0)
    save_model(model, path)
    with open_container(path) as (description, arrays):
        huge = '"hidden_layer_sizes":{"tuple":[1000000000000]}'
        changed = description.replace('"hidden_layer_sizes":{"tuple":[2]}', huge)
        content = seal_container(changed, dict(arrays))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"dense1|output"):
        load_model(path)
