"""Export fitted models in the ONNX format, by skl2onnx and torch's exporter."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skmlp import neural_network, preprocessing
from skmlp._sklearn_bases import BaseSearchCV
from skmlp.persistence._onnx_converters import (
    Conversion,
    convert_ensemble,
    convert_network,
    convert_pixel_scaler,
    convert_pixel_standardizer,
    set_output_types,
)
from skmlp.storage.atomic_files import write_durably

_PACKAGES = ("skl2onnx", "onnx", "onnxscript")

# Options of skl2onnx for all of its classifiers.
_CLASSIFIER_OPTIONS = {
    "nocl": [False],
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
}


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str],
    X: Any = None,
    *,
    dtype: str = "float32",
) -> None:
    """Save a fitted estimator in the ONNX format.

    Networks, ensembles and searches of skmlp are converted, and Pipelines and
    meta-estimators of scikit-learn that contain them. skl2onnx converts all steps that
    are not skmlp's.

    - The input is ``X`` of shape (n_samples, n_features). The number of samples is
      variable. Images are flat samples with channels last.
    - A classifier has the outputs ``label`` and ``probabilities``. Labels are strings
      or integers.
    - A regressor or a transformer has the output ``variable`` of shape
      (n_samples, n_outputs).

    Parameters
    ----------
    estimator : object
        Fitted.
    path : str or path-like
        The file. An existing file is replaced when the new one is complete.
    X : {array-like, DataFrame} or None, default=None
        A few samples as `predict` takes them. Give them if the columns have different
        types: each column of a DataFrame is then an input of its own.
    dtype : {'float32', 'float64'}, default='float32'
        Precision of input and computation. onnxruntime has no kernels in float64 for
        some activations, such as 'elu' and 'gelu'.

    Raises
    ------
    ImportError
        If ``skl2onnx``, ``onnx`` or ``onnxscript`` is not installed.
    TypeError
        If a step, or the type of the labels, cannot be converted.
    ValueError
        If `dtype` is neither 'float32' nor 'float64'.
    NotFittedError
        If the estimator is not fitted.
    OSError
        If the file cannot be written. An existing file is unchanged.

    See Also
    --------
    register_onnx_converters : Lets skl2onnx convert estimators of skmlp.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> from skmlp.persistence import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(solver="lbfgs").fit(X, y)
    >>> to_onnx(model, "iris.onnx")  # doctest: +SKIP
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float64'.")
    register_onnx_converters()
    check_is_fitted(estimator)
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.common.exceptions import (
        MissingConverter,
        MissingShapeCalculator,
    )

    if hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    initial_types = None
    if X is None:
        tensor = FloatTensorType if dtype == "float32" else DoubleTensorType
        initial_types = [("X", tensor([None, estimator.n_features_in_]))]
    elif hasattr(X, "iloc"):
        X = X.iloc[:1]
    else:
        X = np.asarray(X)[:1].astype(dtype)
    try:
        model = skl2onnx.to_onnx(
            estimator,
            X=X,
            initial_types=initial_types,
            options={"zipmap": False} if is_classifier(estimator) else None,
        )
    except (MissingConverter, MissingShapeCalculator) as error:
        raise TypeError(f"{type(estimator).__name__} has no ONNX form: {error}") from (
            error
        )
    write_durably(Path(path), model.SerializeToString())


def register_onnx_converters(*classes: type) -> None:
    """Let skl2onnx convert estimators of skmlp.

    Call it before ``skl2onnx.to_onnx``. `to_onnx` of skmlp calls it by itself. A second
    call changes nothing.

    Parameters
    ----------
    *classes : type
        Subclasses of skmlp's networks in other modules, to be converted as well. They
        predict as their base class does.

    Raises
    ------
    ImportError
        If ``skl2onnx``, ``onnx`` or ``onnxscript`` is not installed.
    TypeError
        If a class is no network of skmlp.

    Examples
    --------
    >>> from skmlp.persistence import register_onnx_converters
    >>> register_onnx_converters()  # doctest: +SKIP
    """
    for package in _PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise ImportError(
                f"to_onnx needs {package}, which is not installed; pip install "
                f"{' '.join(_PACKAGES)}."
            ) from error
    for cls in classes:
        if not hasattr(cls, "__skmlp_state__"):
            raise TypeError(f"{cls.__name__} is not derived from a network of skmlp.")
        _register(cls, convert_network)
    for name in neural_network.__all__:
        cls = getattr(neural_network, name)
        if hasattr(cls, "__skmlp_state__"):
            _register(cls, convert_network)
        elif name.startswith("Ensemble"):
            _register(cls, convert_ensemble)
    _register(preprocessing.PixelScaler, convert_pixel_scaler)
    _register(preprocessing.PixelStandardizer, convert_pixel_standardizer)
    for cls in _subclasses(BaseSearchCV):
        _register_search(cls)


def _register(cls: type, convert: Conversion) -> None:
    """Register the converter of a class of estimators."""
    from skl2onnx import update_registered_converter

    update_registered_converter(
        cls,
        f"Skmlp{cls.__name__}",
        set_output_types,
        convert,
        options=_CLASSIFIER_OPTIONS if hasattr(cls, "predict_proba") else None,
    )


def _subclasses(cls: Any) -> Iterator[type]:
    """Yield the subclasses of a class, at every depth."""
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _register_search(cls: type) -> None:
    """Register a class of searches: their best estimator is converted."""
    from skl2onnx import update_registered_parser
    from skl2onnx._parse import parse_sklearn
    from skl2onnx._supported_operators import sklearn_operator_name_map

    def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        if options := scope.get_options(model, {}):
            scope.add_options(id(model.best_estimator_), options)
        return parse_sklearn(scope, model.best_estimator_, inputs, custom_parsers)

    if cls in sklearn_operator_name_map:
        return
    # In meta-estimators skl2onnx asks for converters by this name.
    sklearn_operator_name_map[cls] = "SklearnGridSearchCV"
    update_registered_parser(cls, parse)
