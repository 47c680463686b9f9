"""The pictures by name: functions that draw them and return a caption."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from benchmarks.pictures.trained_models import TrainedModels
from skmlp.inspection import (
    AugmentationDisplay,
    FeatureMapDisplay,
    PredictionImageDisplay,
    TrainingCurveDisplay,
    TrainSizeCurveDisplay,
    WeightImageDisplay,
)
from skmlp.model_selection import TrainSizeSplit
from skmlp.preprocessing import PixelScaler

LR, MLP, SMALL, CNN, AUGMENTED = "lr", "mlp-50", "cnn-1", "cnn-3", "cnn-3-moved"
FEWEST_ROWS = 60  # one batch, when a tenth is used for validation
SEEDS = (0, 1, 2)

# A figure and its caption.
Picture = tuple[Figure, str]


def first_images(studio: TrainedModels) -> Picture:
    """Draw the first 50 training images under their labels."""
    figure, axes = plt.subplots(5, 10, figsize=(7.5, 4.4), layout="constrained")
    for ax, image, label in zip(
        axes.ravel(), studio.images, studio.data.y_train, strict=False
    ):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set_title(label, fontsize="small", pad=2)
        ax.set(xticks=[], yticks=[])
    return figure, f"The first 50 training images of {studio.data.name}."


def training_curves(studio: TrainedModels) -> Picture:
    """Draw loss and accuracy over the epochs, of training set and validation set."""
    names = (LR, MLP, SMALL, CNN)
    figure, axes = plt.subplots(
        len(names), 2, figsize=(8, 2.3 * len(names)), layout="constrained"
    )
    for name, row in zip(names, axes, strict=True):
        TrainingCurveDisplay.from_estimator(
            studio.fitted(name), ax=row, score_name="Accuracy"
        )
        accuracy = f"{name}, test accuracy {studio.accuracy(name)}"
        for ax, title in zip(row, (name, accuracy), strict=True):
            ax.set_title(title, fontsize="medium", loc="left")
            legend = ax.get_legend()
            legend.remove()
    words = ["training", "validation", "best epoch"]
    figure.legend(legend.legend_handles, words, loc="outside lower center", ncols=3)
    return figure, (
        "Loss and accuracy after every epoch, on the training set (solid lines) and "
        "the validation set (dashed), with the best epoch."
    )


def softmax_weights(studio: TrainedModels) -> Picture:
    """Draw the weights of every class."""
    display = WeightImageDisplay.from_estimator(studio.fitted(LR)[-1])
    display.figure_.suptitle("Weights of the classes")
    return display.figure_, (
        "Softmax regression: the weights of every class as an image, white at zero; "
        f"test accuracy {studio.accuracy(LR)}."
    )


def hidden_weights(studio: TrainedModels) -> Picture:
    """Draw the weights of every hidden unit."""
    display = WeightImageDisplay.from_estimator(studio.fitted(MLP)[-1])
    display.figure_.suptitle("Weights of the hidden units")
    return display.figure_, (
        "An MLP of 50 hidden units: their weights as images, on one color scale; "
        f"test accuracy {studio.accuracy(MLP)}."
    )


def output_unit(studio: TrainedModels) -> Picture:
    """Draw the hidden units, framed by their weights to one class."""
    network = studio.fitted(MLP)[-1]
    weights = network.coefs_[-1]
    label = network.classes_[np.argmax((np.abs(weights) > 0.75).sum(axis=0))]
    display = WeightImageDisplay.from_estimator(network, output=label)
    display.figure_.suptitle(f"Hidden units as class {label} sees them")
    return display.figure_, (
        f"Hidden units as class {label} sees them. A weight above 0.75 to the class "
        "has a solid green frame, a weight below -0.75 a dashed red one. The bars are "
        "the weights of the class."
    )


def filters(studio: TrainedModels) -> Picture:
    """Draw the filters of the first convolution."""
    display = WeightImageDisplay.from_estimator(studio.fitted(CNN)[-1])
    display.figure_.suptitle("Filters of the first convolution")
    return display.figure_, (
        f"The {len(display.images)} filters of a CNN's first convolution; test "
        f"accuracy {studio.accuracy(CNN)}."
    )


def augmentation(studio: TrainedModels) -> Picture:
    """Draw images with augmented copies."""
    network = studio.unfitted(AUGMENTED)
    labels, places = np.unique(studio.data.y_train, return_index=True)
    display = AugmentationDisplay.from_estimator(
        network, studio.images[places[:4]], n_copies=7, random_state=studio.seed
    )
    return display.figure_, (
        f"Images of {', '.join(map(str, labels[:4]))} and augmented copies of "
        "them: rotation, shift, shear and zoom, newly drawn for every batch."
    )


def feature_maps(studio: TrainedModels) -> Picture:
    """Draw the output of every layer for the first test image."""
    row, label = studio.data.X_test[0], studio.data.y_test[0]
    display = FeatureMapDisplay.from_estimator(
        studio.fitted(CNN), row, image_shape=studio.data.image_shape, max_maps=40
    )
    display.figure_.suptitle(f"Feature maps of an image of {label}")
    return display.figure_, (
        f"The output of every layer of a CNN for the first test image, a {label}. The "
        "last one is a bar for every class."
    )


def worst_mistakes(studio: TrainedModels) -> Picture:
    """Draw the test images with the largest loss."""
    X, y = studio.data.X_test, studio.data.y_test
    probabilities = studio.fitted(CNN).predict_proba(X)
    display = PredictionImageDisplay.from_predictions(
        y, probabilities, studio.as_images(X), n_images=20
    )
    wrong = int(
        (probabilities.argmax(axis=1) != np.searchsorted(np.unique(y), y)).sum()
    )
    return display.figure_, (
        f"The worst of {wrong} mistakes on {len(y):,} test images, with true label, "
        "predicted label and its probability."
    )


def train_sizes(studio: TrainedModels) -> Picture:
    """Draw accuracy against the number of training samples."""
    models = {
        name: make_pipeline(
            PixelScaler(pixel_max=studio.data.pixel_max), studio.unfitted(name)
        )
        for name in (LR, MLP)
    }
    most = int(0.8 * len(studio.data.y_train))
    sizes = np.geomspace(min(FEWEST_ROWS, most // 2), most, 5).astype(int)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        display = TrainSizeCurveDisplay.from_estimator(
            models,
            studio.data.X_train,
            studio.data.y_train,
            cv=TrainSizeSplit(sizes),
            seeds=SEEDS,
            scoring="accuracy",
        )
    display.figure_.set_size_inches(6, 4)
    return display.figure_, (
        "Validation accuracy against the number of training samples, over "
        f"{len(SEEDS)} seeds."
    )


def confusion(studio: TrainedModels) -> Picture:
    """Draw scikit-learn's confusion matrix."""
    figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
    ConfusionMatrixDisplay.from_estimator(
        studio.fitted(CNN),
        studio.data.X_test,
        studio.data.y_test,
        cmap="Blues",
        colorbar=False,
        ax=ax,
    )
    return figure, "scikit-learn's confusion matrix of the same CNN on the test set."


