import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.pipeline import make_pipeline

from skmlp.preprocessing import PixelScaler, PixelStandardizer

ALL_BYTES = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.fixture(params=[PixelScaler, PixelStandardizer])
def transformer(request):
    return request.param()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_default_scaler_divides_by_255(dtype):
    X = ALL_BYTES.astype(dtype)
    expected = X.astype(np.float64 if dtype is np.float64 else np.float32) / 255
    np.testing.assert_array_equal(PixelScaler().fit_transform(X), expected, strict=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_symmetric_range_divides_by_127_5_and_subtracts_1(dtype):
    X = ALL_BYTES.astype(dtype)
    expected = X.astype(np.float64 if dtype is np.float64 else np.float32) / 127.5 - 1
    scaled = PixelScaler(feature_range=(-1, 1)).fit_transform(X)
    np.testing.assert_array_equal(scaled, expected, strict=True)


@given(
    X=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.integers(0, 127),
    ),
    low=st.integers(-10, 9),
    width=st.integers(1, 10),
    pixel_max=st.sampled_from([1, 15, 255, 65535]),
)
def test_scaler_follows_its_formula_and_its_inverse(X, low, width, pixel_max):
    scaler = PixelScaler(pixel_max=pixel_max, feature_range=(low, low + width))
    scaled = scaler.fit_transform(X)
    expected = X.astype(np.float64) * width / pixel_max + low
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-5)
    assert scaled.shape == X.shape
    recovered = scaler.inverse_transform(scaled)
    assert recovered.dtype == scaled.dtype
    # The offset costs precision: an ulp of low is pixel_max / width pixels.
    ulp = np.finfo(scaled.dtype).eps * (abs(scaled).max() + abs(low) + 1)
    np.testing.assert_allclose(recovered, X, atol=4 * ulp * pixel_max / width)


def test_bytes_survive_a_round_trip():
    scaler = PixelScaler(feature_range=(-1, 1)).fit(ALL_BYTES)
    back = np.rint(scaler.inverse_transform(scaler.transform(ALL_BYTES)))
    np.testing.assert_array_equal(back.astype(np.uint8), ALL_BYTES)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.bool_, np.float32),
        (np.uint8, np.float32),
        (np.int8, np.float32),
        (np.uint16, np.float32),
        (np.int64, np.float32),
        (np.uint64, np.float32),
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (object, np.float64),
    ],
)
def test_float64_stays_and_other_dtypes_become_float32(transformer, dtype, expected):
    X = np.array([[0, 1], [1, 0]]).astype(dtype)
    transformed = transformer.fit_transform(X)
    assert transformed.dtype == expected
    inverted = transformer.inverse_transform(transformed)
    assert inverted.dtype == expected
    np.testing.assert_allclose(inverted, X.astype(float), atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 12), (5, 3, 4), (5, 2, 2, 3)])
def test_scaler_works_without_fit(shape):
    X = np.full(shape, 255, dtype=np.uint8)
    np.testing.assert_array_equal(PixelScaler().transform(X), np.ones(shape))
    np.testing.assert_array_equal(PixelScaler().inverse_transform(np.ones(shape)), X)


def test_input_is_not_changed():
    X = ALL_BYTES.astype(np.float32)
    X.flags.writeable = False
    scaler = PixelScaler(feature_range=(-1, 1))
    scaled = scaler.fit_transform(X)
    scaled.flags.writeable = False
    scaler.inverse_transform(scaled)
    np.testing.assert_array_equal(X, ALL_BYTES)


def test_large_and_non_contiguous_input_is_scaled():
    X = np.random.RandomState(0).randint(0, 256, (700, 1000)).astype(np.uint8)
    expected = X.astype(np.float32) / 255
    for view, scaled in [(X, expected), (np.asfortranarray(X), expected)]:
        np.testing.assert_array_equal(PixelScaler().transform(view), scaled)
    np.testing.assert_array_equal(
        PixelScaler().transform(X[::-2, ::3]), expected[::-2, ::3]
    )


@pytest.mark.parametrize("pixel_max", [0, -1, np.nan, np.inf])
def test_pixel_max_must_be_positive_and_finite(pixel_max):
    for call in ("fit", "transform", "inverse_transform"):
        with pytest.raises(
            ValueError, match="The 'pixel_max' parameter of PixelScaler"
        ):
            getattr(PixelScaler(pixel_max=pixel_max), call)(ALL_BYTES)


