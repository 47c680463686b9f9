"""Both sides of every row of the guide's table for users of Keras are run.

Both networks start from the same weights and train in float64, on batches in the same
order. The weights then differ by rounding. Keras computes some numbers in float32, and
its backends differ in which.
"""

import os
import warnings
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import skorch.callbacks
import torch
from scipy import stats
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skmlp.augmentation import RandomAffine
from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.persistence import load_model, save_model

DENSE = '`Dense(128, activation="relu"), Dense(10, activation="softmax")`'

TOLERANCE = 1e-6  # numbers below 1 in float32, after a dozen steps

# Keras's backend torch calls NumPy without the keyword `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")


def of_row(cell):
    """Give a test the row of the guide with this left cell."""
    return pytest.mark.parametrize("row", [cell], indirect=True, ids=[cell])


def test_every_row_has_a_test(migration_tables, tested_rows):
    assert tested_rows == sorted(migration_tables["Keras"])


@pytest.mark.parametrize("family", ["he", "glorot", "lecun"])
def test_initializers_in_the_table_exist_without_keras(
    family, migration_tables, digits, arguments, fit_quietly
):
    row = migration_tables["Keras"]['`kernel_initializer="he_normal"`']
    params = arguments(row.skmlp[0].replace("he_", f"{family}_"))
    assert fit_quietly(MLPClassifier(max_iter=1, **params), *digits).n_iter_ == 1


@pytest.fixture
def keras():
    """Keras with float64 for its default."""
    backend = "torch" if find_spec("tensorflow") is None else "tensorflow"
    os.environ.setdefault("KERAS_BACKEND", backend)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings(action="ignore"):
        keras = pytest.importorskip("keras")
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


@pytest.fixture(scope="module")
def start(digits, fit_quietly):
    """Fitted network, from whose weights both sides start."""
    return fit_quietly(MLPClassifier((128,), random_state=0, max_iter=1), *digits)


@pytest.fixture(scope="module")
def validation_set():
    """X and y of 40 digits. Half of the labels are wrong."""
    X, y = load_digits(return_X_y=True)
    wrong = np.arange(40) % 2 == 0
    return X[200:240] / 16, np.where(wrong, (y[200:240] + 1) % 10, y[200:240])


@pytest.fixture
def layers(migration_tables, keras, evaluate):
    """Function that returns the layers in a cell, by default those of the first row."""

    def make(code=None):
        code = migration_tables["Keras"][DENSE].peer[0] if code is None else code
        return evaluate(f"[{code}]", **vars(keras.layers))

    return make


@pytest.fixture
def fit_keras(keras, start, digits, layers):
    """Function that trains a model of Keras, by default for 3 epochs of 4 batches."""

    def fit(own_layers=None, optimizer=None, start=start, data=digits, **params):
        own_layers = layers() if own_layers is None else own_layers
        model = keras.Sequential([keras.Input(data[0].shape[1:]), *own_layers])
        optimizer = keras.optimizers.SGD(0.1) if optimizer is None else optimizer
        loss = "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"])
        for layer, *weights in zip(
            weight_layers(model), start.coefs_, start.intercepts_, strict=True
        ):
            layer.set_weights(weights)
        base = {"batch_size": 30, "epochs": 3, "shuffle": False, "verbose": 0}
        model.fit(*data, **{**base, **params})
        return model

    return fit


@pytest.fixture
def fit_skmlp(migration_tables, start, digits, evaluate, fit_quietly):
    """Function that trains skmlp's network, by default as `fit_keras` does."""
    code = migration_tables["Keras"][DENSE].skmlp[0]
    base = {
        "batch_size": 30,
        "init_from": start,
        "learning_rate_init": 0.1,
        "max_iter": 3,
        "momentum": 0,
        "n_iter_no_change": 3,
        "random_state": 0,
        "shuffle": False,
        "solver": "sgd",
    }

    def fit(*data, model=None, X_val=None, y_val=None, **params):
        if model is None:
            model = evaluate(code, MLPClassifier=MLPClassifier)
        model.set_params(**{**base, **params})
        return fit_quietly(model, *(data or digits), X_val=X_val, y_val=y_val)

    return fit


