"""Export networks to programs that do not use skmlp, as torch modules."""

import copy
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn


def to_torch(estimator: Any) -> nn.Module:
    """Return the network of a fitted estimator as a module of torch layers.

    Parameters
    ----------
    estimator : object
        A fitted network of `skmlp.neural_network`. For a Pipeline, pass its last step.
        The other steps are not part of the network.

    Returns
    -------
    network : nn.Module
        A copy of the network.

        - It is on the CPU and in evaluation mode.
        - The input is a tensor of shape (n_samples, n_features), in the dtype of the
          training. Images are flat samples with channels last.
        - The output is a tensor of logits, of shape (n_samples, n_outputs).
        - The parameter names are those in ``net_.module_``.
        - A convolutional network is a `torch.fx.GraphModule`.
        - Your own module stays an instance of its class.

    Raises
    ------
    TypeError
        If the estimator is not a network of skmlp.
    NotFittedError
        If the estimator is not fitted.

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
    network = _replace_with_torch_layers(
        copy.deepcopy(estimator.net_.module_).cpu()
    ).eval()
    for parameter in network.parameters():
        # All parameters are views of one vector. Saving one view would save the vector.
        parameter.data = parameter.data.clone()
        parameter.grad = None
    if any(_is_own_class(type(layer)) for layer in network.modules()):
        return torch.fx.symbolic_trace(network)
    return network


def _is_torch_class(cls: type) -> bool:
    """Return whether a class is a layer of torch."""
    return cls.__module__.startswith("torch.nn.")


def _is_own_class(cls: type) -> bool:
    """Return whether a class is a layer of skmlp."""
    return cls.__module__.startswith("skmlp.")


def _replace_with_torch_layers(module: nn.Module) -> nn.Module:
    """Replace layers that skmlp derives from torch's layers, at every depth."""
    for name, child in module.named_children():
        setattr(module, name, _replace_with_torch_layers(child))
    if not _is_own_class(type(module)):
        return module
    if type(module).__name__ == "Dropout":
        channels, p = bool(module.channels), float(module.p)  # type: ignore[arg-type]
        return nn.Dropout2d(p) if channels else nn.Dropout(p)
    base = next(cls for cls in type(module).__mro__ if _is_torch_class(cls))
    if base is not nn.Module:
        # The derived class differs only in methods that are used for training.
        module.__class__ = base
    return module
