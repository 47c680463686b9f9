"""The parameters of the optimizer, its schedule and its end."""

from numbers import Real

import numpy as np

from skmlp._sklearn_compat import Interval, Options, StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_INT,
    Parameter,
    list_choices,
)
from skmlp.training import schedules
from skmlp.training.optimizers import factory as optimizers

OPTIMIZATION: dict[str, Parameter] = {
    "solver": Parameter(
        f"{list_choices([*optimizers.NAMES, 'lbfgs'])} or class, default='adam'",
        "The optimizer. 'sgd', 'adam' and 'lbfgs' give the results of scikit-learn, "
        "except for rounding. With 'lbfgs', rounding differences grow over hundreds of "
        "iterations. With 'adamw' and 'muon', `alpha` is a decoupled weight decay. All "
        "other solvers are optimizers of torch.\n\n"
        "- 'torch_sgd': differs from 'sgd' if the learning rate changes. The momentum\n"
        "  then counts with the new rate, as in torch.\n"
        "- 'muon': torch's Muon for the weights of hidden layers, and 'adamw' for all\n"
        "  other parameters. Both have the same learning rate. It needs torch 2.9.\n"
        "- A class: a subclass of `torch.optim.Optimizer`. It gets the parameters of\n"
        "  the network, `learning_rate_init` and `optimizer_params`.",
        [StrOptions({*optimizers.NAMES, "lbfgs"}), callable],
    ),
    "alpha": Parameter(
        "float or array-like of float, default=0.0001",
        "Strength of the L2 penalty ``alpha / 2 * sum(weights ** 2)``. As in "
        "scikit-learn, the penalty is divided by the number of samples in a batch. One "
        "value for all layers, or one for each in the order of `coefs_`.",
        [NON_NEGATIVE, "array-like"],
    ),
    "batch_size": Parameter(
        "int or 'auto', default='auto'",
        "Number of samples in a batch; 'auto' is ``min(200, n_samples)``.",
        [StrOptions({"auto"}), POSITIVE_INT],
    ),
    "learning_rate": Parameter(
        f"{list_choices(schedules.NAMES)} or callable, default='constant'",
        "Schedule of the learning rate. 'invscaling' and 'adaptive' act on "
        "``solver='sgd'`` (and 'torch_sgd') only, as in scikit-learn. 'step' "
        "multiplies the rate by `gamma` every `step_size` epochs. 'cosine' and "
        "'onecycle' (torch's ``OneCycleLR``) reach their last value after `max_iter` "
        "epochs. A callable gets the progress, which is 0 at the first step after the "
        "warm-up, and reaches 1 after `max_iter` epochs. It returns the factor of "
        "`learning_rate_init`. With these three, `fit` gives no ConvergenceWarning. A "
        "call of `partial_fit` counts as one epoch. It warns if more than `max_iter` "
        "epochs were trained.",
        [StrOptions(set(schedules.NAMES)), callable],
    ),
    "learning_rate_init": Parameter(
        "float, default=0.001",
        "Base learning rate, which is the maximum of every schedule. Warm-up and "
        "'onecycle' start lower and reach this value.",
        [POSITIVE],
    ),
    "learning_rate_factors": Parameter(
        "dict of str to float or None, default=None",
        "Factors of the learning rate of groups of parameters: 'weights' and 'biases' "
        "of the layers, 'scales' (see `input_scale`), 'periodic' (see "
        "`periodic_features`) and 'categories' (see `categorical_features`). The value "
        "'fan_in' for 'weights' means one divided by the root of the number of inputs "
        "of the layer. Groups that are not in the dict have the factor 1. Needs one of "
        "the solvers 'sgd', 'adam' and 'adamw'.",
        [dict, None],
    ),
    "fade_start": Parameter(
        "float, default=1.0",
        "Fraction of `max_iter` after which `dropout`, and the weight decay of "
        "``solver='adamw'``, fade to zero in half a cosine wave. With 1 they do not "
        "fade.",
        [Interval(Real, 0, 1, closed="both")],
    ),
    "power_t": Parameter(
        "float, default=0.5",
        "Exponent of ``learning_rate='invscaling'``.",
        [NON_NEGATIVE],
    ),
    "max_iter": Parameter(
        "int, default=200",
        "Maximum number of epochs; for 'lbfgs' of iterations.",
        [POSITIVE_INT],
    ),
    "shuffle": Parameter(
        "bool, default=True",
        "Whether to shuffle the samples in every epoch.",
        ["boolean"],
    ),
    "tol": Parameter(
        "float, default=1e-4",
        "Smallest improvement of loss or validation score that counts; for 'lbfgs' "
        "the largest component of the gradient at which to stop.",
        [NON_NEGATIVE],
    ),
    "momentum": Parameter(
        "float, default=0.9",
        "Momentum of the solvers 'sgd', 'torch_sgd' and 'muon', in [0, 1].",
        [Interval(Real, 0, 1, closed="both")],
    ),
    "nesterovs_momentum": Parameter(
        "bool, default=True", "Whether to use Nesterov's momentum.", ["boolean"]
    ),
    "beta_1": Parameter(
        "float, default=0.9",
        "Decay rate of Adam's first moment, in [0, 1).",
        [FROM_0_BELOW_1],
    ),
    "beta_2": Parameter(
        "float, default=0.999",
        "Decay rate of Adam's second moment, in [0, 1).",
        [FROM_0_BELOW_1],
    ),
    "epsilon": Parameter(
        "float, default=1e-8", "Prevents a division by zero in Adam.", [POSITIVE]
    ),
    "n_iter_no_change": Parameter(
        "int or inf, default=10",
        "Number of epochs without improvement that are tolerated.",
        [POSITIVE_INT, Options(Real, {np.inf})],
    ),
    "max_fun": Parameter(
        "int, default=15000",
        "Maximum number of evaluations of the loss by 'lbfgs'.",
        [POSITIVE_INT],
    ),
    "optimizer_params": Parameter(
        "dict or None, default=None",
        "Further arguments of torch's optimizer behind 'nadam', 'rmsprop', 'adagrad', "
        "'adadelta' and 'muon', or of the class given as `solver`. The other solvers "
        "take none.",
        [dict, None],
    ),
    "max_grad_norm": Parameter(
        "float or None, default=None",
        "Maximum norm of the gradient; longer gradients are scaled down to it.",
        [POSITIVE, None],
    ),
    "weight_averaging": Parameter(
        "float or None, default=None",
        "Decay per step of an exponential moving average of the weights (Polyak and "
        "Juditsky 1992). Validation uses the averages. After `fit`, the network has "
        "the averaged weights.",
        [FROM_0_BELOW_1, None],
    ),
    "warmup_epochs": Parameter(
        "float, default=0",
        "Number of epochs in which the learning rate rises linearly from zero.",
        [NON_NEGATIVE],
    ),
    "step_size": Parameter(
        "int, default=10",
        "Number of epochs between two steps of ``learning_rate='step'``.",
        [POSITIVE_INT],
    ),
    "gamma": Parameter(
        "float, default=0.1",
        "Factor of the learning rate in a step of ``learning_rate='step'``.",
        [POSITIVE],
    ),
}