def calibration(studio: TrainedModels) -> Picture:
    """Draw scikit-learn's reliability curves of the predicted classes."""
    figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
    for name, marker, color in (
        (LR, "s", "#0072B2"),  # colors of Okabe and Ito, as in the other displays
        (MLP, "o", "#E69F00"),
        (CNN, "^", "#009E73"),
    ):
        model = studio.fitted(name)
        probabilities = model.predict_proba(studio.data.X_test)
        predicted = model.classes_[probabilities.argmax(axis=1)]
        CalibrationDisplay.from_predictions(
            predicted == studio.data.y_test,
            probabilities.max(axis=1),
            n_bins=5,
            name=name,
            ax=ax,
            marker=marker,
            color=color,
        )
    ax.set(
        xlabel="Probability of the predicted class",
        ylabel="Share of predictions that are right",
    )
    return figure, (
        "scikit-learn's calibration curves: how often a prediction of a given "
        "probability is right."
    )


PICTURES: dict[str, Callable[[TrainedModels], Picture]] = {
    "first-images": first_images,
    "training-curves": training_curves,
    "softmax-weights": softmax_weights,
    "hidden-weights": hidden_weights,
    "output-unit": output_unit,
    "filters": filters,
    "augmentation": augmentation,
    "feature-maps": feature_maps,
    "worst-mistakes": worst_mistakes,
    "train-sizes": train_sizes,
    "confusion-matrix": confusion,
    "calibration": calibration,
}


def close(figure: Any) -> None:
    """Release a figure's memory."""
    plt.close(figure)
