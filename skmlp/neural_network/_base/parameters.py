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
_PROBABILITY = Interval(Real, 0, 1, closed="left")


class Parameter(NamedTuple):
    """Type with default as in numpydoc, description, and scikit-learn's constraint."""

    type: str
    text: str
    constraints: list[Any] | str


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
        "The optimizer. 'sgd', 'adam' and 'lbfgs' give the results of scikit-learn "
        "except for rounding, which hundreds of iterations of 'lbfgs' magnify. With "
        "'adamw', `alpha` is a decoupled weight decay. The others are torch's.",
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
        "``OneCycleLR``) are planned for `max_iter` epochs, so that a fit of that "
        "length gives no ConvergenceWarning. A call of `partial_fit` is one epoch, and "
        "warns after the planned end.",
        [StrOptions(set(schedules.NAMES))],
    ),
    "learning_rate_init": Parameter(
        "float, default=0.001",
        "Initial learning rate; the highest rate of a schedule.",
        [_POSITIVE],
    ),
    "power_t": Parameter(
        "float, default=0.5",
        "Exponent of ``learning_rate='invscaling'``.",
        [_NON_NEGATIVE],
    ),
    "max_iter": Parameter(
        "int, default=200",
        "Largest number of epochs; for 'lbfgs' of iterations.",
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
        "changed. None gives other results in every call.",
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
        "What to show of training. True, or a number from 2, prints scikit-learn's "
        "lines for every epoch. 1 prints one line at the end of a fit, with its "
        "epochs, seconds, device, loss and best validation score. 'bar' shows a live "
        "bar with epoch, loss, validation score and time left until `max_iter`. The "
        "bar needs a terminal or a notebook with ipywidgets, and disappears after the "
        "fit. Networks that are trained together share a bar. Networks with lines for "
        "every epoch are trained alone.",
        ["verbose", StrOptions({"bar"})],
    ),
    "warm_start": Parameter(
        "bool, default=False",
        "Whether `fit` continues with the weights of the fit before.",
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
        "Whether to stop when the validation score, rather than the training loss, has "
        "not improved by `tol` for more than `n_iter_no_change` epochs in a row. On "
        "ties see `scoring`.",
        ["boolean"],
    ),
    "validation_fraction": Parameter(
        "float, default=0.1",
        "Fraction of the samples that ``early_stopping=True`` sets aside for "
        "validation, unless `fit` is given `X_val`. The split of a classifier is "
        "stratified if both sets can have a sample of every class. In MLPClassifier "
        "without `class_weight` it is stratified for two classes only, as in "
        "scikit-learn.",
        [_PROBABILITY],
    ),
    "beta_1": Parameter(
        "float, default=0.9",
        "Decay rate of Adam's first moment, in [0, 1).",
        [_PROBABILITY],
    ),
    "beta_2": Parameter(
        "float, default=0.999",
        "Decay rate of Adam's second moment, in [0, 1).",
        [_PROBABILITY],
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
        "Largest number of evaluations of the loss by 'lbfgs'.",
        [_POSITIVE_INT],
    ),
    "dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop an output of a dense hidden layer. One value for all "
        "layers, or one for each.",
        [_PROBABILITY, "array-like"],
    ),
    "batch_norm": Parameter(
        "bool, default=False",
        "Whether to normalize every hidden layer over the batch before its activation.",
        ["boolean"],
    ),
    "init": Parameter(
        f"{_choices(initializers.NAMES)}, default='auto'",
        "Initializer of the weights. 'auto' is scikit-learn's, which draws the biases "
        "too. All others start with biases of zero, as in Keras. "
        "'he_truncated_normal' is the initializer that Keras calls 'he_normal': values "
        "beyond two standard deviations are drawn again, and the variance equals that "
        "of 'he_normal'. The same holds for 'glorot' and 'lecun'.",
        [StrOptions(set(initializers.NAMES))],
    ),
    "label_smoothing": Parameter(
        "float, default=0.0",
        "Fraction of a target of ``loss='log_loss'`` that is spread evenly over the "
        "classes.",
        [_PROBABILITY],
    ),
    "class_weight": Parameter(
        "dict, 'balanced' or None, default=None",
        "Weights of the classes, which multiply `sample_weight`. They also count in "
        "the validation score, unless `scoring` is given. A class that is missing in a "
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
        "count if the scorer takes `sample_weight`. None is the metric of `score`. "
        "Then, if scores of epochs differ by at most `tol`, the lower validation loss "
        "decides. MLPRegressor, and MLPClassifier without `class_weight`, compare the "
        "scores only, as in scikit-learn.",
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
        "changes, but every epoch takes the time of a prediction longer, and the "
        "network is trained alone.",
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
        "Largest norm of the gradient; longer gradients are scaled down to it.",
        [_POSITIVE, None],
    ),
    "weight_averaging": Parameter(
        "float or None, default=None",
        "Decay per step of an exponential moving average of the weights. The average "
        "is validated, and replaces the weights in the end (Polyak and Juditsky 1992).",
        [_PROBABILITY, None],
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
        "Layers of the same name and shape start with its weights instead of random "
        "ones. Wrap it in `sklearn.frozen.FrozenEstimator`, so that it survives "
        "`clone`.",
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
        "File in which `fit` stores its state after epochs. If the file exists, a fit "
        "with the same data and parameters continues from it. It ends as if it had not "
        "been interrupted, to the bit on the same machine. A fit that had finished "
        "returns its result at once. Other data or parameters are refused until the "
        "file is deleted, except for `verbose`, `callbacks` and `checkpoint_interval`. "
        "Callbacks start again, unless they have torch's ``state_dict`` and "
        "``load_state_dict``. One file serves one fit. 'lbfgs' and `warm_start` cannot "
        "use a checkpoint, and `partial_fit` ignores it.",
        [str, os.PathLike, None],
    ),
    "checkpoint_interval": Parameter(
        "float, default=0",
        "Fewest seconds between two writings of `checkpoint`; 0 writes after every "
        "epoch.",
        [_NON_NEGATIVE],
    ),
}

CLASSIFICATION_LOSS = {
    "loss": Parameter(
        f"{_choices(losses.CLASSIFICATION_LOSSES)}, default='log_loss'",
        "The loss: cross-entropy; the multi-class hinge loss of Crammer and Singer, or "
        "its square; or the Kullback-Leibler divergence from target probabilities, for "
        "which `y` may be a matrix of probabilities.",
        [StrOptions(set(losses.CLASSIFICATION_LOSSES))],
    )
}
REGRESSION_LOSS = {
    "loss": Parameter(
        f"{_choices([*losses.REGRESSION_LOSSES])}, default='squared_error'",
        "The loss: half the squared error, the absolute error, Huber's loss, "
        "``log(cosh)`` of the error, or half the Poisson deviance with a log link, "
        "which needs ``y >= 0``.",
        [StrOptions(set(losses.REGRESSION_LOSSES))],
    )
}