def weight_layers(model):
    """Return the layers of a model of Keras that have kernels."""
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def difference(peer, model):
    """Return the largest difference between the weights of two networks."""
    ours = zip(model.coefs_, model.intercepts_, strict=True)
    pairs = zip(weight_layers(peer), ours, strict=True)
    return max(
        np.abs(a - b).max()
        for layer, weights in pairs
        for a, b in zip(layer.get_weights(), weights, strict=True)
    )


def assert_trained_equally(peer, model, start):
    """Check that both networks have moved to the same weights."""
    assert difference(peer, model) <= TOLERANCE
    assert difference(peer, start) > 1e-3


def draw_with_keras(layer, shape):
    """Return the first weights that a layer of Keras draws, with a seed."""
    return np.array(type(layer.kernel_initializer)(seed=0)(shape)).ravel()


def draw_with_skmlp(model, X, y, fit_quietly):
    """Return the first weights of the first layer."""
    model.set_params(
        solver="sgd", learning_rate_init=1e-15, momentum=0, max_iter=1, random_state=0
    )
    model = fit_quietly(model, X, y)
    # Biases of Keras start at 0. Such a learning rate changes them by at most 1e-14.
    assert max(np.abs(bias).max() for bias in model.intercepts_) < 1e-14
    return model.coefs_[0].ravel()


def assert_drawn_equally(theirs, ours):
    """Check that weights are drawn from the same distribution."""
    assert stats.ks_2samp(theirs, ours).pvalue > 1e-4
    # Thousands of draws come near the ends of the distribution.
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)


@of_row(DENSE)
def test_dense_layers_are_an_mlp(
    row, start, digits, layers, evaluate, fit_quietly, fit_keras, fit_skmlp
):
    own_layers = layers(row.peer[0])
    model = evaluate(row.skmlp[0], MLPClassifier=MLPClassifier)
    assert_drawn_equally(
        draw_with_keras(own_layers[0], (64, 128)),
        draw_with_skmlp(model, *digits, fit_quietly),
    )
    model = evaluate(row.skmlp[0], MLPClassifier=MLPClassifier)
    peer = fit_keras(own_layers)
    assert_trained_equally(peer, fit_skmlp(model=model), start)
    # The losses would differ by a penalty.
    losses = peer.history.history["loss"]
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-6)


@of_row(
    '`Conv2D(32, 3, padding="same", activation="relu"), MaxPooling2D(2), Flatten(), '
    'Dense(10, activation="softmax")`'
)
def test_convolution_drops_pooling_windows_at_the_border(
    row, digits, layers, evaluate, fit_quietly, fit_keras, fit_skmlp
):
    X = digits[0].reshape(-1, 8, 8, 1)[:, :7, :7]
    y = digits[1]
    model = evaluate(row.skmlp[0], CNNClassifier=CNNClassifier)
    own_layers = layers(row.peer[0])
    assert_drawn_equally(
        draw_with_keras(own_layers[0], (3, 3, 1, 32)),
        draw_with_skmlp(model, X, y, fit_quietly),
    )
    cnn = CNNClassifier((32,), pool_padding="valid", hidden_layer_sizes=(), max_iter=1)
    start = fit_quietly(cnn.set_params(random_state=0), X, y)
    model = evaluate(row.skmlp[0], CNNClassifier=CNNClassifier)
    peer = fit_keras(own_layers, start=start, data=(X, y))
    model = fit_skmlp(X, y, model=model, init_from=start)
    assert_trained_equally(peer, model, start)
    np.testing.assert_allclose(
        model.predict_proba(X), peer.predict(X, verbose=0), rtol=0, atol=TOLERANCE
    )


@of_row("`Dropout(0.5)`")
def test_dropout_zeroes_half_and_doubles_the_rest_in_training(
    row, layers, arguments, fit_skmlp
):
    (layer,) = layers(row.peer[0])
    model = fit_skmlp(**arguments(row.skmlp[0]))
    module = model.net_.module_.dense1_dropout
    ones = np.ones((1000, 128))
    # Outside of a fit, the module draws from torch's global generator.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = [module.train(mode)(torch.from_numpy(ones)) for mode in (True, False)]
    theirs = [layer(ones, training=mode) for mode in (True, False)]
    for dropped, unchanged in (theirs, ours):
        values, counts = np.unique(np.array(dropped), return_counts=True)
        assert values.tolist() == [0, 2]
        # Six standard deviations of a binomial count.
        assert abs(counts[0] - ones.size / 2) < 6 * np.sqrt(ones.size / 4)
        np.testing.assert_array_equal(np.array(unchanged), ones)


