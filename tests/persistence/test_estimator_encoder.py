import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from skmlp.neural_network import MLPClassifier
from skmlp.persistence._estimator_decoder import decode_estimator
from skmlp.persistence._estimator_encoder import encode_estimator
from skmlp.preprocessing import PixelScaler
from skmlp.storage.value_encoder import ARRAY_DTYPES

numeric_dtypes = st.sampled_from(sorted(ARRAY_DTYPES)).map(np.dtype)
shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
arrays = npst.arrays(numeric_dtypes, shapes)
texts = npst.arrays(npst.unicode_string_dtypes(endianness="=", max_len=5), shapes)
scalars = numeric_dtypes.flatmap(lambda dtype: npst.from_dtype(dtype))
plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
)
leaves = plain | scalars | arrays | texts | st.just(torch.device("cpu"))
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.dictionaries(st.integers() | st.text(max_size=1), inner, max_size=3)
        | npst.arrays(object, shapes, elements=plain)
    ),
    max_leaves=12,
)


def through_json(value):
    """Return `value` once it was a parameter of an estimator in a file."""
    description, arrays = encode_estimator(MLPClassifier(optimizer_params=value))
    return decode_estimator(description, arrays, "auto").optimizer_params


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape
        assert_same(a.ravel().tolist(), b.ravel().tolist())
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert repr(a) == repr(b)


@settings(deadline=None, max_examples=300)
@given(values)
def test_values_come_back_as_they_were(value):
    assert_same(through_json(value), value)


@given(values)
@settings(deadline=None)
def test_the_description_is_ascii_json(value):
    description, _ = encode_estimator(MLPClassifier(optimizer_params=value))
    assert description.isascii()
    json.loads(description, parse_constant=pytest.fail)


def test_other_byte_orders_and_layouts_hold_the_same_numbers():
    given = np.arange(6.0).reshape(2, 3).astype(">f8")[:, ::-1].T
    back = through_json(given)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, given)


def test_arrays_come_back_writable():
    assert through_json(np.array(["a", "b"])).flags.writeable
    assert through_json(np.array([1, "b"], dtype=object)).flags.writeable


def described(value):
    """Return a description in which a parameter is `value`, in JSON."""
    description, _ = encode_estimator(PixelScaler(pixel_max=12345))
    return description.replace("12345", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("NaN", "NaN is not JSON"),
        ("Infinity", "Infinity is not JSON"),
        ("{}", "no form of a value"),
        ('{"a":1,"b":2}', "no form of a value"),
        ('{"__reduce__":[]}', "'__reduce__' is no form"),
        ('{"scalar":["O",1]}', "no dtype of a scalar"),
        ('{"scalar":["float64","1"]}', "no dtype of a scalar"),
        ('{"objects":[[1000000000000],[]]}', "do not have the shape"),
        ('{"text":"net"}', "is no text"),
        ('{"array":"net"},"x":{"array":"net"}', "two values name its array 'net'"),
        ('{"text":"points"}', "beyond Unicode"),
        ('{"random_state":["MT19937",{"array":"net"},9,0,0.0]}', "out of its range"),
        ("1", "nothing names its array"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        (
            '{"object":{"class":"os.system","params":{},"attributes":{}}}',
            "names 'os.system', which is no class",
        ),
        (
            '{"object":{"class":"skmlp.PixelScaler","params":[],"attributes":{}}}',
            "has no names",
        ),
        (
            '{"object":{"class":"skmlp.PixelScaler","params":{},'
            '"attributes":{"transform":1}}}',
            "PixelScaler has no attribute 'transform'",
        ),
        (
            '{"object":{"class":"skmlp.PixelScaler","params":{},'
            '"attributes":{"__class__":1}}}',
            "PixelScaler has no attribute '__class__'",
        ),
    ],
)
def test_what_encode_would_not_write_is_refused(value, message):
    arrays = {"net": np.zeros(3), "points": np.full((1, 2), 2**31, dtype=np.uint32)}
    with pytest.raises(ValueError, match=message):
        decode_estimator(described(value), arrays, "auto")


@pytest.mark.parametrize("position", [-1, 625, 2**31])
def test_a_random_state_stays_within_its_words(position):
    words = {"words": np.zeros(624, dtype=np.uint32)}
    state = f'["MT19937",{{"array":"words"}},{position},0,0.0]'
    with pytest.raises(ValueError, match="out of its range"):
        decode_estimator(described(f'{{"random_state":{state}}}'), words, "auto")


@pytest.mark.parametrize("text", ["1", "[]", "{}", '{"tuple":[]}', "null"])
def test_what_is_no_estimator_is_refused(text):
    with pytest.raises(ValueError, match="does not describe an estimator"):
        decode_estimator(text, {}, "auto")
