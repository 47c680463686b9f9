"""Save estimators and load them again."""

import os
from pathlib import Path
from typing import Any

import torch

from skmlp.persistence._decoding import decode
from skmlp.persistence._encoding import encode
from skmlp.storage.container import ModelFileError, opened, pack
from skmlp.storage.durable import write_durably


def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator, fitted or not, to a file that holds no code.

    The file is safetensors: other programs can read the arrays. Equal models give equal
    files. It is written beside `path`, brought to the disk and renamed, so that a file
    at `path` is always whole.

    Parameters
    ----------
    estimator : object
        An estimator or transformer of skmlp, or a `sklearn.pipeline.Pipeline` of them.
    path : str or path-like
        Where to save it; an existing file is replaced. Any suffix will do.

    Raises
    ------
    TypeError
        If a parameter holds what a file without code cannot, such as a function or a
        callback; the message names it.
    ValueError
        If parameters were changed after `fit` so that they mean another network.
    OSError
        If the file cannot be written; what was at `path` before is untouched then.

    See Also
    --------
    load_model : Load it again.

    Notes
    -----
    All parameters and fitted attributes are kept, but for ``callbacks_`` and the state
    of the optimizer and of the schedule of the learning rate: `partial_fit` after
    loading goes on from the weights with fresh ones.

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
    write_durably(Path(path), pack(*encode(estimator)))


def load_model(
    path: str | os.PathLike[str], *, device: str | torch.device = "auto"
) -> Any:
    """Load an estimator that `save_model` saved.

    No code comes from the file: it can name the classes of skmlp, and Pipeline, and
    nothing else. Files from others may be loaded without trusting them.

    Parameters
    ----------
    path : str or path-like
        The file.
    device : str or torch.device, default='auto'
        Where networks are to predict. 'auto' is where they were trained, or the CPU
        where there is no such device. The parameter `device` of an estimator, which
        counts for the next fit, stays as it is.

    Returns
    -------
    estimator : object
        With the parameters and fitted attributes that it was saved with. On the same
        kind of device it predicts the same bits.

    Raises
    ------
    ModelFileError
        If the file is not a whole model, or of a newer format.
    ValueError
        If this machine lacks `device`.
    OSError
        If the file cannot be read.

    See Also
    --------
    save_model : Save an estimator.
    """
    if device != "auto":
        _check_device(device)
    path = Path(path)
    with opened(path) as (description, arrays):
        try:
            return decode(description, arrays, device)
        except Exception as error:
            # What a description can contradict is without number; see `decode`.
            reason = f"{type(error).__name__}: {error}"[:500].rstrip(".")
            raise ModelFileError(f"{path} is no model: {reason}.") from error


def _check_device(device: str | torch.device) -> None:
    """Refuse a device that is not here, before the file is opened."""
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"device={str(device)!r} was requested, but this machine has none; use "
            "device='auto' or 'cpu'."
        ) from error
