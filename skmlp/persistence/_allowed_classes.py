"""The classes and functions that a model file may name; loading creates no others."""

from collections.abc import Callable
from typing import Any

import torch
from sklearn import compose, decomposition, feature_selection, impute
from sklearn import preprocessing as sklearn_preprocessing
from sklearn.feature_extraction import text
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from skmlp import augmentation, neural_network, preprocessing
from skmlp._sklearn_bases import BaseEstimator

_PUBLIC_CLASSES: list[type] = [
    getattr(package, name)
    for package in (augmentation, neural_network, preprocessing)
    for name in package.__all__
]

# Parameters, fitted attributes and methods of these classes are data and arithmetic.
# Their work with hostile attributes is bounded by the size of the file and of X.
_SKLEARN_CLASSES: list[type] = [
    compose.ColumnTransformer,
    compose.TransformedTargetRegressor,
    compose.make_column_selector,
    decomposition.PCA,
    decomposition.TruncatedSVD,
    feature_selection.SelectKBest,
    feature_selection.SelectPercentile,
    feature_selection.VarianceThreshold,
    impute.MissingIndicator,
    impute.SimpleImputer,
    sklearn_preprocessing.Binarizer,
    sklearn_preprocessing.FunctionTransformer,
    sklearn_preprocessing.KBinsDiscretizer,
    sklearn_preprocessing.MaxAbsScaler,
    sklearn_preprocessing.MinMaxScaler,
    sklearn_preprocessing.Normalizer,
    sklearn_preprocessing.OneHotEncoder,
    sklearn_preprocessing.OrdinalEncoder,
    sklearn_preprocessing.PowerTransformer,
    sklearn_preprocessing.QuantileTransformer,
    sklearn_preprocessing.RobustScaler,
    sklearn_preprocessing.StandardScaler,
    text.CountVectorizer,
    text.TfidfTransformer,
    text.TfidfVectorizer,
    FeatureUnion,
]

ALLOWED_CLASSES: dict[str, type] = {
    **{
        f"skmlp.{cls.__name__}": cls
        for cls in _PUBLIC_CLASSES
        if issubclass(cls, BaseEstimator)
    },
    "skmlp.TableEncoder": neural_network.TabularClassifier.encoder_class,
    **{f"sklearn.{cls.__name__}": cls for cls in _SKLEARN_CLASSES},
    "sklearn.FrozenEstimator": FrozenEstimator,
    "sklearn.Pipeline": Pipeline,
}

NAME_OF_CLASS = {cls: name for name, cls in ALLOWED_CLASSES.items()}

# Files with fitted attributes of these classes record scikit-learn's version. The
# other classes of scikit-learn have no attributes that depend on it.
VERSIONED_CLASSES = frozenset(_SKLEARN_CLASSES)

# Parameters that must have these values. Texts would be taken as names of files, and a
# hostile pattern would search them for ever.
_OF_VECTORIZERS = {"input": "content", "token_pattern": r"(?u)\b\w\w+\b"}
REQUIRED_PARAMETERS: dict[type, dict[str, str]] = {
    text.CountVectorizer: _OF_VECTORIZERS,
    text.TfidfVectorizer: _OF_VECTORIZERS,
}

# Attributes that are not stored, because they mean something in their process only.
UNSTORED_ATTRIBUTES = frozenset({"_metadata_request", "_stop_words_id"})

# Classes of torch that may be the `solver` or the `activation` of a network. A version
# of torch may lack some of them.
_TORCH_CLASSES: list[Callable[..., Any]] = [
    getattr(module, name)
    for module, names in (
        (
            torch.optim,
            "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop "
            "Rprop SGD",
        ),
        (
            torch.nn,
            "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity "
            "LeakyReLU LogSigmoid Mish PReLU ReLU ReLU6 SELU SiLU Sigmoid Softplus "
            "Softshrink Softsign Tanh Tanhshrink",
        ),
    )
    for name in names.split()
    if hasattr(module, name)
]

# The score functions of `SelectKBest` and `SelectPercentile`, and classes of torch.
ALLOWED_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"torch.{cls.__name__}": cls for cls in _TORCH_CLASSES},
    **{
        f"sklearn.{function.__name__}": function
        for function in (
            feature_selection.chi2,
            feature_selection.f_classif,
            feature_selection.f_regression,
            feature_selection.mutual_info_classif,
            feature_selection.mutual_info_regression,
            feature_selection.r_regression,
        )
    },
}

NAME_OF_FUNCTION = {function: name for name, function in ALLOWED_FUNCTIONS.items()}

# Parameters that name a file or a folder. No path is written to a file or read from it:
# joblib would run code from a folder of a hostile file's choice.
PATH_PARAMETERS = frozenset({"checkpoint", "memory"})
