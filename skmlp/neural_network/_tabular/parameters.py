"""The parameters of the estimators for tables, documented and constrained once."""

from numbers import Integral, Real

from skmlp._sklearn_compat import Interval, StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_INT,
    Parameter,
    list_choices,
)
from skmlp.neural_network._tabular.presets import PRESETS
from skmlp.training.modules import activations

_AUTO = StrOptions({"auto"})

TABULAR_PARAMETERS: dict[str, Parameter] = {
    "preset": Parameter(
        f"{list_choices(list(PRESETS))}, default='default'",
        "Values of the parameters that are 'auto'.\n\n"
        + "\n".join(
            f"- '{name}': ``n_estimators={preset.n_estimators}, "
            f"max_iter={preset.max_iter}``."
            for name, preset in PRESETS.items()
        ),
        [StrOptions(set(PRESETS))],
    ),
    "n_estimators": Parameter(
        "int or 'auto', default='auto'",
        "Number of networks with each kind of `numerical_embedding`. Their predictions "
        "are averaged.",
        [POSITIVE_INT, _AUTO],
    ),
    "max_iter": Parameter(
        "int or 'auto', default='auto'",
        "Number of epochs. 'auto' is the preset's number for up to 10,000 samples, and "
        "falls to a quarter of it for more.",
        [POSITIVE_INT, _AUTO],
    ),
    "hidden_layer_sizes": Parameter(
        "int or array-like of int, default=(128, 128)",
        "Sizes of the hidden layers, from input to output.",
        ["array-like", POSITIVE_INT],
    ),
    "numerical_embedding": Parameter(
        "{'auto', 'periodic', 'ple'} or None, default='auto'",
        "How the networks receive numbers, in addition to the numbers themselves.\n\n"
        "- 'periodic': trainable functions of cosines; see `periodic_features` of\n"
        "  `MLPClassifier`.\n"
        "- 'ple': bins; see `skmlp.preprocessing.PiecewiseLinearEncoder`.\n"
        "- None: not at all.\n"
        "- 'auto': members with 'periodic' and with 'ple' are trained, `n_estimators`\n"
        "  each. The validation loss decides whether one kind or both are kept.\n"
        "  Without validation samples, both are.",
        [StrOptions({"auto", "periodic", "ple"}), None],
    ),
    "categorical_features": Parameter(
        "'from_dtype', array-like of bool, int or str, or None, default='from_dtype'",
        "Columns with categories: a mask, numbers or names of columns. 'from_dtype' "
        "are those with texts, bools, or a dtype of categories. None are none: texts "
        "have to be numbers then.",
        ["array-like", StrOptions({"from_dtype"}), None],
    ),
    "batch_size": Parameter(
        "int or 'auto', default='auto'",
        "Number of samples in a batch. 'auto' is 128 for up to 12,800 samples, and up "
        "to 512 for more.",
        [POSITIVE_INT, _AUTO],
    ),
    "dropout": Parameter(
        "float, default=0.15",
        "Probability to drop an output of a hidden layer. It fades to zero in the "
        "second half of the training.",
        [Interval(Real, 0, 1, closed="left")],
    ),
    "weight_decay": Parameter(
        "float, default=0.02",
        "Decoupled weight decay. It fades to zero in the second half of the training.",
        [NON_NEGATIVE],
    ),
    "early_stopping": Parameter(
        "bool, default=True",
        "Whether each member is validated on its own part of the samples, and all "
        "members keep the weights of the epoch with the lowest mean validation loss. "
        "The fit ends after a third of the epochs without a lower one. If False, they "
        "train on all samples and keep the last weights.",
        ["boolean"],
    ),
    "validation_fraction": Parameter(
        "float, default=0.125",
        "Fraction of the samples that a member is validated on. The samples are "
        "divided into ``1 / validation_fraction`` parts, one for each member.",
        [Interval(Real, 0, 0.5, closed="right")],
    ),
    "random_state": Parameter(
        "int, RandomState instance or None, default=None",
        "Seed of the members, of their parts of the samples, and of the encoder. With "
        "None, every call gives different results.",
        ["random_state"],
    ),
    "n_jobs": Parameter(
        "int or None, default=None",
        "1 means that the fit uses one thread. Otherwise it uses up to as many threads "
        "as torch, if they make it faster.",
        [Integral, None],
    ),
    "verbose": Parameter(
        "bool, int or 'bar', default=False",
        "True, 'bar' and ints above 1 show a progress bar with epoch, loss and time "
        "left.",
        ["verbose", StrOptions({"bar"})],
    ),
}


def activation_parameter(default: str) -> dict[str, Parameter]:
    """Return the description of `activation`."""
    names = list(activations.MODULES)
    return {
        "activation": Parameter(
            f"{list_choices(names)}, default={default!r}",
            "Activation after every hidden layer.",
            [StrOptions(set(names))],
        )
    }


def learning_rate_parameter(default: float) -> dict[str, Parameter]:
    """Return the description of `learning_rate_init`."""
    return {
        "learning_rate_init": Parameter(
            f"float, default={default}",
            "Learning rate of the first step, which falls to zero in half a cosine "
            "wave. The rate of the weights of a layer is this value divided by the "
            "root of the number of its inputs.",
            [POSITIVE],
        )
    }
