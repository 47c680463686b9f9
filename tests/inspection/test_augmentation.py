"""Images and their augmented copies in AugmentationDisplay."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from skmlp.augmentation import RandomAffine, RandomHorizontalFlip
from skmlp.inspection import AugmentationDisplay
from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.preprocessing import PixelScaler


def test_copies_are_drawn_next_to_their_original(digits):
    X = digits[0][:3]
    display = AugmentationDisplay.from_augmentation(
        RandomHorizontalFlip(p=1.0), X, n_copies=2, random_state=0
    )
    assert display.axes_.shape == (3, 3)
    for i in range(3):
        np.testing.assert_array_equal(display.originals[i, ..., 0], X[i])
        for copied in display.copies[i]:
            np.testing.assert_array_equal(copied[..., 0], X[i, :, ::-1])
        original, first, _ = (ax.images[0].get_array() for ax in display.axes_[i])
        np.testing.assert_array_equal(first, original[:, ::-1])
    titles = [ax.get_title() for ax in display.axes_[0]]
    assert titles == ["original", "copy 1", "copy 2"]


def test_equal_seeds_and_generators_give_equal_copies(digits):
    augmentation = RandomAffine(degrees=30)
    X = digits[0][:2]
    first, again, generated, other = (
        AugmentationDisplay.from_augmentation(augmentation, X, random_state=seed).copies
        for seed in (3, 3, torch.Generator().manual_seed(3), 4)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, generated)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0, 0], first[0, 1])


def test_augmentation_without_seed_leaves_the_global_generator_unchanged(digits):
    state = torch.get_rng_state()
    AugmentationDisplay.from_augmentation(RandomAffine(degrees=9), digits[0][:1])
    assert torch.equal(torch.get_rng_state(), state)


def test_pipeline_transforms_images_before_augmentation(digits):
    X = np.round(digits[0][:2] * 255).astype(np.uint8)
    model = make_pipeline(
        PixelScaler(), CNNClassifier(augmentation=RandomHorizontalFlip(p=1.0))
    )
    model[0].fit(X)
    display = AugmentationDisplay.from_estimator(model, X, n_copies=1)
    np.testing.assert_allclose(display.copies[:, 0, ..., 0], X[:, :, ::-1] / 255)


def test_read_only_uint8_color_images_stay_uint8():
    X = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    X.flags.writeable = False
    display = AugmentationDisplay.from_augmentation(
        RandomHorizontalFlip(p=1.0), X, n_copies=1
    )
    assert display.copies.dtype == np.uint8
    np.testing.assert_array_equal(display.copies[0, 0], X[0, :, ::-1])


def test_callable_gets_one_batch_and_a_generator(digits):
    def darken(images, generator):
        assert images.shape == (4, 1, 8, 8)
        assert isinstance(generator, torch.Generator)
        return images / 2

    display = AugmentationDisplay.from_augmentation(darken, digits[0][:2], n_copies=2)
    np.testing.assert_allclose(display.copies[:, 0], display.originals / 2)


def test_estimator_without_augmentation_raises(digits):
    with pytest.raises(ValueError, match="MLPClassifier has augmentation=None"):
        AugmentationDisplay.from_estimator(MLPClassifier(), digits[0][:2])


@pytest.mark.parametrize("flat", [False, True])
def test_signals_are_augmented_along_time(flat):
    X = np.random.default_rng(0).random((3, 12, 2))
    flip = RandomHorizontalFlip(p=1.0)
    model = CNNClassifier(augmentation=flip, conv_dims=1)
    model.image_shape_ = (12, 2)
    given = X.reshape(3, -1) if flat else X
    display = AugmentationDisplay.from_estimator(model, given, n_copies=2)
    np.testing.assert_array_equal(display.originals[..., 0], X.transpose(0, 2, 1))
    for copied in display.copies[1]:
        np.testing.assert_array_equal(copied[..., 0], X[1, ::-1].T)
