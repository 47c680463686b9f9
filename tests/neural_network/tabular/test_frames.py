"""Frames of all kinds go in as they are."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skmlp.neural_network._tabular.encoder import TableEncoder


def test_frames_of_polars_and_arrow_are_encoded_as_those_of_pandas(frame):
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    expected = TableEncoder().fit_transform(frame)
    for other in (polars.from_pandas(frame), pyarrow.Table.from_pandas(frame)):
        encoder = TableEncoder()
        assert_array_equal(encoder.fit_transform(other), expected)
        assert_array_equal(encoder.transform(frame), expected)


def test_nullable_dtypes_are_encoded_as_those_of_numpy(frame):
    expected = TableEncoder().fit_transform(frame)
    nullable = frame.convert_dtypes()
    assert_array_equal(TableEncoder().fit_transform(nullable), expected)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_predictions_do_not_depend_on_the_kind_of_frame(
    frame, labels, classifier, package
):
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    if package == "polars":
        other_frame = module.from_pandas(frame)
    else:
        other_frame = module.Table.from_pandas(frame, preserve_index=False)
    model = classifier().fit(frame, labels)
    other = classifier().fit(other_frame, labels)
    expected = model.predict_proba(frame)
    assert_array_equal(other.predict_proba(other_frame), expected)
    assert_array_equal(other.predict_proba(frame), expected)
    assert_array_equal(model.predict_proba(other_frame), expected)


def test_object_array_is_encoded_as_the_frame(frame):
    array = frame.to_numpy(dtype=object)
    expected = TableEncoder().fit_transform(frame)
    assert_array_equal(TableEncoder().fit_transform(array), expected)


def test_columns_have_the_documented_order(frame):
    encoder = TableEncoder().fit(frame)
    names = encoder.get_feature_names_out()
    assert_array_equal(
        names,
        [
            *("normal", "skewed", "count", "normal_missing"),
            *("color_blue", "color_green", "color_red", "color_None"),
            *("new_True", "size_small", "street"),
        ],
    )
    encoded = encoder.transform(frame)
    assert encoded.shape == (200, len(names))
    assert encoded.dtype == np.float32
    assert encoder.n_codes_ == [16]
    assert_array_equal(np.unique(encoded[:, -2]), [-1.0, 1.0])


def test_unseen_levels_and_gaps_are_encoded_as_unknown(frame):
    encoder = TableEncoder().fit(frame)
    names = list(encoder.get_feature_names_out())
    unseen = frame.head(1).assign(color="violet", street="nowhere", size="huge")
    encoded = dict(zip(names, encoder.transform(unseen)[0], strict=True))
    assert [encoded[f"color_{c}"] for c in ("red", "green", "blue", None)] == [0.0] * 4
    assert (encoded["street"], encoded["size_small"]) == (0.0, 0.0)


def test_gap_in_a_column_without_gaps_in_fit_is_the_median(frame):
    encoder = TableEncoder().fit(frame)
    with_gap = frame.head(1).assign(skewed=np.nan)
    median = frame.head(1).assign(skewed=frame["skewed"].median())
    assert_array_equal(encoder.transform(with_gap), encoder.transform(median))


def test_column_that_is_empty_in_predict_is_accepted(frame, labels, classifier):
    model = classifier().fit(frame, labels)
    empty = frame.assign(normal=np.nan, color=None)
    assert np.isfinite(model.predict_proba(empty)).all()


def test_one_row_is_predicted_as_in_the_frame(frame, labels, classifier):
    model = classifier().fit(frame, labels)
    np.testing.assert_allclose(
        model.predict_proba(frame.head(1)),
        model.predict_proba(frame)[:1],
        rtol=1e-5,
    )


def test_another_order_of_the_columns_raises(frame, labels, classifier):
    model = classifier().fit(frame, labels)
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[frame.columns[::-1]])


def test_text_in_a_column_of_numbers_raises(frame, labels, classifier):
    model = classifier().fit(frame, labels)
    with pytest.raises(ValueError, match="Column 'skewed' held numbers in fit"):
        model.predict(frame.assign(skewed="much"))


def test_texts_of_numbers_are_numbers_after_a_fit_with_numbers(frame):
    encoder = TableEncoder().fit(frame)
    texts = frame.assign(count=frame["count"].astype(str))
    assert_array_equal(encoder.transform(texts), encoder.transform(frame))


def test_dates_become_numbers_with_a_warning():
    dates = pd.date_range("2020-01-31", periods=40, freq="31h")
    frame = pd.DataFrame({"when": dates, "zone": dates.tz_localize("UTC")})
    encoder = TableEncoder()
    with pytest.warns(UserWarning, match=r"\['when', 'zone'\] hold dates"):
        encoder.fit(frame)
    names = encoder.get_feature_names_out()
    assert_array_equal(names[:3], ["when_month", "when_day", "when_day_of_week"])
    n = len(names) // 2
    assert_array_equal(encoder.medians_[:n], encoder.medians_[n:])
    gap = frame.head(1).assign(when=pd.NaT)
    assert np.isfinite(encoder.transform(gap)).all()


@pytest.mark.parametrize("given", [["count"], [2], np.arange(9) == 2])
def test_categories_may_be_chosen(frame, given):
    numbers = frame[["normal", "skewed", "count"]]
    chosen = given if not isinstance(given, np.ndarray) else given[:3]
    encoder = TableEncoder(categorical_features=chosen).fit(numbers)
    assert encoder.kinds_ == ["number", "number", "category"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["nothing"], "'nothing', which is no column"),
        ([30], "the columns of X are 0 to 8"),
        ([True], "has 1 entries, but X has 9 columns"),
    ],
)
def test_wrong_choice_of_categories_raises(frame, given, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder(categorical_features=given).fit(frame)


def test_infinite_number_raises(frame):
    with pytest.raises(ValueError, match=r"infinity .* in column 'skewed'"):
        TableEncoder().fit(frame.assign(skewed=np.inf))


def test_sparse_table_raises():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TableEncoder().fit(sparse.csr_matrix(np.eye(3)))


def test_rare_levels_of_many_count_as_unknown():
    levels = [f"level {i}" for i in range(20)] * 2 + [f"once {i}" for i in range(9)]
    encoder = TableEncoder().fit(pd.DataFrame({"level": levels}))
    assert len(encoder.levels_[0]) == 20
    assert (encoder.transform(pd.DataFrame({"level": levels}))[-9:] == 0).all()


def test_frame_is_not_changed(frame, labels, classifier):
    before = frame.copy()
    classifier().fit(frame, labels).predict(frame)
    pd.testing.assert_frame_equal(frame, before)
