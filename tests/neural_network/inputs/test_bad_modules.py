"""A module that cannot be trained is refused before training, in one sentence."""

import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skmlp.neural_network import TorchClassifier, TorchRegressor


class Linear(nn.Module):
    """A correct module, from which the others derive."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.layer(x)


class Softmax(Linear):
    def forward(self, x):
        return self.layer(x).softmax(1)


class SoftmaxInEvaluation(Linear):
    def forward(self, x):
        return self.layer(x) if self.training else self.layer(x).softmax(1)


class Sigmoid(Linear):
    def forward(self, x):
        return self.layer(x)[:, :1].sigmoid()


class FailsInForward(Linear):
    def forward(self, x):
        return self.layer(x[:, :3])


class ChangesInput(Linear):
    def forward(self, x):
        return self.layer(x.mul_(2))


class ReturnsNaN(Linear):
    def forward(self, x):
        return self.layer(x) / 0


class DropsColumns(Linear):
    def forward(self, x):
        return self.layer(x)[:, :2]


class SqueezesSingleSample(Linear):
    def forward(self, x):
        return self.layer(x).squeeze()


class ReturnsTuple(Linear):
    def forward(self, x):
        return self.layer(x), x


class CastsToFloat32(Linear):
    def forward(self, x):
        return self.layer(x.float())


class IgnoresParameters(Linear):
    def forward(self, x):
        return x[:, :10]


class HasNoParameters(nn.Module):
    def forward(self, x):
        return x[:, :10]


class KeepsLayersInList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(64, 10)]

    def forward(self, x):
        return self.layers[0](x)


class IsOnAnotherDevice(Linear):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.layer.to("meta")


class HasExtraState(Linear):
    def get_extra_state(self):
        return 1

    def set_extra_state(self, state):
        pass


class FailsInConstructor(Linear):
    def __init__(self, n_features):
        raise KeyError("size")


SHARED = Linear(64, 10)

BAD = {
    Softmax: "returns probabilities, but it has to return logits; remove its softmax",
    SoftmaxInEvaluation: "returns probabilities, but it has to return logits",
    FailsInForward: "failed in its first batch, 8 samples of 64 features: RuntimeError",
    ChangesInput: "changes its input, which later batches would see",
    ReturnsNaN: "returned NaN or infinite logits in its first batch",
    DropsColumns: "logits of shape (8, 2) for 8 samples, but y needs the shape (8, 10)",
    SqueezesSingleSample: "logits of shape (10,) for 1 samples, but y needs the shape",
    ReturnsTuple: "returned a tuple; it has to return one tensor of logits",
    CastsToFloat32: "the network computes in float64, see the parameter dtype",
    IgnoresParameters: "returns logits that do not depend on its parameters",
    HasNoParameters: "has no parameters to train",
    KeepsLayersInList: "store layers as attributes or in nn.ModuleList, not in a list",
    IsOnAnotherDevice: "has parameters on meta, which hold no values",
    HasExtraState: "has an extra state, which files and pickles would lose",
    FailsInConstructor: "FailsInConstructor(n_features=64) raised KeyError: 'size'",
}


@pytest.mark.parametrize("module", BAD, ids=lambda module: module.__name__)
def test_bad_module_is_refused_before_training(module, digits):
    model = TorchClassifier(module, random_state=0)
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=re.escape(BAD[module])) as caught:
        model.fit(*digits)
    assert str(caught.value).startswith(f"module={module.__name__} ")
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), state)
    assert not hasattr(model, "net_")
    assert not hasattr(model, "classes_")


def test_sigmoid_is_refused_for_two_classes_but_not_for_numbers(digits):
    X, y = digits
    with pytest.raises(ValueError, match="remove its sigmoid"):
        TorchClassifier(Sigmoid).fit(X, y > 4)
    with pytest.warns(match="Maximum iterations"):
        TorchRegressor(Sigmoid, max_iter=1).fit(X, y / 10)


def test_instance_is_refused_because_clones_would_share_it(digits):
    with pytest.raises(
        TypeError, match=r"module is an instance of Linear.*module=Linear"
    ):
        clone(TorchClassifier(SHARED)).fit(*digits)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_function_that_returns_one_instance_is_refused(digits):
    shared = Linear(64, 10)
    model = TorchClassifier(lambda: shared, max_iter=1).fit(*digits)
    with pytest.raises(TypeError, match="returned the same instance as before"):
        clone(model).fit(*digits)


def test_result_that_is_no_module_is_refused(digits):
    with pytest.raises(
        TypeError, match=r"returned a int; it has to return a torch\.nn"
    ):
        TorchClassifier(lambda n_features: n_features).fit(*digits)


def test_unknown_argument_is_refused_with_the_known_ones(digits):
    model = TorchClassifier(Linear).set_params(module__hiden=3)
    with pytest.raises(TypeError, match=r"no argument 'hiden'.*n_features, n_outputs"):
        model.fit(*digits)
    with pytest.raises(TypeError, match="arguments of the module are module__hidden"):
        TorchClassifier(Linear, hidden=3)
    with pytest.raises(ValueError, match="Invalid parameter 'hidden'"):
        TorchClassifier(Linear).set_params(hidden=3)


def test_flat_samples_lack_the_image_shape_that_a_module_asks_for(digits):
    def make(image_shape):
        return nn.Linear(64, 10)

    with pytest.raises(
        ValueError, match=r"set image_shape=\(height, width, channels\)"
    ):
        TorchClassifier(make).fit(*digits)
    with pytest.raises(ValueError, match="X has 64 features, but image_shape="):
        TorchClassifier(make, image_shape=(8, 9)).fit(*digits)


def test_single_class_needs_a_module_of_one_logit(iris):
    X = iris[0]

    def make(n_features, n_classes):
        return nn.Linear(n_features, n_classes)

    with pytest.raises(ValueError, match="y has one class"):
        TorchClassifier(make).fit(X, np.zeros(len(X)))


def test_last_batch_of_one_sample_is_refused_with_batch_norm(digits):
    def make():
        return nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10))

    model = TorchClassifier(make, batch_size=23)
    with pytest.raises(ValueError, match="leave one sample for the last batch"):
        model.fit(digits[0][:47], digits[1][:47])


def test_module_among_the_arguments_is_not_trained_itself(digits):
    backbone = nn.Linear(64, 10)
    before = backbone.weight.detach().clone()

    def make(backbone):
        return nn.Sequential(backbone, nn.Tanh(), nn.Linear(10, 10))

    with pytest.warns(match="Maximum iterations"):
        model = TorchClassifier(make, module__backbone=backbone, max_iter=1).fit(
            *digits
        )
    assert torch.equal(backbone.weight, before)
    assert not torch.equal(model.net_.module_[0].weight, before)
