"""Predictions are averaged over augmented views of each image."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skmlp.augmentation import RandomAffine
from skmlp.neural_network import CNNClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)


@pytest.fixture
def fit_cnn(digits32):
    """Function that fits a CNN of one convolution for two epochs."""

    def fit(**params):
        defaults = {"conv_channels": 4, "hidden_layer_sizes": (), "max_iter": 2}
        model = CNNClassifier(**defaults | params, random_state=0)
        with pytest.warns(ConvergenceWarning):
            return model.fit(*digits32)

    return fit


def test_identity_views_leave_predictions_unchanged(digits32, fit_cnn):
    X, _ = digits32
    plain, views = (
        fit_cnn(),
        fit_cnn(predict_augmentation=RandomAffine(), predict_views=3),
    )
    np.testing.assert_allclose(
        views.decision_function(X), plain.decision_function(X), atol=1e-5
    )


def test_logits_are_averaged_over_image_and_views(digits32, fit_cnn):
    X, _ = digits32

    def flip(images, generator):
        return images.flip(-1)

    model = fit_cnn(predict_augmentation=flip, predict_views=1)
    flipped = X.reshape(-1, 8, 8)[:, :, ::-1].reshape(X.shape)
    model.predict_augmentation = None
    expected = (model.decision_function(X) + model.decision_function(flipped)) / 2
    model.predict_augmentation = flip
    np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-5)


def test_views_are_equal_in_every_call(digits32, fit_cnn):
    X, _ = digits32
    model = fit_cnn(predict_augmentation=RandomAffine(translate=0.2), predict_views=2)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))


def test_shape_changing_augmentation_is_refused(digits32):
    X, y = digits32
    with pytest.raises(ValueError, match="it has to keep the shape"):
        CNNClassifier(augmentation=lambda images, _: images[..., :4]).fit(X, y)


def test_invalid_augmentation_is_refused_before_training(digits32):
    X, y = digits32
    with pytest.raises(ValueError, match="degrees=-1 was given to RandomAffine"):
        CNNClassifier(augmentation=RandomAffine(degrees=-1)).fit(X, y)
