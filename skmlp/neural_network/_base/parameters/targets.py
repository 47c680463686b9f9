"""The parameters of the loss and of the targets."""

from skmlp._sklearn_compat import StrOptions
from skmlp.neural_network._base.parameters.constraints import (
    FROM_0_BELOW_1,
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
}

CLASSIFICATION_LOSS_PARAMETER = {
    "loss": Parameter(
        f"{list_choices(losses.CLASSIFICATION_LOSSES)}, default='log_loss'",
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
        f"{list_choices([*losses.REGRESSION_LOSSES])}, default='squared_error'",
        "The loss:\n\n"
        "- 'squared_error': half the squared error.\n"
        "- 'absolute_error': the absolute error.\n"
        "- 'huber': Huber's loss.\n"
        "- 'log_cosh': ``log(cosh)`` of the error.\n"
        "- 'poisson': half the Poisson deviance with a log link, for ``y >= 0``.",
        [StrOptions(set(losses.REGRESSION_LOSSES))],
    )
}
