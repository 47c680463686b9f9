"""The parameters that estimators share, each documented and constrained once.

- `architecture`, `optimization`, `targets`, `training`: the parameters by their topic.
- `convolution`: the parameters of convolutional networks only.
- `declaration`: adds the descriptions and constraints to the class of an estimator.
- `availability`: hides methods that some values of the parameters exclude.
"""

from skmlp.neural_network._base.parameters.architecture import ARCHITECTURE
from skmlp.neural_network._base.parameters.constraints import Parameter
from skmlp.neural_network._base.parameters.convolution import CONVOLUTION
from skmlp.neural_network._base.parameters.optimization import OPTIMIZATION
from skmlp.neural_network._base.parameters.targets import (
    CLASSIFICATION_LOSS_PARAMETER,
    REGRESSION_LOSS_PARAMETER,
    TARGETS,
)
from skmlp.neural_network._base.parameters.training import TRAINING

__all__ = [
    "CLASSIFICATION_LOSS_PARAMETER",
    "CONVOLUTION",
    "REGRESSION_LOSS_PARAMETER",
    "SHARED",
    "Parameter",
]

SHARED = ARCHITECTURE | OPTIMIZATION | TARGETS | TRAINING