@of_row(
    '`Dense(128), BatchNormalization(momentum=0.9, epsilon=1e-5), Activation("relu")`'
)
def test_batch_norm_is_between_layer_and_activation(
    row, start, layers, arguments, fit_keras, fit_skmlp
):
    own_layers = layers(row.peer[0])
    peer = fit_keras([*own_layers, layers()[-1]])
    model = fit_skmlp(**arguments(row.skmlp[0]))
    assert_trained_equally(peer, model, start)
    gamma, beta, mean, variance = own_layers[1].get_weights()
    norm = model.net_.module_.dense1_norm
    for theirs, ours in ((gamma, norm.weight), (beta, norm.bias)):
        np.testing.assert_allclose(ours.detach(), theirs, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(norm.running_mean, mean, rtol=0, atol=TOLERANCE)
    # The start, 1, has a weight of 0.9 ** 12. The rest is divided by 30 or by 29.
    first = 0.9**12
    np.testing.assert_allclose(
        (norm.running_var - first) * 29 / 30, variance - first, rtol=0, atol=TOLERANCE
    )


@of_row('`kernel_initializer="he_normal"`')
@pytest.mark.parametrize("family", ["he", "glorot", "lecun"])
def test_normal_initializers_are_truncated(
    row, family, keras, digits, arguments, fit_quietly
):
    # The row names one of three, and a sentence after the table the other two.
    peer, params = (
        arguments(code.replace("he_", f"{family}_"))
        for code in (row.peer[0], row.skmlp[0])
    )
    ours = draw_with_skmlp(MLPClassifier(200, **params), *digits, fit_quietly)
    theirs = draw_with_keras(keras.layers.Dense(200, **peer), (64, 200))
    assert_drawn_equally(theirs, ours)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    # A normal distribution would give 12,800 draws a maximum near 4 deviations.
    assert np.abs(ours).max() < 2.3 * ours.std()


@of_row("`kernel_regularizer=L2(c)`")
def test_alpha_is_l2_times_twice_the_batch_size(
    row, start, keras, arguments, fit_keras, fit_skmlp
):
    regularizer = arguments(row.peer[0], c=0.01, L2=keras.regularizers.L2)
    own_layers = [
        keras.layers.Dense(128, activation="relu", **regularizer),
        keras.layers.Dense(10, activation="softmax", **regularizer),
    ]
    peer = fit_keras(own_layers)
    model = fit_skmlp(**arguments(row.skmlp[0], c=0.01, batch_size=30))
    assert_trained_equally(peer, model, start)
    losses = peer.history.history["loss"]
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-6)


@of_row("`Adam(1e-3)`")
def test_adam_has_epsilon_of_keras(
    row, start, keras, evaluate, arguments, fit_keras, fit_skmlp
):
    optimizer = evaluate(row.peer[0], **vars(keras.optimizers))
    peer = fit_keras(optimizer=optimizer)
    params = arguments(row.skmlp[0])
    assert_trained_equally(peer, fit_skmlp(**params), start)
    del params["epsilon"]
    assert difference(peer, fit_skmlp(**params)) > 1e-5


@of_row("`SGD(0.1, momentum=0.9, nesterov=True)`")
def test_sgd_has_momentum_of_nesterov(
    row, start, keras, evaluate, arguments, fit_keras, fit_skmlp
):
    optimizer = evaluate(row.peer[0], **vars(keras.optimizers))
    model = fit_skmlp(**arguments(row.skmlp[0]))
    assert_trained_equally(fit_keras(optimizer=optimizer), model, start)


@of_row("`LearningRateScheduler(lambda epoch: 0.1 * 0.5 ** (epoch // 2))`")
def test_schedule_changes_momentum_as_keras_does(
    row, start, keras, evaluate, arguments, fit_keras, fit_skmlp
):
    callback = evaluate(row.peer[0], **vars(keras.callbacks))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    peer = fit_keras(optimizer=optimizer, callbacks=[callback], epochs=5)
    params = {"momentum": 0.9, "nesterovs_momentum": False, "max_iter": 5}
    model = fit_skmlp(**params, **arguments(row.skmlp[0]))
    assert_trained_equally(peer, model, start)


