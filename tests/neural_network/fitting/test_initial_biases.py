"""The initial biases of a network: class priors, zeros or copies."""

import numpy as np
import pytest

from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression

# With this learning rate the weights hardly change.
NO_TRAINING = {"learning_rate_init": 1e-12, "max_iter": 1, "random_state": 0}
NO_FEATURES = np.zeros((1, 4), dtype=np.float32)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)


def make_samples(counts):
    """Return random features, and as many labels of each class as `counts` says."""
    y = np.repeat(np.arange(len(counts)), counts)
    X = np.random.default_rng(0).normal(size=(len(y), 4))
    return X.astype(np.float32), y


@pytest.mark.parametrize("counts", [(5, 15), (10, 20, 70)])
@pytest.mark.parametrize(
    ("params", "fit_params", "factor"),
    [
        ({}, {}, 1.0),
        ({"class_weight": {0: 2.0, 1: 1.0, 2: 1.0}}, {}, 2.0),
        ({}, {"of_class_0": 3.0}, 3.0),
        ({"train_size": 0.6}, {}, 1.0),
        ({"early_stopping": True, "validation_fraction": 0.2}, {}, 1.0),
        ({"early_stopping": True, "refit_full": True}, {}, 1.0),
    ],
    ids=["plain", "class weight", "sample weight", "train size", "split", "refit"],
)
def test_softmax_regression_starts_at_class_priors(counts, params, fit_params, factor):
    X, y = make_samples(counts)
    if "class_weight" in params:
        params = {"class_weight": {k: params["class_weight"][k] for k in np.unique(y)}}
    weight = None
    if fit_params:
        weight = np.where(y == 0, fit_params["of_class_0"], 1.0)
    model = SoftmaxRegression(**NO_TRAINING, **params).fit(X, y, weight)
    odds = np.array(counts, dtype=float)
    odds[0] *= factor
    probabilities = model.predict_proba(NO_FEATURES)
    np.testing.assert_allclose(probabilities, [odds / odds.sum()], rtol=1e-5)
    assert model.coefs_[0].any()


def test_cnn_starts_at_class_priors():
    X, y = make_samples((10, 20, 70))
    model = CNNClassifier(
        (2,), hidden_layer_sizes=(), image_shape=(2, 2), **NO_TRAINING
    )
    model.set_params(pool=None).fit(X, y)
    for layer in model.intercepts_[:-1]:
        layer[:] = 0.0
    probabilities = model.predict_proba(NO_FEATURES)
    np.testing.assert_allclose(probabilities, [[0.1, 0.2, 0.7]], rtol=1e-5)


def test_multilabel_biases_start_at_label_priors():
    X, _ = make_samples((20,))
    Y = np.zeros((20, 3), dtype=int)
    Y[:5, 0] = Y[:10, 1] = 1
    model = SoftmaxRegression(**NO_TRAINING).fit(X, Y)
    probabilities = model.predict_proba(NO_FEATURES)
    # A label without any sample counts as half a sample of 20.
    odds = np.array([5 / 15, 10 / 10, 0.5 / 20])
    np.testing.assert_allclose(probabilities, [odds / (1 + odds)], rtol=1e-5)


def test_class_missing_from_first_batch_can_be_learned():
    X, y = make_samples((10, 10))
    model = SoftmaxRegression(random_state=0, learning_rate_init=0.1)
    model.partial_fit(X, y, classes=[0, 1, 2])
    priors = model.predict_proba(NO_FEATURES)[0]
    assert 0.0 < priors[2] < 0.05
    later = np.random.default_rng(1).normal(5.0, size=(20, 4)).astype(np.float32)
    for _ in range(30):
        model.partial_fit(later, np.full(20, 2))
    assert (model.predict(later) == 2).all()


def test_tiny_sample_weight_does_not_suppress_missing_class():
    X, y = make_samples((30, 30))
    weight = np.ones(60)
    weight[0] = 1e-30
    model = SoftmaxRegression(random_state=0)
    model.partial_fit(X, y, classes=[0, 1, 2], sample_weight=weight)
    assert model.predict_proba(NO_FEATURES)[0, 2] > 0.005


@pytest.mark.parametrize("init", ["zeros", "glorot_uniform"])
@pytest.mark.parametrize(
    "model", [SoftmaxRegression(), CNNClassifier((2,), image_shape=(2, 2))]
)
def test_named_initializer_starts_biases_at_zero(model, init):
    X, y = make_samples((10, 20, 70))
    model.set_params(init=init, **NO_TRAINING).fit(X, y)
    for intercepts in model.intercepts_:
        np.testing.assert_allclose(intercepts, 0.0, atol=1e-9)


def test_mlp_biases_start_as_in_sklearn():
    X, y = make_samples((10, 20, 70))
    model = MLPClassifier((3,), class_weight="balanced", **NO_TRAINING).fit(X, y)
    bound = np.sqrt(6 / (3 + 3))
    expected = np.random.RandomState(0)
    for shape in ((4, 3), (3,), (3, 3)):
        expected.uniform(size=shape)
    np.testing.assert_allclose(
        model.intercepts_[1], expected.uniform(-bound, bound, 3), rtol=1e-6
    )


def test_init_from_copies_biases():
    X, y = make_samples((10, 20, 70))
    first = SoftmaxRegression(random_state=0, max_iter=20).fit(X, y)
    second = SoftmaxRegression(init_from=first, **NO_TRAINING).fit(X, y[::-1].copy())
    np.testing.assert_allclose(second.intercepts_[0], first.intercepts_[0], rtol=1e-6)
