"""The classes that a file may name; nothing else is ever made from one."""

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skmlp import augmentation, neural_network, preprocessing

_OURS: tuple[type, ...] = (
    neural_network.CNNClassifier,
    neural_network.MLPClassifier,
    neural_network.MLPRegressor,
    neural_network.SoftmaxRegression,
    preprocessing.PixelScaler,
    preprocessing.PixelStandardizer,
    augmentation.Compose,
    augmentation.GaussianNoise,
    augmentation.RandomAffine,
    augmentation.RandomCrop,
    augmentation.RandomErasing,
    augmentation.RandomHorizontalFlip,
)

CLASSES: dict[str, type] = {
    **{f"skmlp.{cls.__name__}": cls for cls in _OURS},
    "sklearn.FrozenEstimator": FrozenEstimator,
    "sklearn.Pipeline": Pipeline,
}

NAMES = {cls: name for name, cls in CLASSES.items()}
