"""Codes and reconstructions: PCA, denoising, losses, shapes, scores."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skmlp.augmentation import RandomErasing, RandomHorizontalFlip
from skmlp.neural_network import MLPAutoencoder, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)


def small(**params):
    """Return an autoencoder that trains for a few epochs."""
    defaults = {"n_components": 3, "hidden_layer_sizes": (8,), "max_iter": 5}
    return MLPAutoencoder(**defaults | {"random_state": 0} | params)


@pytest.fixture(scope="module")
def near_subspace():
    """300 samples near a subspace of three dimensions, whose variances differ."""
    draw = np.random.default_rng(0)
    axes = np.linalg.qr(draw.normal(size=(12, 3)))[0]
    signal = draw.normal(size=(300, 3)) * [3.0, 2.0, 1.5]
    return signal @ axes.T + 0.1 * draw.normal(size=(300, 12)) + draw.normal(size=12)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_linear_code_spans_the_subspace_of_pca(n_components, near_subspace):
    X = near_subspace
    model = MLPAutoencoder(
        n_components, (), alpha=0, solver="lbfgs", tol=1e-8, max_iter=2000
    ).fit(X)
    pca = PCA(n_components).fit(X)
    decoder = model.coefs_[1].T  # (n_features, n_components)
    assert np.sin(subspace_angles(decoder, pca.components_.T)).max() < 1e-3
    reconstructed = pca.inverse_transform(pca.transform(X))
    assert_allclose(model.score(X), -np.mean((reconstructed - X) ** 2), rtol=1e-3)


def test_linear_code_of_digits_spans_the_subspace_of_pca(digits):
    X, _ = digits
    model = MLPAutoencoder(
        2, (), alpha=0, solver="lbfgs", tol=1e-8, max_iter=2000, random_state=0
    ).fit(X)
    axes = PCA(2).fit(X).components_
    own = np.linalg.qr(model.coefs_[1].T)[0]
    assert_allclose(own @ own.T, axes.T @ axes, atol=1e-3)  # the projections


def test_autoencoder_trains_as_a_regressor_of_its_inputs(digits, assert_equal_weights):
    X, _ = digits
    model = small(activation="tanh", code_activation="tanh", decoder_layer_sizes=6)
    model.fit(X)
    regressor = MLPRegressor(
        hidden_layer_sizes=(8, 3, 6), activation="tanh", max_iter=5, random_state=0
    ).fit(X, X)
    assert_equal_weights(model, regressor)
    assert model.loss_curve_ == regressor.loss_curve_
    assert_array_equal(
        model.inverse_transform(model.transform(X)), regressor.predict(X)
    )


def test_decoder_mirrors_the_encoder_by_default(digits):
    shapes = [w.shape for w in small(hidden_layer_sizes=(8, 5)).fit(digits[0]).coefs_]
    assert shapes == [(64, 8), (8, 5), (5, 3), (3, 5), (5, 8), (8, 64)]
    model = small(decoder_layer_sizes=()).fit(digits[0])
    assert [w.shape for w in model.coefs_] == [(64, 8), (8, 3), (3, 64)]
    assert model.n_layers_ == 4
    assert model.n_outputs_ == 64


def test_code_is_the_activation_of_the_code_layer(digits):
    X, _ = digits
    model = small(code_activation="relu").fit(X)
    codes = model.transform(X)
    assert codes.shape == (len(X), 3)
    assert (codes >= 0).all()
    assert_array_equal(codes, model.hidden_activations(X, "code_activation"))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_score_is_minus_the_squared_error_for_every_loss(loss, digits):
    X, _ = digits
    model = small(loss=loss).fit(X)
    errors = np.mean((model.inverse_transform(model.transform(X)) - X) ** 2, axis=1)
    assert_allclose(model.score(X), -errors.mean(), rtol=1e-12)
    weight = np.linspace(0, 1, len(X))
    expected = -np.average(errors, weights=weight)
    assert_allclose(model.score(X, None, weight), expected, rtol=1e-12)


def test_score_does_not_depend_on_blocks(digits, monkeypatch):
    X, _ = digits
    model = small().fit(X)
    whole = model.score(X)
    module = "skmlp.neural_network._fit.reconstruction_error.samples_per_chunk"
    monkeypatch.setattr(module, lambda widest: 2)
    assert_allclose(model.score(X), whole, rtol=1e-12)


def test_validation_score_is_the_score_of_the_validation_set(digits):
    X, _ = digits
    weight = np.linspace(0, 1, 100)
    model = small().fit(X[:200], X_val=X[200:], sample_weight_val=weight)
    best = max(model.validation_scores_)
    assert_allclose(model.score(X[200:], None, weight), best, rtol=1e-12)
    stopped = small(early_stopping=True, max_iter=30, record_train_score=True).fit(X)
    assert len(stopped.validation_scores_) == stopped.n_iter_
    assert all("train_score" in epoch for epoch in stopped.history_)


def test_denoising_autoencoder_removes_noise():
    X = load_digits().data[:1000] / 16
    noisy = X + 0.3 * np.random.default_rng(0).normal(size=X.shape)
    params = {"learning_rate_init": 0.01, "max_iter": 60, "batch_size": 100}
    errors = []
    for noise in (0.0, 0.3):
        model = small(
            n_components=20, hidden_layer_sizes=50, noise=noise, tol=0, **params
        ).fit(X)
        reconstructed = model.inverse_transform(model.transform(noisy))
        errors.append(np.mean((reconstructed - X) ** 2))
    assert errors[1] < 0.9 * errors[0]
    assert errors[1] < np.mean((noisy - X) ** 2)


def test_noise_is_drawn_from_the_seed(digits, assert_equal_weights):
    X, _ = digits
    one, other = (small(noise=0.2).fit(X) for _ in range(2))
    assert_equal_weights(one, other)
    assert not np.array_equal(one.coefs_[0], small().fit(X).coefs_[0])


def test_noise_may_be_a_callable_and_targets_stay_clean(digits):
    X, _ = digits
    shapes = []

    def erase_in_place(samples, generator):
        shapes.append(tuple(samples.shape))
        return samples.zero_()

    model = small(noise=erase_in_place, max_iter=60, learning_rate_init=0.1).fit(X)
    assert set(shapes) == {(200, 64), (100, 64)}
    # From samples without values, the network learns the mean.
    blank = model.inverse_transform(model.transform(np.zeros((1, 64))))
    assert_allclose(blank[0], X.mean(axis=0), atol=0.1)


def test_noise_on_images_receives_images(digits):
    X, _ = digits
    shapes = []

    def record(images, generator):
        shapes.append(tuple(images.shape[1:]))
        return images

    small(noise=record, max_iter=1).fit(X.reshape(-1, 8, 8))
    assert set(shapes) == {(1, 8, 8)}
    small(noise=RandomErasing(), max_iter=1).fit(X.reshape(-1, 8, 8))


def test_augmented_images_are_the_targets(digits):
    X, _ = digits
    model = small(augmentation=RandomHorizontalFlip(p=1.0), max_iter=40)
    model.set_params(learning_rate_init=0.01, n_components=10).fit(X)
    flipped = X.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    assert model.score(flipped) > 1.2 * model.score(X)  # both are negative


def test_images_keep_their_shape(digits):
    images = digits[0].reshape(-1, 8, 8)
    model = small().fit(images)
    assert model.image_shape_ == (8, 8, 1)
    codes = model.transform(images)
    assert model.inverse_transform(codes).shape == images.shape
    flat = small().fit(digits[0])
    assert flat.inverse_transform(codes).shape == digits[0].shape
    assert_array_equal(flat.transform(digits[0]), codes)
    color = small().fit(digits[0][:, :48].reshape(-1, 4, 4, 3))
    assert color.inverse_transform(codes).shape == (len(images), 4, 4, 3)
    with pytest.raises(ValueError, match="X holds images of shape"):
        model.transform(images.reshape(-1, 4, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_training_is_kept(dtype, digits):
    X = digits[0].astype(dtype)
    model = small().fit(X)
    codes = model.transform(X)
    assert codes.dtype == model.inverse_transform(codes).dtype == dtype
    assert small(dtype="float32").fit(X).transform(X).dtype == np.float32


def test_integers_are_reconstructed_in_float32(digits):
    X = (digits[0] * 16).astype(np.uint8)
    model = small(early_stopping=True).fit(X)
    assert model.transform(X).dtype == np.float32
    same = small(early_stopping=True).fit(X.astype(np.float32))
    assert_allclose(model.score(X), same.score(X.astype(np.float32)), rtol=1e-6)


def test_sample_weights_count_as_copies(digits, assert_equal_weights):
    X = digits[0][:100]  # one batch, like the copies
    weighted = small(alpha=0).fit(X, sample_weight=np.full(100, 2.0))
    copied = small(alpha=0).fit(np.concatenate([X, X]))
    assert_equal_weights(weighted, copied, atol=1e-12)


def test_codes_of_wrong_width_are_refused(digits):
    model = small()
    for method in (model.transform, model.inverse_transform, model.score):
        with pytest.raises(NotFittedError):
            method(digits[0])
    model.fit(digits[0])
    with pytest.raises(ValueError, match="X has 4 features, but the code has 3"):
        model.inverse_transform(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.inverse_transform(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="X has 5 features, but MLPAutoencoder"):
        model.transform(np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "'n_components' parameter"),
        ({"noise": -1.0}, ValueError, "'noise' parameter"),
        ({"noise": RandomErasing}, TypeError, "noise is the class RandomErasing"),
        ({"noise": 0.1, "solver": "lbfgs"}, ValueError, "noise changes in every batch"),
        ({"loss": "poisson"}, ValueError, "'loss' parameter"),
        (
            {"decoder_layer_sizes": (3, 0)},
            ValueError,
            "decoder_layer_sizes must be > 0",
        ),
        ({"dropout": (0.1,)}, ValueError, "encoder and the decoder have 2 hidden"),
        (
            {"noise": lambda samples, generator: samples[:, :2]},
            ValueError,
            r"noise made samples of shape \(200, 2\)",
        ),
    ],
)
def test_bad_parameters_are_refused(params, error, message, digits):
    with pytest.raises(error, match=message):
        small(**params).fit(digits[0])


def test_arguments_of_other_estimators_are_refused(digits):
    X, y = digits
    with pytest.raises(TypeError, match="y_val"):
        small().fit(X, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="Of X_val: X has 3 features"):
        small().fit(X, X_val=X[:, :3])
    with pytest.raises(ValueError, match="sample_weight_val was given without X_val"):
        small().fit(X, sample_weight_val=np.ones(len(X)))


def test_diverging_autoencoder_names_its_scale(digits):
    model = small(solver="sgd", learning_rate_init=1e3, max_iter=20)
    with pytest.raises(ValueError, match=r"scale X \(its values reach 1\)\."):
        model.fit(digits[0])


def test_single_sample_and_single_feature_are_reconstructed():
    assert small().fit(np.ones((1, 4))).transform(np.ones((1, 4))).shape == (1, 3)
    X = np.linspace(0, 1, 30)[:, None]
    assert small().fit(X).inverse_transform(small().fit(X).transform(X)).shape == (
        30,
        1,
    )


def test_target_is_ignored(digits, assert_equal_weights):
    X, y = digits
    one, other = small().fit(X), small().fit(X, np.array(list("abc"))[y % 3])
    assert_equal_weights(one, other)
    assert torch.is_tensor(next(one.net_.module_.parameters()))