@of_row("`epochs=10, batch_size=32`")
def test_max_iter_is_the_number_of_epochs(row, start, arguments, fit_keras, fit_skmlp):
    peer = fit_keras(**arguments(row.peer[0]))
    # No epoch lowers the loss by so large a `tol`, and training continues.
    model = fit_skmlp(**arguments(row.skmlp[0]), tol=10.0)
    assert len(peer.history.epoch) == model.n_iter_ == 10
    assert_trained_equally(peer, model, start)


@of_row("`validation_split=0.1`, the last n samples")
def test_last_samples_validate(
    row, start, digits, evaluate, arguments, fit_keras, fit_skmlp
):
    X, y = digits
    peer = fit_keras(**arguments(row.peer[0]))
    fit = partial(fit_skmlp, **arguments(row.skmlp[0]))
    model = evaluate(row.skmlp[1], fit=fit, X=X, y=y, n=len(X) // 10)
    assert_trained_equally(peer, model, start)
    losses = peer.history.history["val_loss"]
    np.testing.assert_allclose(model.history_[:, "valid_loss"], losses, rtol=1e-6)


@of_row("`EarlyStopping(patience=p, min_delta=d, restore_best_weights=True)`")
@pytest.mark.parametrize(
    ("p", "d", "best", "last"),
    # The losses are 2.27, 2.20, 2.16, 2.12, 2.09, 2.06, 2.05, 2.04, 2.03, 2.03, 2.04.
    [(1, 0.0, 9, 10), (3, 0.0, 9, 12), (1, 0.05, 2, 3), (3, 0.05, 6, 9)],
)
def test_early_stopping_of_skorch_stops_and_restores_as_keras_does(
    row,
    p,
    d,
    best,
    last,
    start,
    validation_set,
    keras,
    evaluate,
    arguments,
    fit_keras,
    fit_skmlp,
):
    X_val, y_val = validation_set
    names = {"p": p, "d": d}
    callback = evaluate(row.peer[0], **vars(keras.callbacks), **names)
    peer = fit_keras(callbacks=[callback], epochs=60, validation_data=validation_set)
    names["EarlyStopping"] = skorch.callbacks.EarlyStopping
    params = arguments(row.skmlp[0], **names)
    model = fit_skmlp(X_val=X_val, y_val=y_val, **{**params, "max_iter": 60})
    assert len(peer.history.epoch) == model.n_iter_ == last
    assert callback.best_epoch + 1 == model.callbacks_[0].best_epoch_ == best
    assert_trained_equally(peer, model, start)


@of_row(
    '`ModelCheckpoint("best.weights.h5", monitor="val_accuracy", save_best_only=True, '
    "save_weights_only=True)`"
)
def test_weights_of_the_best_score_are_restored(
    row,
    start,
    validation_set,
    tmp_path,
    monkeypatch,
    keras,
    evaluate,
    arguments,
    fit_keras,
    fit_skmlp,
):
    monkeypatch.chdir(tmp_path)
    callback = evaluate(row.peer[0], **vars(keras.callbacks))
    peer = fit_keras(epochs=20, callbacks=[callback], validation_data=validation_set)
    X_val, y_val = validation_set
    model = fit_skmlp(
        X_val=X_val,
        y_val=y_val,
        max_iter=20,
        n_iter_no_change=20,
        **arguments(row.skmlp[0]),
    )
    assert 1 < model.best_epoch_ < 20
    assert difference(peer, model) > 1e-3
    peer.load_weights("best.weights.h5")
    assert_trained_equally(peer, model, start)


@of_row('`BackupAndRestore("run")`')
def test_interrupted_fit_continues_from_its_file(
    row, start, tmp_path, monkeypatch, keras, evaluate, arguments, fit_keras, fit_skmlp
):
    monkeypatch.chdir(tmp_path)

    class KerasStop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    class SkorchStop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise InterruptedError

    backup = partial(evaluate, row.peer[0], **vars(keras.callbacks))
    params = arguments(row.skmlp[0])
    peer, model = fit_keras(), fit_skmlp()
    with pytest.raises(InterruptedError):
        fit_keras(callbacks=[backup(), KerasStop()])
    with pytest.raises(InterruptedError):
        fit_skmlp(callbacks=[SkorchStop()], **params)
    continued = fit_keras(callbacks=[backup()]), fit_skmlp(**params)
    assert len(continued[0].history.epoch) == 1
    assert_trained_equally(peer, continued[1], start)
    assert_trained_equally(continued[0], model, start)


@of_row('`history.history["val_loss"], history.history["val_accuracy"]`')
def test_histories_have_losses_and_scores(
    row, validation_set, evaluate, fit_keras, fit_skmlp
):
    X_val, y_val = validation_set
    peer = fit_keras(validation_data=validation_set)
    model = fit_skmlp(X_val=X_val, y_val=y_val)
    theirs = evaluate(row.peer[0], history=peer.history)
    ours = evaluate(row.skmlp[0], model=model)
    # Keras's metrics are float32.
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@of_row("`model.evaluate(X, y), model.predict(X)`")
def test_scores_and_probabilities_have_methods(
    row, digits, evaluate, fit_keras, fit_skmlp
):
    names = dict(zip("Xy", digits, strict=True))
    (_, accuracy), expected = evaluate(row.peer[0], model=fit_keras(), **names)
    score, probabilities = evaluate(row.skmlp[0], model=fit_skmlp(), **names)
    assert score == pytest.approx(accuracy, rel=1e-6)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE)


