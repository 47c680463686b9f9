"""The parameters that estimators share, each documented and constrained once."""

import os
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch

from skmlp._sklearn_compat import Interval, Options, RealNotInt, StrOptions
from skmlp.training import losses, schedules
from skmlp.training.modules import activations, initializers
from skmlp.training.optimizers import flat_optimizers as optimizers

_POSITIVE_INT = Interval(Integral, 1, None, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_FROM_0_BELOW_1 = Interval(Real, 0, 1, closed="left")


class Parameter(NamedTuple):
    """Description and constraint of one parameter."""

    type: str  # the type and the default, in the form of numpydoc
    text: str  # the description in the docstring
    constraints: list[Any] | str  # for scikit-learn's validation of parameters


def _choices(names: tuple[str, ...] | list[str]) -> str:
    return "{" + ", ".join(f"'{name}'" for name in names) + "}"


_ACTIVATIONS = list(activations.MODULES)

SHARED: dict[str, Parameter] = {
    "hidden_layer_sizes": Parameter(
        "int or array-like of int, default=(100,)",
        "Sizes of the dense hidden layers, from input to output.",
        ["array-like", _POSITIVE_INT],
    ),
    "activation": Parameter(
        f"{_choices(_ACTIVATIONS)}, default='relu'",
        "Activation after every hidden layer.",
        [StrOptions(set(_ACTIVATIONS))],
    ),
    "solver": Parameter(
        f"{_choices([*optimizers.NAMES, 'lbfgs'])}, default='adam'",
        "The optimizer. 'sgd', 'adam' and 'lbfgs' give the results of scikit-learn, "
        "except for rounding. With 'lbfgs', rounding differences grow over hundreds of "
        "iterations. With 'adamw', `alpha` is a decoupled weight decay. All other "
        "solvers are optimizers of torch.",
        [StrOptions({*optimizers.NAMES, "lbfgs"})],
    ),
    "alpha": Parameter(
        "float or array-like of float, default=0.0001",
        "Strength of the L2 penalty ``alpha / 2 * sum(weights ** 2)``. As in "
        "scikit-learn, the penalty is divided by the number of samples in a batch. One "
        "value for all layers, or one for each in the order of `coefs_`.",
        [_NON_NEGATIVE, "array-like"],
    ),
    "batch_size": Parameter(
        "int or 'auto', default='auto'",
        "Number of samples in a batch; 'auto' is ``min(200, n_samples)``.",
        [StrOptions({"auto"}), _POSITIVE_INT],
    ),
    "learning_rate": Parameter(
        f"{_choices(schedules.NAMES)}, default='constant'",
        "Schedule of the learning rate. 'invscaling' and 'adaptive' act on "
        "``solver='sgd'`` only, as in scikit-learn. 'step' multiplies the rate by "
        "`gamma` every `step_size` epochs. 'cosine' and 'onecycle' (torch's "
        "``OneCycleLR``) reach their last value after `max_iter` epochs. `fit` then "
        "gives no ConvergenceWarning. A call of `partial_fit` counts as one epoch. It "
        "warns if more than `max_iter` epochs were trained.",
        [StrOptions(set(schedules.NAMES))],
    ),
    "learning_rate_init": Parameter(
        "float, default=0.001",
        "Base learning rate, which is the maximum of every schedule. Warm-up and "
        "'onecycle' start lower and reach this value.",
        [_POSITIVE],
    ),
    "power_t": Parameter(
        "float, default=0.5",
        "Exponent of ``learning_rate='invscaling'``.",
        [_NON_NEGATIVE],
    ),
    "max_iter": Parameter(
        "int, default=200",
        "Maximum number of epochs; for 'lbfgs' of iterations.",
        [_POSITIVE_INT],
    ),
    "shuffle": Parameter(
        "bool, default=True",
        "Whether to shuffle the samples in every epoch.",
        ["boolean"],
    ),
    "random_state": Parameter(
        "int, RandomState instance or None, default=None",
        "Seed of initial weights, validation split, order of the samples, dropout and "
        "augmentation. The global generators of NumPy and torch are neither read nor "
        "changed. With None, every call gives different results.",
        ["random_state"],
    ),
    "tol": Parameter(
        "float, default=1e-4",
        "Smallest improvement of loss or validation score that counts; for 'lbfgs' "
        "the largest component of the gradient at which to stop.",
        [_NON_NEGATIVE],
    ),
    "verbose": Parameter(
        "bool, int or 'bar', default=False",
        "Output during training; True and 1 differ.\n\n"
        "- False or 0: nothing.\n"
        "- True, or an int of at least 2: scikit-learn's lines for every epoch.\n"
        "  Such networks are not trained together with others.\n"
        "- 1: one line after the fit, with its epochs, seconds, device, loss and best\n"
        "  validation score.\n"
        "- 'bar': a progress bar with epoch, loss, validation score and time left\n"
        "  until `max_iter`. It needs a terminal or a notebook with ipywidgets, and\n"
        "  disappears after the fit. Networks that are trained together share a bar.",
        ["verbose", StrOptions({"bar"})],
    ),
    "warm_start": Parameter(
        "bool, default=False",
        "Whether `fit` continues with the weights of the previous fit.",
        ["boolean"],
    ),
    "momentum": Parameter(
        "float, default=0.9",
        "Momentum of ``solver='sgd'``, in [0, 1].",
        [Interval(Real, 0, 1, closed="both")],
    ),
    "nesterovs_momentum": Parameter(
        "bool, default=True", "Whether to use Nesterov's momentum.", ["boolean"]
    ),
    "early_stopping": Parameter(
        "bool, default=False",
        "If True, training stops when the validation score has not improved by `tol` "
        "for more than `n_iter_no_change` consecutive epochs. If False, the training "
        "loss is used instead of the score. For almost equal scores see `scoring`.",
        ["boolean"],
    ),
    "validation_fraction": Parameter(
        "float, default=0.1",
        "Fraction of the samples that ``early_stopping=True`` sets aside for "
        "validation. It is not used if `X_val` is passed to `fit`. The split of a "
        "classifier is stratified if both sets can have a sample of every class. In "
        "MLPClassifier without `class_weight` it is stratified for two classes only, "
        "as in scikit-learn.",
        [_FROM_0_BELOW_1],
    ),
    "beta_1": Parameter(
        "float, default=0.9",
        "Decay rate of Adam's first moment, in [0, 1).",
        [_FROM_0_BELOW_1],
    ),
    "beta_2": Parameter(
        "float, default=0.999",
        "Decay rate of Adam's second moment, in [0, 1).",
        [_FROM_0_BELOW_1],
    ),
    "epsilon": Parameter(
        "float, default=1e-8", "Prevents a division by zero in Adam.", [_POSITIVE]
    ),
    "n_iter_no_change": Parameter(
        "int or inf, default=10",
        "Number of epochs without improvement that are tolerated.",
        [_POSITIVE_INT, Options(Real, {np.inf})],
    ),
    "max_fun": Parameter(
        "int, default=15000",
        "Maximum number of evaluations of the loss by 'lbfgs'.",
        [_POSITIVE_INT],
    ),
    "dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop an output of a dense hidden layer. One value for all "
        "layers, or one for each.",
        [_FROM_0_BELOW_1, "array-like"],
    ),
    "batch_norm": Parameter(
        "bool, default=False",
        "Whether to normalize every hidden layer over the batch before its activation.",
        ["boolean"],
    ),
    "init": Parameter(
        f"{_choices(initializers.NAMES)}, default='auto'",
        "Initializer of the weights. 'auto' is scikit-learn's, which draws the biases "
        "too. All others start with biases of zero, as in Keras. 'he_normal' draws "
        "from a normal distribution, as in torch. 'he_truncated_normal' is the "
        "'he_normal' of Keras: values beyond two standard deviations are drawn again, "
        "and the variance is the same. This applies to 'glorot' and 'lecun' too.",
        [StrOptions(set(initializers.NAMES))],
    ),
    "label_smoothing": Parameter(
        "float, default=0.0",
        "Fraction of a target of ``loss='log_loss'`` that is spread evenly over the "
        "classes.",
        [_FROM_0_BELOW_1],
    ),
    "class_weight": Parameter(
        "dict, 'balanced' or None, default=None",
        "Weights of the classes, which multiply `sample_weight`. The validation score "
        "uses the weights too, unless `scoring` is given. A class that is missing in a "
        "dict has weight 1. 'balanced' is ``n_samples / (n_classes * count)``.",
        [dict, StrOptions({"balanced"}), None],
    ),
    "augmentation": Parameter(
        "callable or None, default=None",
        "Called with every training batch as ``augmentation(images, generator)``, "
        "where images are a tensor of shape (batch, channels, height, width) in the "
        "dtype of training. See `skmlp.augmentation`.",
        [callable, None],
    ),
    "train_size": Parameter(
        "int, float or None, default=None",
        "Number or fraction of the training samples to use. Classifiers take a "
        "stratified subset, as by `skmlp.model_selection.subsample`. None uses all.",
        [_POSITIVE_INT, Interval(RealNotInt, 0, 1, closed="right"), None],
    ),
    "scoring": Parameter(
        "str, callable or None, default=None",
        "Scorer of the validation set, as in `sklearn.model_selection`. Sample weights "
        "count if the scorer takes `sample_weight`. With None, the metric is that of "
        "`score`, and epochs whose scores differ by at most `tol` are compared by "
        "their validation loss. Exception: MLPRegressor, and MLPClassifier without "
        "`class_weight`, compare the scores only, as in scikit-learn.",
        [str, callable, None],
    ),
    "restore_best_weights": Parameter(
        "bool, default=True",
        "Whether the network gets the weights of the epoch with the best validation "
        "score, rather than the last weights, if there is a validation set.",
        ["boolean"],
    ),
    "refit_full": Parameter(
        "bool, default=False",
        "Whether to train once more on all samples, those of the validation set "
        "included, for `best_epoch_` epochs.",
        ["boolean"],
    ),
    "record_train_score": Parameter(
        "bool, default=False",
        "Whether to score the training set after every epoch as well, without dropout "
        "and augmentation. `history_` has the scores as 'train_score'. No other result "
        "changes. Each epoch takes additional time for a prediction, and the network "
        "is not trained together with others.",
        ["boolean"],
    ),
    "device": Parameter(
        "str or torch.device, default='auto'",
        "Device of training: 'cpu', 'cuda', 'cuda:1', 'mps', ... 'auto' is CUDA if "
        "the machine has a CUDA device, else the CPU.",
        [str, torch.device],
    ),
    "dtype": Parameter(
        "{'float32', 'float64'} or None, default=None",
        "Precision of training. None is the dtype of X, and float32 for integers and "
        "on 'mps', which has no float64.",
        [StrOptions({"float32", "float64"}), None],
    ),
    "amp": Parameter(
        "bool, default=False",
        "Whether to compute the forward passes of training in bfloat16.",
        ["boolean"],
    ),
    "callbacks": Parameter(
        "list of skorch callbacks or None, default=None",
        "Callbacks whose clones are called in training; see `callbacks_`.",
        ["array-like", None],
    ),
    "optimizer_params": Parameter(
        "dict or None, default=None",
        "Further arguments of torch's optimizer behind 'nadam', 'rmsprop', 'adagrad' "
        "and 'adadelta'; the other solvers take none.",
        [dict, None],
    ),
    "max_grad_norm": Parameter(
        "float or None, default=None",
        "Maximum norm of the gradient; longer gradients are scaled down to it.",
        [_POSITIVE, None],
    ),
    "weight_averaging": Parameter(
        "float or None, default=None",
        "Decay per step of an exponential moving average of the weights (Polyak and "
        "Juditsky 1992). Validation uses the averages. After `fit`, the network has "
        "the averaged weights.",
        [_FROM_0_BELOW_1, None],
    ),
    "warmup_epochs": Parameter(
        "float, default=0",
        "Number of epochs in which the learning rate rises linearly from zero.",
        [_NON_NEGATIVE],
    ),
    "step_size": Parameter(
        "int, default=10",
        "Number of epochs between two steps of ``learning_rate='step'``.",
        [_POSITIVE_INT],
    ),
    "gamma": Parameter(
        "float, default=0.1",
        "Factor of the learning rate in a step of ``learning_rate='step'``.",
        [_POSITIVE],
    ),
    "temperature": Parameter(
        "float, default=1.0",
        "Divides the logits before they become probabilities; see "
        "`calibrate_temperature`.",
        [_POSITIVE],
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
    "checkpoint": Parameter(
        "str, path-like or None, default=None",
        "File in which `fit` stores its state after epochs.\n\n"
        "- If the file exists, a fit with the same data and parameters continues from\n"
        "  it. On the same machine, the result is exactly equal to a fit without an\n"
        "  interruption. If that fit was complete, its result is returned at once.\n"
        "- Other data or parameters raise a ValueError until the file is deleted.\n"
        "  Only `verbose`, `callbacks` and `checkpoint_interval` may change.\n"
        "- Callbacks start again, unless they have ``state_dict`` and\n"
        "  ``load_state_dict``, as torch's modules have.\n"
        "- Use one file for one fit.\n"
        "- 'lbfgs' and `warm_start` raise a ValueError. `partial_fit` ignores it.",
        [str, os.PathLike, None],
    ),
    "checkpoint_interval": Parameter(
        "float, default=0",
        "Minimum number of seconds between two writes of `checkpoint`; 0 writes after "
        "every epoch.",
        [_NON_NEGATIVE],
    ),
}

CLASSIFICATION_LOSS_PARAMETER = {
    "loss": Parameter(
        f"{_choices(losses.CLASSIFICATION_LOSSES)}, default='log_loss'",
        "The loss:\n\n"
        "- 'log_loss': cross-entropy.\n"
        "- 'hinge': multi-class hinge loss of Crammer and Singer.\n"
        "- 'squared_hinge': its square.\n"
        "- 'kullback_leibler': Kullback-Leibler divergence from target probabilities.\n"
        "  `y` may be a matrix of probabilities.",
        [StrOptions(set(losses.CLASSIFICATION_LOSSES))],
    )
}
REGRESSION_LOSS_PARAMETER = {
    "loss": Parameter(
        f"{_choices([*losses.REGRESSION_LOSSES])}, default='squared_error'",
        "The loss:\n\n"
        "- 'squared_error': half the squared error.\n"
        "- 'absolute_error': the absolute error.\n"
        "- 'huber': Huber's loss.\n"
        "- 'log_cosh': ``log(cosh)`` of the error.\n"
        "- 'poisson': half the Poisson deviance with a log link, for ``y >= 0``.",
        [StrOptions(set(losses.REGRESSION_LOSSES))],
    )
}
