"""The parameters of the training, its data and its validation."""

import os

import torch

from skmlp._sklearn_compat import Interval, RealNotInt, StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
    NON_NEGATIVE,
    POSITIVE_INT,
    Parameter,
)

TRAINING: dict[str, Parameter] = {
    "random_state": Parameter(
        "int, RandomState instance or None, default=None",
        "Seed of initial weights, validation split, order of the samples, dropout and "
        "augmentation. The global generators of NumPy and torch are neither read nor "
        "changed. With None, every call gives different results.",
        ["random_state"],
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
        [FROM_0_BELOW_1],
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
        [POSITIVE_INT, Interval(RealNotInt, 0, 1, closed="right"), None],
    ),
    "scoring": Parameter(
        "str, callable or None, default=None",
        "Scorer of the validation set, as in `sklearn.model_selection`. Sample weights "
        "count if the scorer takes `sample_weight`. 'loss' is the negative loss, "
        "without penalty. With None, the metric is that of "
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
        "the machine has a CUDA device, else the CPU. The jobs of a search or an "
        "ensemble use all CUDA devices in turn, unless `device` has an index.",
        [str, torch.device],
    ),
    "dtype": Parameter(
        "{'float32', 'float64'} or None, default=None",
        "Precision of training. None is the dtype of X, and float32 for integers. On "
        "a GPU None is float32, because most GPUs compute float64 32 to 64 times "
        "slower. 'mps' has no float64.",
        [StrOptions({"float32", "float64"}), None],
    ),
    "amp": Parameter(
        "bool, default=False",
        "Whether to train in mixed precision: large matrix products and convolutions "
        "in bfloat16, weights and updates in float32. It has no effect in float64. On "
        "a CPU it needs instructions for bfloat16 (AMX or AVX512-BF16); other "
        "processors warn and train in float32.",
        ["boolean"],
    ),
    "callbacks": Parameter(
        "list of skorch callbacks or None, default=None",
        "Callbacks, their classes, or pairs (name, callback). Training calls shallow "
        "copies; see `callbacks_`.",
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
        [NON_NEGATIVE],
    ),
}
