"""Predictions on a GPU use the copy of an unchanged network again."""

import copy
import gc
import pickle
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch
from torch import nn

from skmlp.neural_network import MLPClassifier, TorchClassifier
from skmlp.training.modules import device_copies
from skmlp.training.modules.device_copies import network_on_device
from skmlp.training.modules.layers import BatchNorm1d, Dropout

CUDA = torch.device("cuda")
RNG = np.random.RandomState(0)
X = RNG.randint(0, 256, (60, 16)).astype(np.uint8)
Y = RNG.randint(0, 3, 60)

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
]


def make_network():
    return nn.Sequential(nn.Linear(3, 4), Dropout(0.5), BatchNorm1d(4)).eval()


def fitted(**params):
    return MLPClassifier(5, max_iter=2, random_state=0, device="cuda", **params).fit(
        X, Y
    )


def test_unchanged_networks_are_copied_once():
    model = fitted()
    network = model.net_.module_
    first = network_on_device(network, CUDA)
    assert first is not network
    assert next(first.parameters()).is_cuda
    assert network_on_device(network, CUDA) is first


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.coefs_[0].fill(7.0),  # a view, so nothing is called
        lambda model: model.coefs_[1].__setitem__((0, 0), 7.0),
        lambda model: model.intercepts_.__setitem__(1, [7.0, 0.0, 0.0]),
        lambda model: model.partial_fit(X, Y),
        lambda model: model.set_params(random_state=1).fit(X, Y),
    ],
)
def test_changes_of_a_model_are_predicted(change):
    model = fitted()
    before = model.predict_proba(X)
    change(model)
    after = model.predict_proba(X)
    assert not np.array_equal(after, before)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(after, twin.predict_proba(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network[2].running_mean.fill_(3.0),
        lambda network: setattr(network[2], "eps", 0.5),
        lambda network: network.__setitem__(0, nn.Linear(3, 4)),
        lambda network: network.append(nn.ReLU()),
        lambda network: network[0].register_forward_hook(lambda *args: None),
    ],
)
def test_changes_of_modules_are_seen(change):
    network = make_network()
    first = network_on_device(network, CUDA)
    change(network)
    changed = network_on_device(network, CUDA)
    assert changed is not first
    x = torch.ones(2, 3)
    torch.testing.assert_close(changed(x.to("cuda")).cpu(), network(x))


def test_networks_of_users_are_copied_in_each_call():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.scale = nn.Linear(3, 4), [1.0]

        def forward(self, x):
            return self.linear(x) * self.scale[0]

    network = Network().eval()
    first = network_on_device(network, CUDA)
    network.scale[0] = 2.0
    assert network_on_device(network, CUDA).scale == [2.0] != first.scale


def test_a_network_on_the_device_is_not_copied():
    network = make_network().to("cuda")
    assert network_on_device(network, CUDA) is network


def test_copies_end_with_their_networks_and_the_oldest_ends_first(monkeypatch):
    copies_of_networks = WeakKeyDictionary()  # without the networks of other tests
    monkeypatch.setattr(device_copies, "_copies", copies_of_networks)
    monkeypatch.setattr(device_copies, "_MAX_COPIES", 2)
    networks = [make_network() for _ in range(3)]
    copies = [network_on_device(network, CUDA) for network in networks]
    assert len(copies_of_networks) == 2
    assert network_on_device(networks[2], CUDA) is copies[2]
    assert network_on_device(networks[0], CUDA) is not copies[0]
    del networks, copies
    gc.collect()
    assert len(copies_of_networks) == 0


def test_pickles_do_not_hold_the_copy():
    model = fitted()
    before = pickle.dumps(model)
    model.predict(X)
    assert pickle.dumps(model) == before
    assert not next(copy.deepcopy(model).net_.module_.parameters()).is_cuda


def test_predictions_of_a_users_module_follow_its_changes():
    model = TorchClassifier(
        nn.Linear, module__in_features=16, module__out_features=3, device="cuda"
    )
    model.fit(X.astype(np.float32), Y)
    model.coefs_[0][:] = 0.0
    model.intercepts_[0][:] = [0.0, 9.0, 0.0]
    assert (model.predict(X.astype(np.float32)) == 1).all()
