"""Save estimators to files, and load them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from skmlp.persistence._estimator_decoder import MissingModuleError, decode_estimator
from skmlp.persistence._estimator_encoder import encode_estimator
from skmlp.storage.atomic_files import write_durably
from skmlp.storage.container import (
    ModelFileError,
    open_container,
    serialize_container,
)


def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator, fitted or not, to a file that holds no code.

    - The format is safetensors, so other programs can read the arrays.
    - Equal models give equal files.
    - The file is written completely before it replaces `path`. So `path` is never a
      partial file.

    Parameters
    ----------
    estimator : object
        An estimator or transformer of skmlp, a common transformer of scikit-learn, or
        a `sklearn.pipeline.Pipeline` of them. These transformers of scikit-learn are
        supported:

        - ``Binarizer``, ``KBinsDiscretizer``, ``MaxAbsScaler``, ``MinMaxScaler``,
          ``Normalizer``, ``OneHotEncoder``, ``OrdinalEncoder``, ``PowerTransformer``,
          ``QuantileTransformer``, ``RobustScaler``, ``StandardScaler``,
        - ``ColumnTransformer``, ``FeatureUnion``, ``TransformedTargetRegressor``,
        - ``MissingIndicator``, ``SimpleImputer``,
        - ``PCA``, ``TruncatedSVD``,
        - ``CountVectorizer``, ``TfidfTransformer``, ``TfidfVectorizer``,
        - ``SelectKBest``, ``SelectPercentile``, ``VarianceThreshold``,
        - ``FunctionTransformer`` without a function.
    path : str or path-like
        The file. An existing file is replaced. The name may have any suffix.

    Raises
    ------
    TypeError
        If a parameter cannot be stored in a file without code, for example a function
        or a callback. The message names the parameter.
    ValueError
        If parameters were changed after `fit` and no longer describe the fitted
        network.
    OSError
        If the file cannot be written. An earlier file at `path` is unchanged.

    See Also
    --------
    load_model : Load an estimator from a file.

    Notes
    -----
    The file holds all parameters and fitted attributes, with these exceptions:

    - ``callbacks_``,
    - the state of the optimizer and of the learning-rate schedule,
    - paths: `checkpoint`, and `memory` of a Pipeline, are None after loading.

    `partial_fit` of a loaded estimator continues from its weights with a new optimizer
    and a new schedule.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> from skmlp.persistence import load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(solver="lbfgs", random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "iris.safetensors")
    ...     loaded = load_model(Path(folder) / "iris.safetensors")
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    description, arrays = encode_estimator(estimator)
    write_durably(Path(path), serialize_container(description, arrays))


def load_model(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    modules: Sequence[Callable[..., Any]] = (),
) -> Any:
    """Load an estimator that `save_model` saved.

    No code is loaded from the file, and no path is taken from it. It can name only the
    classes that `save_model` accepts and `sklearn.frozen.FrozenEstimator`. Files of
    unknown origin are therefore safe to load. An `n_jobs` beyond the number of cores
    becomes -1, which means all cores.

    Parameters
    ----------
    path : str or path-like
        The file.
    device : str or torch.device, default='auto'
        The device on which networks will predict. 'auto' is the device of the training,
        or the CPU if this machine does not have that device. The
        parameter `device` of the estimator, which the next `fit` uses, is not changed.
    modules : sequence of class or callable, default=()
        The classes and functions that a `TorchClassifier` or `TorchRegressor` in the
        file was made with: its `module`, and arguments of it such as
        ``module__activation=nn.ReLU``. The file has their names only. It chooses the
        numbers and texts that they are called with.

    Returns
    -------
    estimator : object
        The estimator with its parameters and fitted attributes. On the same type of
        device, its predictions equal those of the saved estimator to the bit.

    Raises
    ------
    ModelFileError
        If the file is not a whole model, or has a newer format.
    ValueError
        If this machine does not have `device`, or if `modules` lacks one that the file
        names.
    OSError
        If the file cannot be read.

    Warns
    -----
    sklearn.exceptions.InconsistentVersionWarning
        If the file has transformers of another version of scikit-learn.

    See Also
    --------
    save_model : Save an estimator to a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmlp.persistence import load_model, save_model
    >>> from skmlp.preprocessing import PixelScaler
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "scaler.safetensors")
    ...     save_model(PixelScaler(pixel_max=16), path)
    ...     load_model(path)
    PixelScaler(pixel_max=16)
    """
    if device != "auto":
        _check_device(device)
    path = Path(path)
    by_name = _modules_by_name(modules)
    with open_container(path) as (description, arrays):
        try:
            return decode_estimator(description, arrays, device, by_name)
        except MissingModuleError as error:
            raise ValueError(
                f"{path} was saved with module={error}, whose code is not in the file; "
                f"give it again, load_model(path, modules=[{error}])."
            ) from error
        except Exception as error:
            # Any error here is caused by the content of the file.
            reason = f"{type(error).__name__}: {error}"[:500].rstrip(".")
            raise ModelFileError(f"{path} is no model: {reason}.") from error


def _modules_by_name(modules: Sequence[Callable[..., Any]]) -> dict[str, Any]:
    """Return classes and functions by the names that a file has for them."""
    by_name: dict[str, Any] = {}
    for module in modules:
        name = getattr(module, "__qualname__", None)
        if name is None or not callable(module):
            raise TypeError(
                f"modules holds {module!r}; give the classes or functions that the "
                "estimator was made with."
            )
        if by_name.setdefault(name, module) is not module:
            raise ValueError(f"modules holds two different objects called {name}.")
    return by_name


def _check_device(device: str | torch.device) -> None:
    """Refuse a device that this machine does not have, or that holds no values."""
    try:
        # A value is read back: the device 'meta' has arrays without values.
        torch.zeros(1, device=device).item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has none; use "
            "device='auto' or 'cpu'."
        ) from error