@of_row('`model.save("model.keras"), load_model("model.keras")`')
def test_saved_models_load(
    row, digits, tmp_path, monkeypatch, keras, evaluate, fit_keras, fit_skmlp
):
    monkeypatch.chdir(tmp_path)
    peer, model = fit_keras(), fit_skmlp()
    _, loaded = evaluate(row.peer[0], model=peer, load_model=keras.models.load_model)
    names = {"save_model": save_model, "load_model": load_model}
    _, ours = evaluate(row.skmlp[0], model=model, **names)
    np.testing.assert_allclose(
        ours.predict_proba(digits[0]),
        loaded.predict(digits[0], verbose=0),
        rtol=0,
        atol=TOLERANCE,
    )


@pytest.fixture(scope="module")
def image():
    """Random image of shape (9, 9, 1)."""
    return np.random.default_rng(0).random((9, 9, 1))


def rotate(image, augmentation, degrees):
    """Rotate an image by an angle, otherwise as an augmentation would."""
    fixed = RandomAffine(
        degrees=(degrees, degrees), padding_mode=augmentation.padding_mode
    )
    images = torch.from_numpy(image).permute(2, 0, 1)[None]  # (1, 1, height, width)
    return fixed(images, torch.Generator()).numpy()[0].transpose(1, 2, 0)


@of_row("`ImageDataGenerator(rotation_range=10)`")
def test_generator_fills_with_the_nearest_pixel(row, image, evaluate, arguments):
    with warnings.catch_warnings(action="ignore"):
        tensorflow = pytest.importorskip("tensorflow")
    names = vars(tensorflow.keras.preprocessing.image)
    generator = evaluate(row.peer[0], **names)
    augmentation = arguments(row.skmlp[0], RandomAffine=RandomAffine)["augmentation"]
    assert augmentation.degrees == generator.rotation_range
    with warnings.catch_warnings(action="ignore"):  # it uses SciPy's former names
        expected = generator.apply_transform(image, {"theta": 7})
    # Keras computes in float32.
    np.testing.assert_allclose(
        rotate(image, augmentation, -7), expected, rtol=0, atol=1e-5
    )


@of_row("`RandomRotation(10 / 360)`")
def test_rotation_layer_fills_with_the_mirror_image(
    row, image, keras, layers, evaluate, arguments
):
    (layer,) = layers(row.peer[0])
    augmentation = arguments(row.skmlp[0], RandomAffine=RandomAffine)["augmentation"]
    assert np.array(layer.factor) * 360 == pytest.approx([-10, 10])
    keras.config.set_floatx("float32")  # the layer fails in float64
    fixed = keras.layers.RandomRotation((7 / 360, 7 / 360), fill_mode=layer.fill_mode)
    expected = np.array(fixed(image[None], training=True))[0]
    np.testing.assert_allclose(
        rotate(image, augmentation, -7), expected, rtol=0, atol=1e-5
    )
