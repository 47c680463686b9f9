"""The parameters of the loss and of the targets."""

from numbers import Real

from skmlp._sklearn_compat import Interval, StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
    NON_NEGATIVE,
    POSITIVE,
    Parameter,
    list_choices,
)
from skmlp.training import losses

TARGETS: dict[str, Parameter] = {
    "label_smoothing": Parameter(
        "float, default=0.0",
        "Fraction of a target of ``loss='log_loss'`` that is spread evenly over the "
        "classes.",
        [FROM_0_BELOW_1],
    ),
    "class_weight": Parameter(
        "dict, 'balanced' or None, default=None",
        "Weights of the classes, which multiply `sample_weight`. The validation score "
        "uses the weights too, unless `scoring` is given. A class that is missing in a "
        "dict has weight 1. 'balanced' is ``n_samples / (n_classes * count)``.",
        [dict, StrOptions({"balanced"}), None],
    ),
    "focal_gamma": Parameter(
        "float, default=2.0",
        "Exponent of ``loss='focal'``. With 0 it is 'log_loss'.",
        [NON_NEGATIVE],
    ),
    "huber_delta": Parameter(
        "float, default=1.0",
        "Residual at which ``loss='huber'`` becomes linear.",
        [POSITIVE],
    ),
    "quantile": Parameter(
        "float or array-like of float, default=0.5",
        "Level of ``loss='quantile'``, in (0, 1). With several levels, the network has "
        "an output for each, and `predict` returns a column for each. The columns may "
        "cross. `y` then has to be one number for each sample.",
        [Interval(Real, 0, 1, closed="neither"), "array-like"],
    ),
}

_CALLABLE = (
    "A callable takes logits and targets, tensors of a batch, and returns one loss for "
    "each sample. It may be a loss of torch with ``reduction='none'``. Losses of the "
    "shape of the logits are summed over the outputs. Its gradient is computed by "
    "autograd. "
)

CLASSIFICATION_LOSS_PARAMETER = {
    "loss": Parameter(
        f"{list_choices(losses.CLASSIFICATION_LOSSES)} or callable, default='log_loss'",
        "The loss:\n\n"
        "- 'log_loss': cross-entropy.\n"
        "- 'hinge': multi-class hinge loss of Crammer and Singer.\n"
        "- 'squared_hinge': its square.\n"
        "- 'kullback_leibler': Kullback-Leibler divergence from target probabilities.\n"
        "  `y` may be a matrix of probabilities.\n"
        "- 'focal': cross-entropy that weighs samples by ``(1 - p) ** focal_gamma``,\n"
        "  where p is the probability of their class.\n\n"
        + _CALLABLE
        + "Targets are the numbers of the classes with a logit for each class. For two "
        "classes or several labels, targets are 0 and 1 in the shape of the logits, "
        "and two classes have one logit.",
        [StrOptions(set(losses.CLASSIFICATION_LOSSES)), callable],
    )
}
REGRESSION_LOSS_PARAMETER = {
    "loss": Parameter(
        f"{list_choices(losses.REGRESSION_LOSSES)} or callable, "
        "default='squared_error'",
        "The loss:\n\n"
        "- 'squared_error': half the squared error.\n"
        "- 'absolute_error': the absolute error.\n"
        "- 'huber': Huber's loss, which is linear beyond `huber_delta`.\n"
        "- 'log_cosh': ``log(cosh)`` of the error.\n"
        "- 'poisson': half the Poisson deviance with a log link, for ``y >= 0``.\n"
        "- 'quantile': pinball loss of the level `quantile`. `score` is then\n"
        "  `sklearn.metrics.d2_pinball_score`, averaged over the levels.\n\n"
        + _CALLABLE
        + "Logits and targets have the shape (batch, n_outputs).",
        [StrOptions(set(losses.REGRESSION_LOSSES)), callable],
    )
}
