"""A small instance of every estimator in `skmlp.neural_network.__all__`.

Tests of behavior that all estimators share take their estimators from `SMALL`. So a new
estimator is tested without an entry in each of these tests. It needs an entry in
`_MINIMAL` only if its constructor has arguments without a default, or if its default
network is slow.
"""

import inspect

from sklearn.base import clone
from torch import nn

import skmlp.neural_network
from skmlp.neural_network import MLPClassifier, MLPRegressor


class Perceptron(nn.Module):
    """A user's module with one hidden layer."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.dense = nn.Linear(n_features, 5)
        self.output = nn.Linear(5, n_outputs)

    def forward(self, x):
        return self.output(self.dense(x).relu())


_FEW = {"max_iter": 3, "random_state": 0, "batch_size": 20}
_MINIMAL = {
    "CNNClassifier": {"conv_channels": 2, "hidden_layer_sizes": 4},
    "CNNRegressor": {"conv_channels": 2, "hidden_layer_sizes": 4},
    "EnsembleClassifier": {
        "estimator": MLPClassifier(5, **_FEW),
        "n_estimators": 2,
    },
    "EnsembleRegressor": {
        "estimator": MLPRegressor(hidden_layer_sizes=5, **_FEW),
        "n_estimators": 2,
    },
    "MLPAutoencoder": {"n_components": 2, "hidden_layer_sizes": 5},
    "TabularClassifier": {"n_estimators": 2, "hidden_layer_sizes": 5},
    "TabularRegressor": {"n_estimators": 2, "hidden_layer_sizes": 5},
    "TorchClassifier": {"module": Perceptron},
    "TorchRegressor": {"module": Perceptron},
}


def make_small(name):
    """Return an unfitted estimator that trains for three epochs."""
    cls = getattr(skmlp.neural_network, name)
    known = inspect.signature(cls).parameters
    params = {"hidden_layer_sizes": 5} | _FEW | _MINIMAL.get(name, {})
    return cls(**{key: value for key, value in params.items() if key in known})


SMALL = {name: make_small(name) for name in skmlp.neural_network.__all__}


def set_network_params(model, **params):
    """Return a copy with other parameters of its network or of its members."""
    model = clone(model)
    prefix = "estimator__" if hasattr(model, "estimator") else ""
    return model.set_params(**{prefix + key: value for key, value in params.items()})


def output_of(model, X):
    """Return the codes of an autoencoder, and the predictions of all others."""
    return (model.predict if hasattr(model, "predict") else model.transform)(X)
