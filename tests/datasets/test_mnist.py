import gzip

import numpy as np
import pandas as pd
import pytest

from skmlp.datasets import _data_home, fetch_fashion_mnist, fetch_mnist, write_idx


def test_missing_image_set_is_downloaded_once(digits, server, tmp_path):
    first = fetch_mnist(data_home=tmp_path)
    np.testing.assert_array_equal(first.images, digits.images["train"], strict=True)
    np.testing.assert_array_equal(first.target, digits.target["train"])
    assert len(server.requests) == 2
    np.testing.assert_array_equal(fetch_mnist(data_home=tmp_path).data, first.data)
    assert len(server.requests) == 2
    names = {path.name for path in (tmp_path / "few-digits").iterdir()}
    assert names == {"train-images.gz", "train-labels.gz"}


def test_subset_all_is_train_followed_by_test(digits, tmp_path):
    everything = fetch_mnist(data_home=tmp_path, subset="all")
    parts = [fetch_mnist(data_home=tmp_path, subset=part) for part in ("train", "test")]
    for key in ("data", "target", "images"):
        joined = np.concatenate([part[key] for part in parts])
        np.testing.assert_array_equal(everything[key], joined, strict=True)


def test_bunch_has_arrays_names_and_description(digits, tmp_path):
    bunch = fetch_mnist(data_home=tmp_path)
    assert (bunch.data.shape, bunch.data.dtype) == ((5, 784), np.uint8)
    assert (bunch.target.shape, bunch.target.dtype) == ((5,), np.int64)
    assert np.shares_memory(bunch.data, bunch.images)
    assert bunch.feature_names[29] == "pixel_1_1"
    assert len(bunch.feature_names) == 784
    assert list(bunch.target_names) == list("0123456789")
    assert bunch.frame is None
    assert "handwritten" in bunch.DESCR
    X, y = fetch_mnist(data_home=tmp_path, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


def test_as_frame_returns_pandas_objects(digits, tmp_path):
    bunch = fetch_mnist(data_home=tmp_path, as_frame=True)
    assert isinstance(bunch.target, pd.Series)
    assert list(bunch.data.columns) == bunch.feature_names
    assert bunch.frame.shape == (5, 785)
    np.testing.assert_array_equal(bunch.frame["target"], digits.target["train"])
    np.testing.assert_array_equal(bunch.images, digits.images["train"])
    X, y = fetch_mnist(data_home=tmp_path, as_frame=True, return_X_y=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_local_files_may_be_plain_or_compressed(
    digits, server, tmp_path, monkeypatch, suffix
):
    folder = tmp_path / "few-digits"
    folder.mkdir()
    for name, content in digits.files.items():
        plain = gzip.decompress(content)
        # Compressed with other settings than on the mirrors: only the content counts.
        packed = gzip.compress(plain, 1) if suffix else plain
        (folder / name.removesuffix(".gz")).with_suffix(suffix).write_bytes(packed)
    monkeypatch.setenv("SKMLP_DATA", str(tmp_path))
    bunch = fetch_mnist(subset="test", download_if_missing=False)
    np.testing.assert_array_equal(bunch.images, digits.images["test"])
    assert not server.requests


def test_files_in_system_folders_are_not_downloaded(
    digits, server, tmp_path, monkeypatch
):
    monkeypatch.setattr(_data_home, "SYSTEM_FOLDERS", (tmp_path / "system",))
    folder = tmp_path / "system" / "few-digits"
    folder.mkdir(parents=True)
    for name, content in digits.files.items():
        (folder / name).write_bytes(content)
    bunch = fetch_mnist(data_home=tmp_path / "home")
    np.testing.assert_array_equal(bunch.images, digits.images["train"])
    assert not server.requests
    assert not (tmp_path / "home").exists()


def test_file_with_a_changed_pixel_is_refused(digits, server, tmp_path):
    folder = tmp_path / "few-digits"
    folder.mkdir()
    images = digits.images["train"].copy()
    images[0, 0, 0] ^= 1
    write_idx(folder / "train-images", images)
    with pytest.raises(ValueError, match=r"few-digits/train-images .* SHA-256"):
        fetch_mnist(data_home=tmp_path)


def test_file_of_another_shape_is_refused(digits, tmp_path):
    folder = tmp_path / "few-digits"
    folder.mkdir()
    write_idx(folder / "train-images", digits.target["train"])
    with pytest.raises(
        ValueError,
        match=r"few-digits/train-images: .* shape \(5,\).* \(5, 28, 28\) is expected",
    ):
        fetch_mnist(data_home=tmp_path)


def test_wrong_content_of_a_mirror_is_not_stored(digits, server, tmp_path):
    server.files["train-labels.gz"] = digits.files["test-labels.gz"]
    with pytest.raises(OSError, match=r"train-labels.gz: .* is expected"):
        fetch_mnist(data_home=tmp_path, delay=0)
    assert not list(tmp_path.iterdir())


def test_broken_transfer_is_resumed_by_the_next_call(digits, server, tmp_path):
    server.break_after["train-images.gz"] = 2048
    with pytest.raises(OSError, match=r"train-images\.gz"):
        fetch_mnist(data_home=tmp_path, n_retries=0)
    with pytest.raises(OSError, match="download_if_missing=False"):
        fetch_mnist(data_home=tmp_path, download_if_missing=False)
    bunch = fetch_mnist(data_home=tmp_path)
    np.testing.assert_array_equal(bunch.images, digits.images["train"])
    assert server.requests[-1] == ("train-images.gz", "bytes=2048-")


def test_error_names_searched_folders_mirrors_and_remedies(digits, server, tmp_path):
    server.files.clear()
    with pytest.raises(OSError, match="MNIST: train-labels was not found in") as info:
        fetch_mnist(data_home=tmp_path, delay=0)
    for help_text in (str(tmp_path / "few-digits"), server.url, "SKMLP_DATA"):
        assert help_text in str(info.value)


def test_download_if_missing_false_does_not_use_the_network(digits, server, tmp_path):
    with pytest.raises(OSError, match=r"not found .* download_if_missing=False"):
        fetch_mnist(data_home=tmp_path / "home", download_if_missing=False)
    assert not server.requests
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given",
    [
        {"subset": "validation"},
        {"data_home": 3},
        {"n_retries": -1},
        {"delay": "long"},
        {"as_frame": "yes"},
    ],
)
@pytest.mark.parametrize("fetch", [fetch_mnist, fetch_fashion_mnist])
def test_invalid_parameter_is_named(fetch, given):
    with pytest.raises(ValueError, match=f"The '{next(iter(given))}' parameter"):
        fetch(**given)


def test_error_names_the_debian_package_of_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(_data_home, "SYSTEM_FOLDERS", ())
    with pytest.raises(OSError, match="dataset-fashion-mnist on Debian"):
        fetch_fashion_mnist(data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize("fetch", [fetch_mnist, fetch_fashion_mnist])
def test_published_files_have_the_published_images(fetch):
    try:
        bunch = fetch(subset="all", download_if_missing=False)
    except OSError as error:
        pytest.skip(str(error))
    assert bunch.images.shape == (70000, 28, 28)
    assert set(bunch.target) == set(range(10))
    if fetch is fetch_fashion_mnist:
        assert (np.bincount(bunch.target[:60000]) == 6000).all()
        assert (np.bincount(bunch.target[60000:]) == 1000).all()
        assert bunch.target_names[bunch.target[60000]] == "Ankle boot"
    else:
        np.testing.assert_array_equal(bunch.target[:5], [5, 0, 4, 1, 9])
