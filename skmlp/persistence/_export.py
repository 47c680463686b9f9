"""Networks for programs that do without skmlp: plain torch modules, ONNX."""

import copy
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmlp.storage.atomic_files import write_durably


def to_torch(estimator: Any) -> nn.Module:
    """Return a copy of a fitted estimator's network, made of torch's own parts.

    Parameters
    ----------
    estimator : object
        A fitted network of `skmlp.neural_network`. For a Pipeline give its last step;
        what comes before is not part of a network.

    Returns
    -------
    network : nn.Module
        On the CPU, in evaluation mode, with weights of its own. It takes a tensor of
        shape (n_samples, n_features) in the dtype of training, images as flat rows
        with channels last, and returns logits of shape (n_samples, n_outputs). Names of
        parameters are those of ``net_.module_``. A network of convolutions is a
        `torch.fx.GraphModule`.

    Raises
    ------
    TypeError
        If the estimator is no network.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp.neural_network import MLPRegressor
    >>> from skmlp.persistence import to_torch
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", tol=0.1)
    >>> to_torch(model.fit(X, y))
    Sequential(
      (dense1): Linear(in_features=4, out_features=5, bias=True)
      (dense1_activation): ReLU()
      (output): Linear(in_features=5, out_features=1, bias=True)
    )
    """
    if not hasattr(type(estimator), "__skmlp_state__"):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; give one fitted network of "
            "skmlp.neural_network, for a Pipeline its last step."
        )
    check_is_fitted(estimator)
    network = _plain(copy.deepcopy(estimator.net_.module_).cpu()).eval()
    for parameter in network.parameters():
        # Until here they are views of one vector, which would be saved with each.
        parameter.data = parameter.data.clone()
        parameter.grad = None
    if all(_is_of_torch(type(layer)) for layer in network.modules()):
        return network
    return torch.fx.symbolic_trace(network)


def _is_of_torch(cls: type) -> bool:
    return cls.__module__.startswith("torch.nn.")


def _plain(module: nn.Module) -> nn.Module:
    """Replace what skmlp derives from torch's layers by those, all the way down."""
    for name, child in module.named_children():
        setattr(module, name, _plain(child))
    if _is_of_torch(type(module)):
        return module
    if type(module).__name__ == "Dropout":
        channels, p = bool(module.channels), float(module.p)  # type: ignore[arg-type]
        return nn.Dropout2d(p) if channels else nn.Dropout(p)
    base = next(cls for cls in type(module).__mro__ if _is_of_torch(cls))
    if base is not nn.Module:
        # Ours differ from torch's in methods that only training calls.
        module.__class__ = base
    return module


def to_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator's network in the ONNX format.

    The graph has one input, ``rows`` of shape (n_samples, n_features), and one output,
    ``logits`` of shape (n_samples, n_outputs), for any number of samples.

    Parameters
    ----------
    estimator : object
        As `to_torch` takes it.
    path : str or path-like
        Where to save it, replaced only by the whole new file.

    Raises
    ------
    ImportError
        If ``onnx`` or ``onnxscript`` are not installed, which torch exports with.
    TypeError, NotFittedError
        As `to_torch` raises them.
    OSError
        If the file cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        try:
            import_module(package)
        except ImportError as error:
            raise ImportError(
                f"to_onnx needs {package}, which is not installed; pip install onnx "
                "onnxscript."
            ) from error
    network = to_torch(estimator)
    first = next(network.parameters())
    program = torch.onnx.export(
        network,
        (torch.zeros(2, estimator.n_features_in_, dtype=first.dtype),),
        input_names=["rows"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    write_durably(Path(path), program.model_proto.SerializeToString())
