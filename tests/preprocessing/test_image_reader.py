"""An ImageReader turns paths into pixels, alone and in a Pipeline."""

import copy
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags

from skmlp.datasets import load_images
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, SoftmaxRegression
from skmlp.persistence import load_model, save_model
from skmlp.preprocessing import ImageReader, PixelScaler, PixelStandardizer


@pytest.fixture
def photos(tmp_path):
    """Twenty dark and bright pictures of 6 x 8 pixels, by number."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(20):
        low = 160 if i % 2 else 0
        pixels = rng.integers(low, low + 90, (6, 8, 3), np.uint8)
        paths.append(tmp_path / f"{i:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture
def names(photos):
    return np.array(["day" if i % 2 else "night" for i in range(len(photos))])


def make_model():
    network = CNNClassifier((4,), hidden_layer_sizes=(), max_iter=15, random_state=0)
    return make_pipeline(
        ImageReader((4, 4)), PixelScaler(), network.set_params(learning_rate_init=0.05)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pipeline_from_paths_to_labels_is_saved_and_predicts(photos, names, tmp_path):
    model = make_model().fit(photos[:14], names[:14])
    assert model.score(photos[14:], names[14:]) == 1
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.predict([str(photos[15])]).tolist() == ["day"]
    np.testing.assert_array_equal(
        loaded.predict_proba(photos), model.predict_proba(photos)
    )
    assert str(tmp_path).encode() not in (tmp_path / "model.safetensors").read_bytes()


@pytest.mark.parametrize("image_size", [None, (3, 5)])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale"])
def test_images_equal_those_of_load_images(image_size, color_mode, photos):
    expected = load_images(photos, image_size=image_size, color_mode=color_mode)
    reader = ImageReader(image_size, color_mode=color_mode)
    images = reader.fit_transform(photos)
    np.testing.assert_array_equal(images, expected.images)
    assert images.dtype == np.uint8
    assert reader.image_shape_ == images.shape[1:]
    flat = ImageReader(image_size, color_mode=color_mode, flatten=True, n_jobs=2)
    np.testing.assert_array_equal(flat.fit_transform(photos), expected.data)
    assert flat.get_feature_names_out().tolist() == expected.feature_names


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.array,
        lambda paths: [os.fspath(path) for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array([[str(path)] for path in paths], dtype=object),
        pd.Series,
        lambda paths: pd.Series([str(path) for path in paths], dtype="string"),
        lambda paths: pd.Series([str(p) for p in paths]).astype("category"),
        lambda paths: pd.DataFrame({"file": paths}),
    ],
)
def test_paths_may_be_any_column(convert, photos):
    reader = ImageReader((2, 2))
    np.testing.assert_array_equal(
        reader.fit_transform(convert(photos)), reader.transform(photos)
    )


def test_column_transformer_passes_a_column_of_paths(photos):
    table = pd.DataFrame({"file": photos, "age": np.arange(20.0)})
    for columns in ("file", ["file"]):
        columns = make_column_transformer(
            (ImageReader((2, 2), flatten=True), columns), ("passthrough", ["age"])
        )
        assert columns.fit_transform(table).shape == (20, 13)


@pytest.mark.parametrize(
    ("make_bad", "reason"),
    [
        (lambda folder: folder / "absent.png", r"absent\.png .* does not exist"),
        (lambda folder: folder, r"cannot be read as an image: it is a folder"),
        (lambda folder: 3, r"X\[20\] is 3, which is no path"),
        (lambda folder: np.nan, r"X\[20\] is nan, which is no path"),
        (lambda folder: None, r"X\[20\] is None, which is no path"),
    ],
)
def test_bad_path_is_named_before_training(make_bad, reason, photos, names, tmp_path):
    given = [*photos, make_bad(tmp_path)]
    for call in (
        lambda: make_model().fit(given, [*names, "day"]),
        lambda: ImageReader((2, 2)).transform(given),
    ):
        with pytest.raises(ValueError, match=reason) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX systems have pipes")
def test_pipe_is_not_opened(photos, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png cannot .* no regular file"):
        ImageReader((2, 2)).fit([*photos, tmp_path / "pipe.png"])


def test_broken_file_is_named(photos):
    photos[3].write_bytes(photos[3].read_bytes()[:60])
    with pytest.raises(ValueError, match=r"03\.png cannot be read as an image"):
        ImageReader((2, 2)).fit_transform(photos)


@pytest.mark.parametrize(
    ("X", "reason"),
    [
        ("a.png", "X='a.png' is a single path; give a list"),
        (Path("a.png"), "is a single path; give a list"),
        ([], r"0 sample\(s\): X has no paths"),
        (np.zeros((2, 4, 4)), r"got ndarray of shape \(2, 4, 4\)"),
        ({"a.png"}, r"got set of shape \(\)"),
        (None, r"got NoneType"),
    ],
)
def test_other_input_than_a_list_of_paths_is_refused(X, reason):
    with pytest.raises(ValueError, match=reason):
        ImageReader((2, 2)).fit(X)


@pytest.mark.parametrize(
    "given",
    [
        {"image_size": 32},
        {"image_size": (0, 4)},
        {"image_size": (2.0, 4)},
        {"image_size": (True, 4)},
        {"image_size": (10**5, 10**5)},
        {"color_mode": "grey"},
        {"resize_mode": "squeeze"},
        {"flatten": 1.5},
        {"n_jobs": "all"},
    ],
)
def test_invalid_parameter_is_named(given, photos):
    with pytest.raises(ValueError, match=next(iter(given))):
        ImageReader(**given).fit(photos)
    with pytest.raises(ValueError, match=next(iter(given))):
        ImageReader(**given).transform(photos)


def test_without_image_size_fit_decides_the_size(photos, tmp_path):
    reader = ImageReader()
    with pytest.raises(NotFittedError):
        reader.transform(photos)
    reader.fit(photos)
    assert reader.image_shape_ == (6, 8, 3)
    Image.new("L", (3, 3)).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match=r"small.png has shape \(3, 3, 3\).*image_siz"):
        reader.transform([tmp_path / "small.png"])
    with pytest.raises(ValueError, match="color_mode='grayscale' was set after fit"):
        reader.set_params(color_mode="grayscale").transform(photos)


def test_set_output_needs_flat_samples(photos):
    reader = ImageReader((2, 2), color_mode="grayscale", flatten=True)
    frame = reader.set_output(transform="pandas").fit_transform(photos)
    assert list(frame) == ["pixel_0_0", "pixel_0_1", "pixel_1_0", "pixel_1_1"]
    assert (frame.dtypes == np.uint8).all()
    table = pd.DataFrame({"file": photos}, index=range(100, 120))
    assert list(reader.transform(table).index) == list(range(100, 120))
    images = ImageReader((2, 2))
    assert not hasattr(images, "set_output")
    with pytest.raises(AttributeError, match="get_feature_names_out") as caught:
        images.get_feature_names_out()
    assert "flatten=True" in str(caught.value.__cause__)
    with config_context(transform_output="pandas"):
        assert isinstance(images.fit_transform(photos), np.ndarray)


def test_flat_images_go_into_estimators_of_scikit_learn(photos, names):
    model = make_pipeline(
        ImageReader((4, 4), flatten=True), PixelStandardizer(), LogisticRegression()
    )
    assert (cross_val_predict(model, photos, names, cv=4) == names).all()


def test_packed_search_chooses_image_sizes_and_rates(photos, names):
    network = SoftmaxRegression(max_iter=20, tol=0.1, random_state=0)
    model = make_pipeline(ImageReader((4, 4)), PixelScaler(), network)
    grid = {
        "imagereader__image_size": [(2, 2), (4, 4)],
        "softmaxregression__learning_rate_init": [0.001, 0.1],
    }
    with warnings.catch_warnings(action="ignore"):
        packed = PackedGridSearchCV(model, grid, cv=2).fit(photos, names)
        one_by_one = GridSearchCV(model, grid, cv=2).fit(photos, names)
    np.testing.assert_allclose(
        packed.cv_results_["mean_test_score"], one_by_one.cv_results_["mean_test_score"]
    )
    assert packed.predict(photos[1:2]) == ["day"]


@pytest.mark.parametrize("copy_of", [clone, copy.deepcopy])
def test_copies_have_the_same_parameters(copy_of, photos):
    reader = ImageReader((2, 3), color_mode="grayscale", resize_mode="crop", n_jobs=2)
    copied = copy_of(reader)
    assert copied.get_params() == reader.get_params()
    assert repr(copied) == repr(reader)
    np.testing.assert_array_equal(copied.transform(photos), reader.transform(photos))


def test_pickled_reader_knows_the_size(photos):
    reader = pickle.loads(pickle.dumps(ImageReader().fit(photos)))
    assert reader.transform(photos[:2]).shape == (2, 6, 8, 3)


def test_saved_reader_knows_parameters_and_size(photos, tmp_path):
    for reader in (
        ImageReader().fit(photos),
        ImageReader((2, 3), color_mode="grayscale", resize_mode="pad", flatten=True),
    ):
        save_model(reader, tmp_path / "reader.safetensors")
        loaded = load_model(tmp_path / "reader.safetensors")
        assert loaded.get_params() == reader.get_params()
        np.testing.assert_array_equal(
            loaded.transform(photos), reader.transform(photos)
        )


def test_read_only_arrays_of_paths_are_accepted(photos):
    paths = np.array([str(path) for path in photos])
    paths.flags.writeable = False
    assert len(ImageReader((2, 2)).fit_transform(paths)) == 20


def test_tags_say_that_samples_are_strings():
    tags = get_tags(ImageReader((2, 2)))
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.requires_fit
    assert get_tags(ImageReader()).requires_fit


@pytest.mark.sklearn_checks
def test_check_estimator_has_no_data_for_strings():
    # scikit-learn's checks generate arrays of numbers. As for its own vectorizers of
    # text, check_estimator runs the checks without data, and skips the others.
    with pytest.warns(SkipTestWarning, match="Can't test estimator ImageReader"):
        results = estimator_checks.check_estimator(ImageReader((2, 2)))
    assert [result["status"] for result in results] == ["passed"] * len(results)


@pytest.mark.sklearn_checks
@pytest.mark.parametrize(
    "check",
    [
        # The checks that need no data, or bring no numbers of their own.
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_reader_passes_checks_without_data(check):
    check("ImageReader", ImageReader())
