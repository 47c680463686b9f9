"""Tables and pictures of networks: layers, training curves, weights, predictions.

- `summary` needs no optional package.
- The displays need matplotlib, which ``pip install "skmlp[plot]"`` installs.
- Displays follow scikit-learn's convention: class methods such as ``from_estimator``
  compute and draw, and ``plot`` draws again.
"""

from skmlp.inspection._augmentation import AugmentationDisplay
from skmlp.inspection._feature_map import FeatureMapDisplay
from skmlp.inspection._learning_rate import LearningRateDisplay
from skmlp.inspection._prediction_image import PredictionImageDisplay
from skmlp.inspection._summary import Summary, summary
from skmlp.inspection._train_size_curve import TrainSizeCurveDisplay
from skmlp.inspection._training_curve import TrainingCurve, TrainingCurveDisplay
from skmlp.inspection._weight_image import WeightImageDisplay
from skmlp.neural_network._layers.description import LayerSummary

__all__ = [
    "AugmentationDisplay",
    "FeatureMapDisplay",
    "LayerSummary",
    "LearningRateDisplay",
    "PredictionImageDisplay",
    "Summary",
    "TrainSizeCurveDisplay",
    "TrainingCurve",
    "TrainingCurveDisplay",
    "WeightImageDisplay",
    "summary",
]
