"""The parameters of autoencoders."""

from skmlp._sklearn_compat import StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    NON_NEGATIVE,
    POSITIVE_INT,
    Parameter,
    list_choices,
)
from skmlp.training.modules.activations import MODULES

_LOSSES = ("squared_error", "absolute_error", "huber", "log_cosh")

AUTOENCODER: dict[str, Parameter] = {
    "n_components": Parameter(
        "int, default=2",
        "Size of the code: the number of features that `transform` returns.",
        [POSITIVE_INT],
    ),
    "hidden_layer_sizes": Parameter(
        "int or array-like of int, default=(100,)",
        "Sizes of the hidden layers of the encoder, from input to code. ``()`` is a "
        "linear encoder.",
        ["array-like", POSITIVE_INT],
    ),
    "decoder_layer_sizes": Parameter(
        "int, array-like of int or None, default=None",
        "Sizes of the hidden layers of the decoder, from code to output. None reverses "
        "`hidden_layer_sizes`.",
        ["array-like", POSITIVE_INT, None],
    ),
    "code_activation": Parameter(
        f"{list_choices(MODULES)}, default='identity'",
        "Activation of the code.",
        [StrOptions(set(MODULES))],
    ),
    "noise": Parameter(
        "float or callable, default=0.0",
        "Noise in the inputs of training batches, from which the network reconstructs "
        "the samples without noise (Vincent et al. 2008).\n\n"
        "- A float is the standard deviation of Gaussian noise, in the unit of X.\n"
        "- A callable is called as ``noise(samples, generator)`` with a copy of the\n"
        "  batch, a tensor of shape (batch, n_features). For images its shape is\n"
        "  (batch, channels, height, width), as for those of `skmlp.augmentation`.",
        [NON_NEGATIVE, callable],
    ),
    "loss": Parameter(
        f"{list_choices(_LOSSES)} or callable, default='squared_error'",
        "The loss of a reconstruction, as in `MLPRegressor`.",
        [StrOptions(set(_LOSSES)), callable],
    ),
}
