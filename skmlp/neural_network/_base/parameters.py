"""The parameters that estimators share: each documented and constrained once.

`with_shared_parameters` gives them to every class whose constructor takes them, so that
a class states only what is its own.
"""

import inspect
import os
from numbers import Integral, Real
from textwrap import indent
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from skmlp._sklearn_compat import Interval, Options, RealNotInt, StrOptions
from skmlp.training import losses, schedules
from skmlp.training.modules import activations, initializers
from skmlp.training.optimizers import flat_optimizers as optimizers

_Class = TypeVar("_Class", bound=type)

_POSITIVE_INT = Interval(Integral, 1, None, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_PROBABILITY = Interval(Real, 0, 1, closed="left")


class Parameter(NamedTuple):
    """Type and default as numpydoc writes them, meaning, and what is allowed."""

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
        "What minimises the loss. 'sgd', 'adam' and 'lbfgs' follow scikit-learn but "
        "for rounding, which hundreds of iterations of 'lbfgs' magnify; with 'adamw' "
        "`alpha` shrinks the weights directly; the others are torch's.",
        [StrOptions({*optimizers.NAMES, "lbfgs"})],
    ),
    "alpha": Parameter(
        "float or array-like of float, default=0.0001",
        "Strength of the L2 penalty ``alpha / 2 * sum(weights ** 2)``, which as in "
        "scikit-learn is divided by the number of rows in a batch. One value for all "
        "layers or one for each in the order of `coefs_`.",
        [_NON_NEGATIVE, "array-like"],
    ),
    "batch_size": Parameter(
        "int or 'auto', default='auto'",
        "Rows in a batch; 'auto' is ``min(200, n_samples)``.",
        [StrOptions({"auto"}), _POSITIVE_INT],
    ),
    "learning_rate": Parameter(
        f"{_choices(schedules.NAMES)}, default='constant'",
        "How the learning rate changes. 'invscaling' and 'adaptive' act on "
        "``solver='sgd'`` alone, as in scikit-learn; 'cosine', 'onecycle' (torch's "
        "``OneCycleLR``) and 'step' change it along `max_iter` epochs, at which the "
        "first two have come to their end, without a ConvergenceWarning; a call of "
        "`partial_fit` is an epoch, and warns after that end.",
        [StrOptions(set(schedules.NAMES))],
    ),
    "learning_rate_init": Parameter(
        "float, default=0.001",
        "Learning rate at the start; the highest one of a schedule.",
        [_POSITIVE],
    ),
    "power_t": Parameter(
        "float, default=0.5",
        "Exponent of ``learning_rate='invscaling'``.",
        [_NON_NEGATIVE],
    ),
    "max_iter": Parameter(
        "int, default=200",
        "Most epochs; for 'lbfgs' most iterations.",
        [_POSITIVE_INT],
    ),
    "shuffle": Parameter(
        "bool, default=True",
        "Whether every epoch has a new order of rows.",
        ["boolean"],
    ),
    "random_state": Parameter(
        "int, RandomState instance or None, default=None",
        "Drives initial weights, validation split, order of rows, dropout and "
        "augmentation. The global generators of NumPy and torch are neither read nor "
        "changed; None takes fresh entropy.",
        ["random_state"],
    ),
    "tol": Parameter(
        "float, default=1e-4",
        "Improvement of loss or validation score that counts as one; for 'lbfgs' the "
        "gradient's largest component at the end.",
        [_NON_NEGATIVE],
    ),
    "verbose": Parameter(
        "bool, int or 'bar', default=False",
        "What to show of training: True, or a number from 2, prints scikit-learn's "
        "lines for every epoch; 1 prints one line at the end of a fit, with its "
        "epochs, seconds, device, loss and best validation score; 'bar' shows a live "
        "bar with epoch, loss, validation score and time left until `max_iter`, in a "
        "terminal or a notebook with ipywidgets alone, and gone after the fit. "
        "Networks that are trained together share a bar; those with lines for every "
        "epoch are trained alone.",
        ["verbose", StrOptions({"bar"})],
    ),
    "warm_start": Parameter(
        "bool, default=False",
        "Whether `fit` goes on from the weights of the fit before.",
        ["boolean"],
    ),
    "momentum": Parameter(
        "float, default=0.9",
        "Momentum of ``solver='sgd'``, in [0, 1].",
        [Interval(Real, 0, 1, closed="both")],
    ),
    "nesterovs_momentum": Parameter(
        "bool, default=True", "Whether that momentum is Nesterov's.", ["boolean"]
    ),
    "early_stopping": Parameter(
        "bool, default=False",
        "Whether to stop when the validation score, rather than the training loss, has "
        "not improved by `tol` for more than `n_iter_no_change` epochs in a row. What "
        "a tie is worth, `scoring` says.",
        ["boolean"],
    ),
    "validation_fraction": Parameter(
        "float, default=0.1",
        "Share of the rows that ``early_stopping=True`` sets aside, unless `fit` is "
        "given `X_val`. The split keeps the shares of the classes where each can have "
        "a row on either side; in MLPClassifier, as in scikit-learn, of two only, "
        "unless there is a `class_weight`.",
        [_PROBABILITY],
    ),
    "beta_1": Parameter(
        "float, default=0.9",
        "Decay of Adam's first moment, in [0, 1).",
        [_PROBABILITY],
    ),
    "beta_2": Parameter(
        "float, default=0.999",
        "Decay of Adam's second moment, in [0, 1).",
        [_PROBABILITY],
    ),
    "epsilon": Parameter(
        "float, default=1e-8", "What keeps Adam from dividing by zero.", [_POSITIVE]
    ),
    "n_iter_no_change": Parameter(
        "int or inf, default=10",
        "Epochs without improvement that are tolerated.",
        [_POSITIVE_INT, Options(Real, {np.inf})],
    ),
    "max_fun": Parameter(
        "int, default=15000",
        "Most evaluations of the loss by 'lbfgs'.",
        [_POSITIVE_INT],
    ),
    "dropout": Parameter(
        "float or array-like of float, default=0.0",
        "Probability to drop a unit behind a dense hidden layer; one for all layers or "
        "one each.",
        [_PROBABILITY, "array-like"],
    ),
    "batch_norm": Parameter(
        "bool, default=False",
        "Whether to normalise every hidden layer before its activation.",
        ["boolean"],
    ),
    "init": Parameter(
        f"{_choices(initializers.NAMES)}, default='auto'",
        "Law of the initial weights. 'auto' is scikit-learn's, biases drawn too; all "
        "others start the biases at zero, as Keras does.",
        [StrOptions(set(initializers.NAMES))],
    ),
    "label_smoothing": Parameter(
        "float, default=0.0",
        "Share of a target of ``loss='log_loss'`` that is spread evenly over the "
        "classes.",
        [_PROBABILITY],
    ),
    "class_weight": Parameter(
        "dict, 'balanced' or None, default=None",
        "Weights of the classes, 1 for those that a dict leaves out; they multiply "
        "`sample_weight`, in the validation "
        "score too unless `scoring` is given; 'balanced' is ``n_samples / (n_classes "
        "* count)``.",
        [dict, StrOptions({"balanced"}), None],
    ),
    "augmentation": Parameter(
        "callable or None, default=None",
        "Applied to every training batch as ``augmentation(images, generator)``, with "
        "images a tensor of shape (batch, channels, height, width) in the dtype of "
        "training; see `skmlp.augmentation`.",
        [callable, None],
    ),
    "train_size": Parameter(
        "int, float or None, default=None",
        "Number or share of the training rows to use, for classifiers stratified as by "
        "`skmlp.model_selection.subsample`; None takes all.",
        [_POSITIVE_INT, Interval(RealNotInt, 0, 1, closed="right"), None],
    ),
    "scoring": Parameter(
        "str, callable or None, default=None",
        "Scorer of the validation rows, as in `sklearn.model_selection`; weights of "
        "rows count where it takes a `sample_weight`. None is "
        "`score`'s own; of epochs whose scores are within `tol` that of the lower "
        "validation loss is then better, but in MLPClassifier without `class_weight` "
        "and MLPRegressor, which go by the score alone as scikit-learn's do.",
        [str, callable, None],
    ),
    "restore_best_weights": Parameter(
        "bool, default=True",
        "Whether the weights of the best epoch by validation score, rather than the "
        "last one's, are kept where there is such a score.",
        ["boolean"],
    ),
    "refit_full": Parameter(
        "bool, default=False",
        "Whether to train once more on all rows, validation rows too, for "
        "`best_epoch_` epochs.",
        ["boolean"],
    ),
    "record_train_score": Parameter(
        "bool, default=False",
        "Whether the training rows too are scored after every epoch, as validation "
        "rows are: without dropout or augmentation, by the weights as they stand. "
        "`history_` has it under 'train_score'. It costs a prediction of these rows an "
        "epoch and changes no other number; networks with it are trained alone.",
        ["boolean"],
    ),
    "device": Parameter(
        "str or torch.device, default='auto'",
        "Where to train: 'cpu', 'cuda', 'cuda:1', 'mps', ...; 'auto' is CUDA where "
        "there is one, else the CPU.",
        [str, torch.device],
    ),
    "dtype": Parameter(
        "{'float32', 'float64'} or None, default=None",
        "Precision of training; None is that of X, and float32 for integers and on "
        "'mps', which has no float64.",
        [StrOptions({"float32", "float64"}), None],
    ),
    "amp": Parameter(
        "bool, default=False",
        "Whether to compute forward passes in bfloat16 while training.",
        ["boolean"],
    ),
    "callbacks": Parameter(
        "list of skorch callbacks or None, default=None",
        "Cloned and called while training; see `callbacks_`.",
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
        "Longer gradients are scaled down to this norm.",
        [_POSITIVE, None],
    ),
    "weight_averaging": Parameter(
        "float or None, default=None",
        "Decay per step of an exponential moving average of the weights, which is "
        "validated and kept in their place (Polyak and Juditsky 1992).",
        [_PROBABILITY, None],
    ),
    "warmup_epochs": Parameter(
        "float, default=0",
        "Epochs in which the learning rate rises linearly from zero.",
        [_NON_NEGATIVE],
    ),
    "step_size": Parameter(
        "int, default=10",
        "Epochs between two steps of ``learning_rate='step'``.",
        [_POSITIVE_INT],
    ),
    "gamma": Parameter(
        "float, default=0.1",
        "Factor of the learning rate at such a step.",
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
        "Layers of the same name and shape start from its weights instead of random "
        "ones. Wrap it in `sklearn.frozen.FrozenEstimator` to let it survive `clone`.",
        "no_validation",
    ),
    "frozen_layers": Parameter(
        "array-like of int or str, or None, default=None",
        "Layers that are not trained, counted as in `coefs_` or by their names in "
        "``net_.module_``, with the batch normalisation that belongs to them.",
        ["array-like", None],
    ),
    "checkpoint": Parameter(
        "str, path-like or None, default=None",
        "File in which `fit` keeps its progress after epochs. If it is there, a fit to "
        "the same data with the same parameters goes on from it and ends as if it had "
        "not been interrupted, to the bit on the same machine; one that had come to "
        "its end returns its result at once. Other data or parameters (but `verbose`, "
        "`callbacks`, `checkpoint_interval`) are refused until the file is deleted. "
        "Callbacks begin anew, unless they have torch's ``state_dict`` and "
        "``load_state_dict``. One file serves one fit; not for 'lbfgs' and "
        "`warm_start`; `partial_fit` takes no notice of it.",
        [str, os.PathLike, None],
    ),
    "checkpoint_interval": Parameter(
        "float, default=0",
        "Fewest seconds from one writing of `checkpoint` to the next; 0 writes after "
        "every epoch.",
        [_NON_NEGATIVE],
    ),
}

