"""Estimators: softmax regression, multi-layer perceptrons, convolutional networks."""

from skmlp.neural_network._cnn import CNNClassifier
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._regressor import MLPRegressor
from skmlp.neural_network._softmax import SoftmaxRegression

__all__ = ["CNNClassifier", "MLPClassifier", "MLPRegressor", "SoftmaxRegression"]
