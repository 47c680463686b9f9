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
        "and the variance is the same. This applies to 'glorot' and 'lecun' too. "
        "'data_dependent' draws as 'lecun_normal'. Then it scales the weights of each "
        "hidden unit so that its output before the activation has the deviation 1, "
        "and sets its bias so that this output is zero within the data.",
        [StrOptions(set(initializers.NAMES))],
    ),
    "periodic_features": Parameter(
        "'all', array-like of int or None, default=None",
        "Columns of X with numbers that the first layer gets three times more, as "
        "trainable linear functions of 16 cosines of the number (Gorishniy et al. "
        "2022, arXiv:2203.05556). 'all' are the columns that are not in "
        "`categorical_features`. It helps with numbers on which the target depends in "
        "steps and waves. The numbers should be standardized.",
        [StrOptions({"all"}), "array-like", None],
    ),
    "categorical_features": Parameter(
        "dict of int to int or None, default=None",
        "Columns of X with the codes 0, 1, ... of categories, and the number of codes "
        "of each column. The first layer gets a trainable vector of 8 numbers for "
        "each code, instead of the code.",
        [dict, None],
    ),
    "input_scale": Parameter(
        "bool, default=False",
        "Whether each input of the first layer is multiplied by a trainable scale, "
        "which starts at 1.",
        ["boolean"],
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
