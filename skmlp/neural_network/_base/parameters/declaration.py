"""Add docstring texts and validation constraints to the classes of estimators.

`SHARED` describes each shared parameter once. A class describes only the parameters
that no other class has, or that differ.
"""

import inspect
from textwrap import indent
from typing import Any, TypeVar

import numpy as np

from skmlp.neural_network._base.parameters import SHARED

_Class = TypeVar("_Class", bound=type)

# Integers in the signatures of constructors; NumPy's are accepted too.
Int = int | np.integer[Any]

ATTRIBUTES = """
    n_features_in_ : int
        Number of features; for images ``height * width * channels``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names.
    coefs_ : list of ndarray
        Weights of every layer, ``(in, out)`` or ``(height, width, in, out)``; for
        signals ``(steps, in, out)``. They are views of the weights of the network.
    intercepts_ : list of ndarray of shape (out,)
        Biases of every layer.
    n_iter_ : int
        Number of epochs; with 'lbfgs' the number of iterations.
    n_layers_, n_outputs_, n_parameters_ : int
        Number of layers, input and output included; number of outputs; number of
        trainable weights and biases.
    out_activation_ : str
        Activation that turns logits into predictions.
    loss_ : float
        Training loss of the last epoch, penalty included.
    best_loss_ : float or None
        Lowest training loss of all epochs, or None with early stopping.
    loss_curve_ : list of float
        Training loss of every epoch.
    validation_scores_ : list of float or None
        Score of the validation set after every epoch, if there is one.
    best_validation_score_ : float or None
        Validation score of the best epoch. For almost equal scores see `scoring`.
    best_epoch_ : int or None
        The best epoch, counted from 1. The network has the weights of that epoch.
    t_ : int
        Number of training samples times number of epochs.
    history_ : list of dict
        skorch's record of every epoch: losses, scores, seconds.
    net_ : skorch.NeuralNet
        The trained net. ``net_.module_`` is the torch module, which is on the CPU after
        `fit`.
    device_ : torch.device
        Device of training and of predictions, to which predictions copy the module.
    callbacks_ : list
        The copies of `callbacks` that were called. Their arguments are not copied.
    image_shape_ : tuple of int or None
        Height, width and channels of the samples, if they are images; length and
        channels if they are signals.
"""


def with_shared_parameters(cls: _Class) -> _Class:
    """Set the constraints of an estimator's parameters and complete its docstring.

    Each parameter of the constructor is looked up in ``_parameters_not_shared`` of the
    class, then in the shared ones. The texts replace ``{parameters}`` in the docstring.
    The shared attributes replace ``{attributes}``.
    """
    known = SHARED | cls.__dict__.get("_parameters_not_shared", {})
    signature = inspect.signature(cls)
    parameters = signature.parameters.values()
    cls._parameter_constraints = {  # type: ignore[attr-defined]
        p.name: known[p.name].constraints for p in parameters if p.kind != p.VAR_KEYWORD
    }
    texts = "\n".join(
        f"{'**' if p.kind == p.VAR_KEYWORD else ''}{p.name} : {known[p.name].type}\n"
        f"{indent(known[p.name].text, '    ')}"
        for p in parameters
    )
    named = [p for p in parameters if p.kind != p.VAR_KEYWORD]
    if len(named) < len(parameters):
        # scikit-learn's tools take every name in the signature for a parameter.
        cls.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=named
        )
    assert cls.__doc__ is not None
    cls.__doc__ = cls.__doc__.replace(
        "    {parameters}", indent(texts, "    ")
    ).replace("    {attributes}", ATTRIBUTES.strip("\n"))
    return cls


def set_init_arguments(estimator: Any, values: dict[str, Any]) -> None:
    """Set the parameters of an estimator to the arguments of its constructor."""
    for name, value in values.items():
        if name != "self":  # `values` is ``locals()``: self and the arguments
            setattr(estimator, name, value)
