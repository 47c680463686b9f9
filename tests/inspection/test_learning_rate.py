"""The learning-rate finder measures every rate on a copy, and draws the losses."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.inspection import LearningRateDisplay
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler

RATES = [1e-4, 1e-2, 1.0]


@pytest.fixture
def flat(digits):
    X, y = digits
    return X.reshape(300, -1), y


def test_losses_equal_those_of_single_fits(flat):
    model = MLPClassifier(5, random_state=3)
    display = LearningRateDisplay.from_estimator(
        model, *flat, learning_rates=RATES, n_epochs=4, n_repeats=2
    )
    for i, rate in enumerate(RATES):
        train, valid = [], []
        for seed in (3, 4):
            single = clone(model).set_params(
                learning_rate_init=rate,
                max_iter=4,
                early_stopping=True,
                validation_fraction=0.2,
                random_state=seed,
            )
            with warnings.catch_warnings(action="ignore"):
                single.fit(*flat)
            train.append(single.history_[-1]["train_loss"])
            valid.append(min(epoch["valid_loss"] for epoch in single.history_))
        assert display.train_losses[i] == pytest.approx(np.mean(train))
        assert display.valid_losses[i] == pytest.approx(np.mean(valid))


def test_few_samples_are_trained_on_several_times(flat):
    X, y = flat
    model = MLPClassifier(5, random_state=0)
    options = {"learning_rates": RATES, "n_epochs": 1}
    chosen = LearningRateDisplay.from_estimator(model, X, y, **options)
    by_hand = LearningRateDisplay.from_estimator(model, X, y, n_repeats=9, **options)
    once = LearningRateDisplay.from_estimator(model, X, y, n_repeats=1, **options)
    np.testing.assert_allclose(chosen.valid_losses, by_hand.valid_losses)
    assert (chosen.valid_losses != once.valid_losses).all()


@pytest.mark.parametrize("fitted", [False, True])
def test_estimator_is_unchanged(fitted, flat):
    model = MLPClassifier(5, solver="sgd", random_state=0, max_iter=2)
    if fitted:
        with warnings.catch_warnings(action="ignore"):
            model.fit(*flat)
        weights = [coef.copy() for coef in model.coefs_]
    before = model.get_params(), set(vars(model))
    LearningRateDisplay.from_estimator(model, *flat, learning_rates=RATES, n_epochs=2)
    assert (model.get_params(), set(vars(model))) == before
    if fitted:
        for coef, weight in zip(model.coefs_, weights, strict=True):
            np.testing.assert_array_equal(coef, weight)


def test_global_generator_of_numpy_is_unchanged(flat):
    before = np.random.get_state()[1].copy()
    LearningRateDisplay.from_estimator(
        MLPClassifier(5), *flat, learning_rates=RATES, n_epochs=1
    )
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "model",
    [
        SoftmaxRegression(random_state=0),
        MLPClassifier(5, random_state=np.random.RandomState(0)),
        make_pipeline(PixelScaler(pixel_max=1), MLPClassifier((5, 5), solver="sgd")),
        MLPClassifier(5, early_stopping=True, verbose=True, callbacks=[lambda *a: 1]),
        MLPClassifier(5, learning_rate="onecycle", weight_averaging=0.5),
    ],
)
def test_every_kind_of_model_is_measured(model, flat, capsys):
    display = LearningRateDisplay.from_estimator(
        model, *flat, learning_rates=RATES, n_epochs=2
    )
    assert np.isfinite(display.valid_losses).all()
    assert display.suggest() in RATES
    assert capsys.readouterr().out == ""


def test_cnn_is_measured_on_images(digits):
    model = CNNClassifier((2,), hidden_layer_sizes=(), random_state=0)
    display = LearningRateDisplay.from_estimator(
        model, *digits, learning_rates=RATES, n_epochs=2
    )
    assert display.train_losses.shape == (3,)
    assert display.name == "CNNClassifier"


def test_regressors_and_sample_weights_are_measured():
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=5, random_state=0)
    )
    y = (y - y.mean()) / y.std()
    weights = {"mlpregressor__sample_weight": np.linspace(0.1, 1, len(y))}
    one, other = (
        LearningRateDisplay.from_estimator(
            model, X, y, learning_rates=RATES, n_epochs=3, fit_params=params
        )
        for params in ({}, weights)
    )
    assert np.isfinite(one.valid_losses).all()
    assert (one.train_losses != other.train_losses).all()


def test_given_validation_samples_are_held_out(flat):
    X, y = flat
    model = MLPClassifier(5, random_state=0)
    display = LearningRateDisplay.from_estimator(
        model,
        X[:200],
        y[:200],
        learning_rates=[0.001, 0.01],
        n_epochs=2,
        n_repeats=1,
        fit_params={"X_val": X[200:], "y_val": y[200:]},
    )
    model.set_params(learning_rate_init=0.01, max_iter=2, early_stopping=True)
    with warnings.catch_warnings(action="ignore"):
        model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert display.valid_losses[1] == pytest.approx(
        min(epoch["valid_loss"] for epoch in model.history_)
    )


def test_rates_that_diverge_have_no_loss_and_are_not_suggested():
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = MLPRegressor(
        hidden_layer_sizes=5, activation="relu", solver="sgd", random_state=0
    )
    display = LearningRateDisplay.from_estimator(
        model, X, 10 * X[:, 0], learning_rates=[1e-3, 1e-2, 1e30], n_epochs=20
    )
    assert np.isnan(display.valid_losses[2])
    assert display.suggest() < 1
    low, high = display.ax_.get_ylim()
    assert low < np.nanmin(display.valid_losses)
    assert high > display.valid_losses[0]


def test_epochs_follow_the_number_of_batches(flat):
    long = MLPClassifier(5, max_iter=1000, batch_size=24, random_state=0)
    chosen = LearningRateDisplay.from_estimator(long, *flat, learning_rates=RATES)
    by_hand = LearningRateDisplay.from_estimator(
        long, *flat, learning_rates=RATES, n_epochs=30
    )
    np.testing.assert_allclose(chosen.valid_losses, by_hand.valid_losses)
    short = LearningRateDisplay.from_estimator(
        long.set_params(max_iter=2), *flat, learning_rates=RATES
    )
    by_hand = LearningRateDisplay.from_estimator(
        long, *flat, learning_rates=RATES, n_epochs=2
    )
    np.testing.assert_allclose(short.valid_losses, by_hand.valid_losses)


def test_picture_shows_losses_and_suggestion():
    import matplotlib.pyplot as plt

    display = LearningRateDisplay(
        learning_rates=[0.1, 1, 10, 100],
        train_losses=[2.0, 1.0, 0.5, 1e9],
        valid_losses=[2.1, 1.1, 0.7, np.nan],
        name="by hand",
    )
    _, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[1] < 3
    np.testing.assert_array_equal(
        display.lines_["train_losses"].get_ydata()[:3], [2, 1, 0.5]
    )
    assert display.lines_["suggestion"].get_xdata()[0] == display.suggest()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0] == "by hand, training"
    assert "suggestion" in labels[2]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"learning_rates": []}, "learning_rates=.* must be two or more"),
        ({"learning_rates": [0, 1]}, "learning_rates=.* must be two or more"),
        ({"learning_rates": [1, np.nan]}, "learning_rates=.* must be two or more"),
        ({"n_epochs": 0}, "n_epochs=0 must be a positive integer"),
        ({"n_epochs": 2.5}, "n_epochs=2.5 must be a positive integer"),
        ({"n_repeats": 0}, "n_repeats=0 must be a positive integer"),
    ],
)
def test_invalid_argument_is_named(given, reason, flat):
    with pytest.raises(ValueError, match=reason):
        LearningRateDisplay.from_estimator(MLPClassifier(5), *flat, **given)


def test_estimator_without_learning_rate_is_refused(flat):
    with pytest.raises(ValueError, match="no learning rate with solver='lbfgs'"):
        LearningRateDisplay.from_estimator(MLPClassifier(5, solver="lbfgs"), *flat)
    for model in (LogisticRegression(), EnsembleClassifier(MLPClassifier(5))):
        with pytest.raises(TypeError, match=r"takes an estimator of skmlp\.neural"):
            LearningRateDisplay.from_estimator(model, *flat)


def test_error_of_the_data_is_one_sentence(flat):
    X, y = flat
    X = X.copy()
    X[3, 5] = np.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        LearningRateDisplay.from_estimator(MLPClassifier(5), X, y, learning_rates=RATES)
    assert "All the 3 fits failed" not in str(caught.value)


def test_losses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"valid_losses has shape \(1,\), but"):
        LearningRateDisplay(
            learning_rates=[0.1, 1], train_losses=[1, 2], valid_losses=[1]
        )


def test_autoencoder_is_measured_without_targets(flat):
    model = MLPAutoencoder(4, random_state=0)
    display = LearningRateDisplay.from_estimator(
        model, flat[0], learning_rates=RATES, n_epochs=2, n_repeats=1
    )
    assert np.isfinite(display.valid_losses).all()
