import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

from skmlp.preprocessing import PixelStandardizer

SHAPES = [(30, 12), (30, 3, 4), (30, 2, 2, 3)]
SCOPES = ["feature", "channel", "global", "image"]


def axes_sharing_a_mean(scope, ndim):
    """Return the axes over which NumPy reduces for the moments of a scope."""
    if scope == "feature":
        return (0,)
    if scope == "image":
        return tuple(range(1, ndim))
    return (0, 1, 2) if scope == "channel" and ndim == 4 else tuple(range(ndim))


@pytest.mark.parametrize("with_std", [True, False])
@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_of_one_scope_get_zero_mean_and_unit_variance(
    shape, scope, with_mean, with_std
):
    X = np.random.RandomState(0).randint(0, 256, shape).astype(np.float64)
    axes = axes_sharing_a_mean(scope, X.ndim)
    mean, std = X.mean(axes, keepdims=True), X.std(axes, keepdims=True)
    expected = (X - mean if with_mean else X) / (std if with_std else 1)
    transformer = PixelStandardizer(scope=scope, with_mean=with_mean, with_std=with_std)
    Z = transformer.fit_transform(X)
    np.testing.assert_allclose(Z, expected, rtol=1e-12, atol=1e-12)
    if scope != "image":
        back = transformer.inverse_transform(Z)
        np.testing.assert_allclose(back, X, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(
    ("scope", "shapes"),
    [
        ("feature", [(12,), (3, 4), (2, 2, 3)]),
        ("channel", [(1,), (1,), (3,)]),
        ("global", [(), (), ()]),
    ],
)
def test_moments_have_the_shape_of_their_scope(scope, shapes):
    for shape, expected in zip(SHAPES, shapes, strict=True):
        X = np.random.RandomState(0).randint(0, 256, shape)
        fitted = PixelStandardizer(scope=scope).fit(X)
        for moments in (fitted.mean_, fitted.var_, fitted.scale_):
            assert moments.shape == expected
            assert moments.dtype == np.float64


def test_feature_scope_equals_standard_scaler():
    X = np.random.RandomState(0).randint(0, 256, (5000, 300)).astype(np.uint8)
    ours, theirs = PixelStandardizer().fit(X), StandardScaler().fit(X)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-13)
    np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-12)
    assert ours.n_samples_seen_ == theirs.n_samples_seen_


@pytest.mark.parametrize("scope", ["feature", "channel", "global"])
@given(data=st.data())
def test_partial_fit_of_batches_equals_one_fit(scope, data):
    X = data.draw(
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(2, 12), st.just(2), st.just(1), st.just(3)),
            elements=st.floats(-255, 255, width=32),
        )
    )
    cuts = data.draw(st.sets(st.integers(1, len(X) - 1), max_size=4))
    streamed = PixelStandardizer(scope=scope)
    for batch in np.split(X, sorted(cuts)):
        streamed.partial_fit(batch)
    whole = PixelStandardizer(scope=scope).fit(X)
    assert streamed.n_samples_seen_ == whole.n_samples_seen_ == len(X)
    np.testing.assert_allclose(streamed.mean_, whole.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(streamed.var_, whole.var_, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize("scope", ["feature", "channel", "global"])
def test_small_variance_at_a_large_mean_is_accurate(scope):
    rng = np.random.RandomState(0)
    spread = rng.randn(40_000, 2, 2, 3)
    X = spread + 1e8
    exact = (X - 1e8).var(axes_sharing_a_mean(scope, 4))
    streamed = PixelStandardizer(scope=scope)
    for batch in np.array_split(X, 100):
        streamed.partial_fit(batch)
    for fitted in (streamed, PixelStandardizer(scope=scope).fit(X)):
        np.testing.assert_allclose(fitted.var_, exact, rtol=1e-6)


@given(
    value=st.floats(-1e30, 1e30),
    dtype=st.sampled_from([np.float32, np.float64]),
    n_samples=st.integers(1, 50),
)
@pytest.mark.parametrize("scope", SCOPES)
def test_constant_pixels_become_zero(scope, value, dtype, n_samples):
    X = np.full((n_samples, 2, 2, 3), value, dtype=dtype)
    Z = PixelStandardizer(scope=scope).fit_transform(X)
    np.testing.assert_array_equal(Z, np.zeros_like(X))
    fitted = PixelStandardizer(scope=scope).partial_fit(X).partial_fit(X)
    if scope != "image":
        np.testing.assert_array_equal(fitted.scale_, 1.0)


def test_constant_pixel_is_centered_and_not_scaled():
    X = np.array([[7, 0], [7, 2]], dtype=np.uint8)
    np.testing.assert_array_equal(
        PixelStandardizer().fit_transform(X), np.float32([[0, -1], [0, 1]])
    )


def test_subnormal_variance_does_not_divide_by_zero():
    X = np.array([[0], [1e-45]], dtype=np.float32)
    assert np.isfinite(PixelStandardizer().fit_transform(X)).all()


@pytest.mark.parametrize("scope", SCOPES)
def test_overflow_of_the_variance_is_refused(scope):
    X = np.array([[1e300, -1e300], [-1e300, 1e300]])
    with pytest.raises(ValueError, match="The variance of X overflows float64"):
        PixelStandardizer(scope=scope).fit_transform(X)


def test_fit_discards_earlier_batches():
    X = np.random.RandomState(0).randint(0, 256, (20, 4))
    refitted = PixelStandardizer().partial_fit(X + 100).fit(X)
    assert refitted.n_samples_seen_ == 20
    np.testing.assert_array_equal(refitted.mean_, PixelStandardizer().fit(X).mean_)


def test_partial_fit_refuses_another_scope_or_shape():
    standardizer = PixelStandardizer(scope="global").fit(np.eye(4))
    with pytest.raises(ValueError, match="X has 3 features"):
        standardizer.partial_fit(np.eye(3))
    standardizer.set_params(scope="feature")
    with pytest.raises(
        ValueError, match=r"scope='feature' differs from scope='global'"
    ):
        standardizer.partial_fit(np.eye(4))
    assert standardizer.fit(np.eye(4)).mean_.shape == (4,)


def test_image_scope_stores_no_moments_and_has_no_inverse():
    standardizer = PixelStandardizer(scope="image").fit(np.eye(4))
    assert standardizer.mean_ is None
    assert standardizer.var_ is None
    assert standardizer.scale_ is None
    assert standardizer.partial_fit(np.eye(4)).n_samples_seen_ == 8
    with pytest.raises(AttributeError, match="inverse_transform") as raised:
        standardizer.inverse_transform(np.eye(4))
    assert "use scope='feature'" in str(raised.value.__cause__)


def test_float32_results_are_close_to_float64():
    X = np.random.RandomState(0).randint(0, 256, (500, 8, 8, 3)).astype(np.uint8)
    for scope in SCOPES:
        Z = PixelStandardizer(scope=scope).fit_transform(X)
        Z64 = PixelStandardizer(scope=scope).fit_transform(X.astype(np.float64))
        np.testing.assert_allclose(Z, Z64, atol=1e-5)


def test_memory_map_larger_than_a_block_is_accepted(tmp_path):
    path = tmp_path / "images.npy"
    X = np.random.RandomState(0).randint(0, 256, (2000, 16, 16)).astype(np.uint8)
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(
        PixelStandardizer().fit(mapped).mean_, PixelStandardizer().fit(X).mean_
    )