@pytest.mark.parametrize(
    "feature_range", [(1, 0), (0, 0), (0,), (0, 1, 2), (0, np.nan), (-np.inf, 0), "ab"]
)
def test_feature_range_must_be_two_increasing_numbers(feature_range):
    for call in ("fit", "transform", "inverse_transform"):
        with pytest.raises(ValueError, match="feature_range"):
            getattr(PixelScaler(feature_range=feature_range), call)(ALL_BYTES)


class TestInputOfBothTransformers:
    def test_one_dimension_is_refused_with_scikit_learns_message(self, transformer):
        with pytest.raises(ValueError, match="Reshape your data"):
            transformer.fit([1.0, 2.0])

    def test_five_dimensions_are_refused(self, transformer):
        with pytest.raises(ValueError, match=r"X has shape \(1, 1, 1, 1, 1\), but"):
            transformer.fit(np.zeros((1, 1, 1, 1, 1)))

    @pytest.mark.parametrize("shape", [(0, 3), (0, 2, 2), (0, 2, 2, 3)])
    def test_empty_input_is_refused(self, transformer, shape):
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            transformer.fit(np.zeros(shape, dtype=np.uint8))

    @pytest.mark.parametrize("shape", [(3, 0), (3, 0, 2), (3, 2, 2, 0)])
    def test_samples_without_pixels_are_refused(self, transformer, shape):
        with pytest.raises(ValueError, match=r"0 feature\(s\)"):
            transformer.fit(np.zeros(shape, dtype=np.uint8))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("shape", [(2, 4), (2, 2, 2)])
    def test_non_finite_values_are_refused(self, transformer, value, shape):
        X = np.zeros(shape)
        transformer.fit(X)
        X.flat[3] = value
        for method in (transformer.fit, transformer.transform):
            with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
                method(X)

    def test_sparse_and_complex_input_is_refused(self, transformer):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            transformer.fit(sparse.csr_array(np.eye(3)))
        with pytest.raises(ValueError, match="Complex data not supported"):
            transformer.fit(np.eye(3, dtype=complex))

    def test_samples_of_another_shape_than_in_fit_are_refused(self, transformer):
        transformer.fit(np.zeros((3, 2, 4)))
        for other in [(3, 4, 2), (3, 8), (3, 2, 4, 1)]:
            with pytest.raises(
                ValueError, match=r"expecting samples of shape \(2, 4\)"
            ):
                transformer.transform(np.zeros(other))
        with pytest.raises(ValueError, match=r"a single image is X\[None\]"):
            transformer.transform(np.zeros((2, 4)))
        transformer.fit(np.zeros((3, 4)))
        with pytest.raises(ValueError, match=r"X has 5 features, but .* expecting 4"):
            transformer.transform(np.zeros((3, 5)))

    def test_n_features_in_counts_the_values_of_a_sample(self, transformer):
        transformer.fit(np.zeros((3, 2, 4, 3)))
        assert transformer.n_features_in_ == 24
        assert transformer.feature_shape_ == (2, 4, 3)

    def test_fit_on_images_removes_column_names(self, transformer):
        transformer.fit(pd.DataFrame(np.eye(2), columns=["a", "b"]))
        assert list(transformer.get_feature_names_out()) == ["a", "b"]
        transformer.fit(np.zeros((3, 2, 4)))
        assert not hasattr(transformer, "feature_names_in_")

    def test_images_have_no_feature_names_and_stay_arrays(self, transformer):
        images = np.zeros((3, 2, 4), dtype=np.uint8)
        with sklearn.config_context(transform_output="pandas"):
            assert isinstance(transformer.fit_transform(images), np.ndarray)
            assert isinstance(make_pipeline(transformer).transform(images), np.ndarray)
            assert isinstance(transformer.fit_transform(images[0]), pd.DataFrame)
        transformer.fit(images)
        with pytest.raises(AttributeError, match="get_feature_names_out") as raised:
            transformer.get_feature_names_out()
        assert "reshape X to (n_samples, n_features)" in str(raised.value.__cause__)

    def test_set_output_keeps_index_and_columns_of_a_frame(self, transformer):
        X = pd.DataFrame({"a": [1, 2], "b": [3, 5]}, index=["r", "s"], dtype="uint8")
        out = transformer.set_output(transform="pandas").fit_transform(X)
        assert list(out.columns) == ["a", "b"]
        assert list(out.index) == ["r", "s"]
        assert (out.dtypes == np.float32).all()

    def test_pickled_transformer_gives_equal_bits(self, transformer):
        X = ALL_BYTES.reshape(4, 8, 8)
        transformer.fit(X)
        copy = pickle.loads(pickle.dumps(transformer))
        np.testing.assert_array_equal(copy.transform(X), transformer.transform(X))
