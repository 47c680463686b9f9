"""The parameters of the network and its initial weights."""

from skmlp._sklearn_compat import StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
    POSITIVE,
    POSITIVE_INT,
    Parameter,
    list_choices,
)
from skmlp.training.modules import activations, initializers

_ACTIVATIONS = list(activations.MODULES)

ARCHITECTURE: dict[str, Parameter] = {
    "hidden_layer_sizes": Parameter(
        "int or array-like of int, default=(100,)",
        "Sizes of the dense hidden layers, from input to output.",
        ["array-like", POSITIVE_INT],
    ),
    "activation": Parameter(
        f"{list_choices(_ACTIVATIONS)} or callable, default='relu'",
        "Activation after every hidden layer. A callable is a class of torch modules, "
        "a module, or a function of a tensor. Every layer gets its own module. It has "
        "to keep the shape.",
        [StrOptions(set(_ACTIVATIONS)), callable],
    ),
    "dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop an output of a dense hidden layer. One value for all "
        "layers, or one for each.",
        [FROM_0_BELOW_1, "array-like"],
    ),
    "batch_norm": Parameter(
        "bool, default=False",
        "Whether to normalize every hidden layer over the batch before its activation.",
        ["boolean"],
    ),
    "init": Parameter(
        f"{list_choices(initializers.NAMES)}, default='auto'",
        "Initializer of the weights. 'auto' is scikit-learn's, which draws the biases "
        "too. All others start with biases of zero, as in Keras. 'he_normal' draws "
        "from a normal distribution, as in torch. 'he_truncated_normal' is the "
        "'he_normal' of Keras: values beyond two standard deviations are drawn again, "
        "and the variance is the same. This applies to 'glorot' and 'lecun' too.",
        [StrOptions(set(initializers.NAMES))],
    ),
    "temperature": Parameter(
        "float, default=1.0",
        "Divides the logits before they become probabilities; see "
        "`calibrate_temperature`.",
        [POSITIVE],
    ),
    "init_from": Parameter(
        "fitted estimator or None, default=None",
        "Fitted estimator whose weights are copied. A layer gets the weights of the "
        "layer with the same name and shape, instead of random ones. Wrap the "
        "estimator in `sklearn.frozen.FrozenEstimator`, so that `clone` does not "
        "remove its weights.",
        "no_validation",
    ),
    "frozen_layers": Parameter(
        "array-like of int or str, or None, default=None",
        "Layers that are not trained, by their numbers as in `coefs_` or by their "
        "names in ``net_.module_``. Their batch normalization is not trained either.",
        ["array-like", None],
    ),
}