CLASSIFICATION_LOSS = {
    "loss": Parameter(
        f"{_choices(losses.CLASSIFICATION_LOSSES)}, default='log_loss'",
        "What is minimised: cross-entropy; the multi-class hinge of Crammer and "
        "Singer, or its square; the divergence from target probabilities, for which "
        "`y` may be a matrix of them.",
        [StrOptions(set(losses.CLASSIFICATION_LOSSES))],
    )
}
REGRESSION_LOSS = {
    "loss": Parameter(
        f"{_choices([*losses.REGRESSION_LOSSES])}, default='squared_error'",
        "What is minimised: half the squared error, the absolute error, Huber's "
        "function, ``log(cosh)`` of the error, or half the Poisson deviance with a log "
        "link, which needs ``y >= 0``.",
        [StrOptions(set(losses.REGRESSION_LOSSES))],
    )
}

ATTRIBUTES = """
    n_features_in_ : int
        Number of features of a row, pixels and channels counted alike.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had them.
    coefs_ : list of ndarray
        Weights of every layer, ``(in, out)`` or ``(height, width, in, out)``; views of
        the network's own.
    intercepts_ : list of ndarray of shape (out,)
        Biases of every layer.
    n_iter_ : int
        Epochs run (iterations of 'lbfgs').
    n_layers_, n_outputs_, n_parameters_ : int
        Layers, input and output included; outputs; trainable weights and biases.
    out_activation_ : str
        Activation that turns the last layer's logits into predictions.
    loss_, best_loss_ : float
        Last and lowest training loss, penalty included; `best_loss_` is None with
        early stopping.
    loss_curve_ : list of float
        Training loss of every epoch.
    validation_scores_ : list of float or None
        Score of the validation rows after every epoch, if there are any.
    best_validation_score_, best_epoch_ : float and int, or None
        The best of them, the highest but for ties (see `scoring`), and its epoch,
        counted from 1. The weights are those of that epoch.
    t_ : int
        Rows seen while training.
    history_ : list of dict
        skorch's record of every epoch: losses, scores, seconds.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module, on the CPU.
    device_ : torch.device
        Where it was trained, and where it predicts.
    callbacks_ : list
        Clones of `callbacks` that took part.
    image_shape_ : tuple of int or None
        Height, width and channels of the rows as images, where they are images.
"""


def with_shared_parameters(cls: _Class) -> _Class:
    """Complete an estimator by what it shares with the others.

    Every parameter of the constructor is looked up in the class's own
    ``_own_parameters``, then here: its constraint is set, and its text replaces
    ``{parameters}`` in the docstring, as the attributes replace ``{attributes}``.
    """
    known = SHARED | cls.__dict__.get("_own_parameters", {})
    names = [name for name in inspect.signature(cls).parameters if name != "self"]
    cls._parameter_constraints = {  # type: ignore[attr-defined]
        name: known[name].constraints for name in names
    }
    texts = "\n".join(
        f"{name} : {known[name].type}\n{indent(known[name].text, '    ')}"
        for name in names
    )
    assert cls.__doc__ is not None
    cls.__doc__ = cls.__doc__.replace(
        "    {parameters}", indent(texts, "    ")
    ).replace("    {attributes}", ATTRIBUTES.strip("\n"))
    return cls


def assign(estimator: Any, values: dict[str, Any]) -> None:
    """Set the parameters of an estimator from its constructor's arguments."""
    for name, value in values.items():
        if name != "self":  # and not what a subclass's own constructor takes
            setattr(estimator, name, value)
