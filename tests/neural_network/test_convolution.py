"""Convolutional networks for images and signals, classes and numbers."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skmlp.exceptions import DataShapeWarning
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, CNNRegressor, EnsembleRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {"hidden_layer_sizes": 5, "max_iter": 3, "batch_size": 20, "random_state": 0}
SIGNALS = np.random.default_rng(0).normal(size=(60, 24, 3))
LABELS = np.array(["low", "high"])[(SIGNALS.max((1, 2)) > 2.3).astype(int)]
NUMBERS = np.column_stack([SIGNALS.mean((1, 2)), SIGNALS.max((1, 2))])
MOVES = Compose(
    [
        RandomCrop((3, 0)),
        RandomAffine(translate=(0.1, 0), scale=(0.9, 1.1)),
        RandomHorizontalFlip(),
        RandomErasing(),
        GaussianNoise(0.1),
    ]
)


def as_images(sizes):
    """Return the pairs of height 1 for the sizes of two convolutions of signals."""
    return {name: ((1, size), (1, size)) for name, size in sizes.items()}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"pool": "avg", "padding": "valid"},
        {"block": "residual", "head": "global_average"},
        {"conv_dropout": 0.3, "channel_dropout": True, "dropout": 0.2},
        {"solver": "lbfgs"},
        {"augmentation": MOVES, "predict_augmentation": MOVES, "predict_views": 2},
    ],
    ids=str,
)
def test_signals_equal_images_of_height_1(params):
    sizes = {"kernel_size": 4, "conv_strides": 1, "pool_size": 2}
    shared = {"conv_channels": (3, 4), **FEW, **params}
    signals = CNNClassifier(**shared, **sizes, conv_dims=1).fit(SIGNALS, LABELS)
    images = CNNClassifier(**shared, **as_images(sizes))
    images.fit(SIGNALS[:, np.newaxis], LABELS)
    assert_allclose(
        signals.predict_proba(SIGNALS),
        images.predict_proba(SIGNALS[:, np.newaxis]),
        rtol=0,
        atol=1e-10,
    )
    for ours, theirs in zip(signals.coefs_, images.coefs_, strict=True):
        assert_allclose(ours, theirs.squeeze(0) if theirs.ndim == 4 else theirs)


def test_shape_of_signals_is_in_all_results():
    model = CNNRegressor((3, 4), 5, conv_dims=1, **FEW).fit(SIGNALS, NUMBERS)
    assert model.image_shape_ == (24, 3)
    assert [c.shape for c in model.coefs_[:2]] == [(5, 3, 3), (5, 3, 4)]
    assert model.hidden_activations(SIGNALS, 0).shape == (60, 24, 3)
    assert model.hidden_activations(SIGNALS, "conv2_pool").shape == (60, 6, 4)
    assert "(12, 3)" in model._repr_html_()


def test_flat_signals_are_equal_to_signals():
    model = CNNClassifier((3,), conv_dims=1, **FEW).fit(SIGNALS, LABELS)
    flat = clone(model).set_params(image_shape=(24, 3))
    flat.fit(pd.DataFrame(SIGNALS.reshape(60, -1)), LABELS)
    assert_array_equal(
        model.predict_proba(SIGNALS),
        flat.predict_proba(pd.DataFrame(SIGNALS.reshape(60, -1))),
    )


@pytest.mark.parametrize("shape", [(60, 72), (60, 72, 1)])
def test_signals_of_one_channel_need_no_channels(shape):
    X = SIGNALS.reshape(shape)
    model = CNNClassifier((3,), conv_dims=1, **FEW).fit(X, LABELS)
    assert model.image_shape_ == (72, 1)
    given = clone(model).set_params(image_shape=(72,)).fit(X, LABELS)
    assert_array_equal(model.predict_proba(X), given.predict_proba(X))


def test_partial_fit_and_warm_start_continue_with_signals():
    model = CNNRegressor((3,), conv_dims=1, **FEW).fit(SIGNALS, NUMBERS)
    first = model.coefs_[0].copy()
    model.partial_fit(SIGNALS, NUMBERS)
    assert not np.array_equal(model.coefs_[0], first)
    model.set_params(warm_start=True).fit(SIGNALS, NUMBERS)
    with pytest.raises(ValueError, match="conv_dims=2 was 1 in the fit before"):
        model.set_params(conv_dims=2).fit(SIGNALS.reshape(60, -1), NUMBERS)


@pytest.mark.parametrize(
    ("Network", "y"), [(CNNClassifier, LABELS), (CNNRegressor, NUMBERS)]
)
def test_packed_search_equals_fits_one_by_one(Network, y):
    model = Network((3, 4), conv_dims=1, **FEW)
    grid = {"alpha": [1e-4, 1.0], "learning_rate_init": [0.001, 0.01]}
    scores = [
        search(model, grid, cv=2).fit(SIGNALS, y).cv_results_["mean_test_score"]
        for search in (PackedGridSearchCV, GridSearchCV)
    ]
    assert_allclose(*scores, rtol=0, atol=1e-8)


def test_packed_search_trains_signals_together(capsys):
    model = CNNRegressor((3, 4), ((1, 3), 2), **FEW)
    images = SIGNALS.reshape(60, 9, 8)
    search = PackedGridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, verbose=1)
    search.fit(images, NUMBERS)
    assert "one by one" not in capsys.readouterr().out


def test_regressor_learns_several_numbers_of_an_image():
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(1, 11, (2, 300))
    images = rng.normal(0, 0.1, (300, 12, 12))
    for image, row, column in zip(images, rows, columns, strict=True):
        image[row - 1 : row + 2, column - 1 : column + 2] += 1
    y = np.column_stack([rows, columns]) / 6 - 1
    model = CNNRegressor((8, 16), max_iter=60, batch_size=25, random_state=0)
    model.fit(images[:200], y[:200])
    assert model.predict(images).shape == (300, 2)
    assert model.score(images[200:], y[200:]) > 0.9


def test_regressor_of_one_number_predicts_a_vector():
    images = np.random.default_rng(0).random((40, 8, 8, 3)).astype(np.float32)
    model = CNNRegressor(2, loss="poisson", early_stopping=True, **FEW)
    model.fit(images, images.sum((1, 2, 3)))
    assert model.predict(images).shape == (40,)
    assert model.coefs_[0].dtype == np.float32
    assert (model.predict(images) > 0).all()


def test_regressor_is_the_last_step_of_a_pipeline():
    X = SIGNALS.reshape(60, -1)
    network = CNNRegressor(2, conv_dims=1, image_shape=(24, 3), **FEW)
    model = make_pipeline(StandardScaler(), network).fit(X, NUMBERS[:, 0])
    assert np.isfinite(model.score(X, NUMBERS[:, 0]))


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_ensembles_average_networks_of_signals(n_jobs):
    network = CNNRegressor(2, conv_dims=1, **FEW)
    model = EnsembleRegressor(network, 2, random_state=0, n_jobs=n_jobs)
    model.fit(SIGNALS, NUMBERS)
    members = [member.predict(SIGNALS) for member in model.estimators_]
    assert_allclose(model.predict(SIGNALS), np.mean(members, axis=0))
    nested = EnsembleRegressor(model, 2, random_state=0).fit(SIGNALS, NUMBERS)
    assert nested.predict(SIGNALS).shape == NUMBERS.shape


# Warnings about shapes


def shapes_warned(X, **params):
    """Return the messages of the warnings about shapes in a fit."""
    y = np.arange(len(X)) % 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CNNClassifier(2, **FEW).set_params(max_iter=1, **params).fit(X, y)
    assert {w.filename for w in caught} <= {__file__}
    return [str(w.message) for w in caught if w.category is DataShapeWarning]


@pytest.mark.parametrize(("n_features", "size"), [(9, "3 x 3"), (30, "1 x 30")])
def test_table_that_becomes_an_image_warns_once(n_features, size):
    X = np.random.default_rng(0).random((20, n_features))
    (message,) = shapes_warned(X)
    assert message.startswith(f"X has {n_features} features")
    assert f"an image of {size} pixels" in message
    assert shapes_warned(X, conv_dims=1) == []
    assert shapes_warned(X, image_shape=(1, n_features)) == []
    assert shapes_warned(X.reshape(20, 1, n_features)) == []


@pytest.mark.parametrize("n_features", [64, 192, 784])
def test_flat_square_images_do_not_warn(n_features):
    assert shapes_warned(np.zeros((20, n_features))) == []


def test_signals_that_become_gray_images_warn():
    X = np.random.default_rng(0).random((20, 50, 3))
    (message,) = shapes_warned(X)
    assert "signals of 50 steps and 3 channels, give conv_dims=1" in message
    (message,) = shapes_warned(X.transpose(0, 2, 1))
    assert "give X.transpose(0, 2, 1) and conv_dims=1" in message
    assert shapes_warned(X, image_shape=(50, 3)) == []
    assert shapes_warned(X, conv_dims=1) == []


def test_signals_with_channels_first_warn():
    X = np.random.default_rng(0).random((20, 3, 50))
    (message,) = shapes_warned(X, conv_dims=1)
    assert "If they are 50 steps and 3 channels, give X.transpose(0, 2, 1)" in message
    assert shapes_warned(X, conv_dims=1, image_shape=(3, 50)) == []


# Bad input


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_shape": (24, 3, 1)}, r"has to be \(length, channels\) with conv_dims"),
        ({"image_shape": (23, 3)}, r"X holds signals of shape \(24, 3\), but image_sh"),
        ({"conv_dims": 3}, "The 'conv_dims' parameter"),
        ({"kernel_size": ((1, 3),)}, "because signals have no height"),
        ({"kernel_size": 25, "padding": "valid"}, "its signals have 24 steps"),
        ({"augmentation": RandomCrop(3)}, r"give \(3, 0\), because signals"),
        ({"augmentation": RandomAffine(degrees=9)}, "degrees=9 .* because signals"),
        ({"augmentation": RandomAffine(shear=9)}, "shear=9 .* because signals"),
        ({"augmentation": RandomAffine(translate=0.1)}, r"give \(0\.1, 0\), because"),
        ({"augmentation": Compose([RandomCrop(3)])}, r"give \(3, 0\), because signals"),
        ({"predict_augmentation": RandomCrop(3)}, r"give \(3, 0\), because signals"),
    ],
    ids=str,
)
def test_what_signals_do_not_have_is_refused(params, message):
    model = CNNClassifier(2, conv_dims=1, **FEW).set_params(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(SIGNALS, LABELS)


def test_images_are_no_signals():
    with pytest.raises(ValueError, match=r"with conv_dims=1 give signals \(n, length"):
        CNNClassifier(2, conv_dims=1, **FEW).fit(SIGNALS[..., np.newaxis], LABELS)


def test_signals_of_another_length_are_refused_at_predict():
    model = CNNClassifier(2, conv_dims=1, **FEW).fit(SIGNALS, LABELS)
    with pytest.raises(ValueError, match=r"\(3, 24\), but the network was fitted to"):
        model.predict(SIGNALS.transpose(0, 2, 1))


def test_large_batches_are_bitwise_equal_on_any_threads():
    """A batch of gray images has several chunks, which threads share."""
    rng = np.random.default_rng(0)
    X, y = rng.random((150, 784), dtype=np.float32), np.arange(150) % 3
    before, results = torch.get_num_threads(), []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            model = CNNClassifier(
                batch_size=70, max_iter=3, early_stopping=True, random_state=0
            )
            model.fit(X, y)
            results.append((model.coefs_, model.loss_curve_, model.validation_scores_))
    finally:
        torch.set_num_threads(before)
    (coefs, *curves), (other_coefs, *other_curves) = results
    assert curves == other_curves
    for ours, theirs in zip(coefs, other_coefs, strict=True):
        assert_array_equal(ours, theirs)
