import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import nn

from skmlp.neural_network import MLPClassifier
from skmlp.persistence._estimator_decoder import (
    MissingModuleError,
    decode_estimator,
)
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


def encode_and_decode(value):
    """Encode a value as a parameter of an estimator, and decode it."""
    description, arrays = encode_estimator(MLPClassifier(optimizer_params=value))
    return decode_estimator(description, arrays, "auto").optimizer_params


@settings(deadline=None, max_examples=300)
@given(values)
def test_values_survive_a_round_trip(same, value):
    assert same(encode_and_decode(value), value)


@given(values)
@settings(deadline=None)
def test_description_is_ascii_json(value):
    description, _ = encode_estimator(MLPClassifier(optimizer_params=value))
    assert description.isascii()
    json.loads(description, parse_constant=pytest.fail)


def test_byte_order_and_layout_do_not_change_the_numbers():
    given = np.arange(6.0).reshape(2, 3).astype(">f8")[:, ::-1].T
    back = encode_and_decode(given)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, given)


def test_decoded_arrays_are_writable():
    assert encode_and_decode(np.array(["a", "b"])).flags.writeable
    assert encode_and_decode(np.array([1, "b"], dtype=object)).flags.writeable


def describe(value):
    """Return a description in which a parameter is the JSON text `value`."""
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
def test_invalid_description_is_refused(value, message):
    arrays = {"net": np.zeros(3), "points": np.full((1, 2), 2**31, dtype=np.uint32)}
    with pytest.raises(ValueError, match=message):
        decode_estimator(describe(value), arrays, "auto")


@pytest.mark.parametrize("position", [-1, 625, 2**31])
def test_random_state_with_invalid_position_is_refused(position):
    words = {"words": np.zeros(624, dtype=np.uint32)}
    state = f'["MT19937",{{"array":"words"}},{position},0,0.0]'
    with pytest.raises(ValueError, match="out of its range"):
        decode_estimator(describe(f'{{"random_state":{state}}}'), words, "auto")


@pytest.mark.parametrize("text", ["1", "[]", "{}", '{"tuple":[]}', "null"])
def test_description_of_other_values_is_refused(text):
    with pytest.raises(ValueError, match="does not describe an estimator"):
        decode_estimator(text, {}, "auto")


def test_module_in_a_description_is_one_of_the_given_ones():
    description = (
        '{"object":{"class":"skmlp.TorchClassifier","attributes":{},"params":'
        '{"module":{"module":"Net"},"module__size":3}}}'
    )
    given = decode_estimator(description, {}, "auto", {"Net": nn.Identity})
    assert given.module is nn.Identity
    assert given.get_params()["module__size"] == 3
    with pytest.raises(MissingModuleError, match="Net"):
        decode_estimator(description, {}, "auto", {"Other": nn.Identity})
    with pytest.raises(ValueError, match="names no module"):
        decode_estimator(description.replace('"Net"', "[]"), {}, "auto")
