"""Estimators: perceptrons, convolutional networks, autoencoders, ensembles."""

from skmlp.neural_network._autoencoder import MLPAutoencoder
from skmlp.neural_network._cnn import CNNClassifier
from skmlp.neural_network._cnn_regressor import CNNRegressor
from skmlp.neural_network._ensemble import EnsembleClassifier
from skmlp.neural_network._ensemble_regressor import EnsembleRegressor
from skmlp.neural_network._mlp import MLPClassifier
from skmlp.neural_network._regressor import MLPRegressor
from skmlp.neural_network._softmax import SoftmaxRegression
from skmlp.neural_network._tabular.classifier import TabularClassifier
from skmlp.neural_network._tabular.regressor import TabularRegressor
from skmlp.neural_network._torch_module import TorchClassifier, TorchRegressor

__all__ = [
    "CNNClassifier",
    "CNNRegressor",
    "EnsembleClassifier",
    "EnsembleRegressor",
    "MLPAutoencoder",
    "MLPClassifier",
    "MLPRegressor",
    "SoftmaxRegression",
    "TabularClassifier",
    "TabularRegressor",
    "TorchClassifier",
    "TorchRegressor",
]
