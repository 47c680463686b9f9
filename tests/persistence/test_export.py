import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import to_torch
from skmlp.preprocessing import PixelScaler

DIGITS = load_digits()
X = DIGITS.data[:120].astype(np.float32)
Y = DIGITS.target[:120]
FEW = {"max_iter": 3, "random_state": 0, "device": "cpu"}

NETWORKS = {
    "softmax": SoftmaxRegression(**FEW),
    "mlp": MLPClassifier((20, 10), batch_norm=True, dropout=(0.1, 0.0), **FEW),
    "regressor": MLPRegressor(hidden_layer_sizes=(20,), **FEW),
    "cnn": CNNClassifier((4, 6), kernel_size=2, conv_dropout=0.1, **FEW),
    "signals": CNNRegressor(
        (4, 6), (4, 3), pool=("avg", "max"), conv_dims=1, batch_norm=True, **FEW
    ),
    "residual": CNNClassifier(
        (3, 5), block="residual", batch_norm=True, conv_dropout=0.2, **FEW
    ).set_params(channel_dropout=True, head="global_average"),
}


@pytest.fixture(params=NETWORKS)
def model(request):
    with warnings.catch_warnings(action="ignore"):
        return NETWORKS[request.param].fit(X, Y)


def logits(model, X):
    return model.hidden_activations(X, layer="output")


def test_exported_network_computes_equal_logits(model):
    network = to_torch(model)
    with torch.no_grad():
        computed = network(torch.from_numpy(X)).numpy()
    expected = logits(model, X).reshape(len(X), -1)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)


def test_exported_network_consists_of_torch_layers(model):
    network = to_torch(model)
    assert not network.training
    for layer in network.modules():
        assert type(layer).__module__.startswith(("torch.nn.", "torch.fx."))
    assert network.state_dict().keys() == model.net_.module_.state_dict().keys()


def test_exported_network_is_a_trainable_copy(model):
    network = to_torch(model)
    before = logits(model, X).copy()
    for parameter in network.parameters():
        size = parameter.numel() * parameter.element_size()
        assert parameter.untyped_storage().nbytes() == size
    network.train()
    network(torch.from_numpy(X)).sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.zero_()
    np.testing.assert_array_equal(logits(model, X), before)
    assert all(parameter.grad is None for parameter in model.net_.module_.parameters())


def test_other_estimators_than_networks_are_refused():
    with pytest.raises(TypeError, match=r"is a Pipeline; .*last step"):
        to_torch(make_pipeline(PixelScaler(), MLPClassifier()))
    with pytest.raises(NotFittedError):
        to_torch(MLPClassifier())
