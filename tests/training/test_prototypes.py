"""Nets of one structure, made from a prototype."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.training.prototypes import NetPrototype
from skmlp.training.stopping import Monitor

SHORT = {"tol": 1.0, "n_iter_no_change": 1, "random_state": 0}
ESTIMATORS = {
    "mlp": MLPClassifier((5, 4), batch_norm=True, dropout=0.2, **SHORT),
    "cnn": CNNClassifier(
        conv_channels=(3,), hidden_layer_sizes=(4,), image_shape=(4, 4), **SHORT
    ),
}


def run_of_prototype(prototype, estimator, inputs):
    start = estimator._make_start(inputs, prototype=prototype)
    return estimator._make_run(start, inputs)


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    estimator = copy.deepcopy(ESTIMATORS[request.param])
    inputs = estimator._check_fit_inputs(
        np.random.default_rng(0).random((20, 16)), np.arange(20) % 3
    )
    return estimator, inputs


def test_net_of_a_prototype_has_the_attributes_of_an_initialized_net(estimator):
    estimator, inputs = estimator
    net = estimator._prepare_training(inputs).net
    copied = NetPrototype.of(net).copy()
    other = estimator._make_net(
        copied.network, Monitor(), torch.device("cpu"), copied=copied
    )
    # skorch's context is None in the class, too.
    assert vars(net).keys() - {"init_context_"} == vars(other).keys()
    for name in ("_modules", "_criteria", "_optimizers", "prefixes_"):
        assert vars(net)[name] == vars(other)[name]
        assert vars(net)[name] is not vars(other)[name]
    assert repr(net.optimizer_) == repr(other.optimizer_)
    assert other.optimizer_.param_groups[0]["params"][0] is other.flat_.values


def test_fit_with_a_prototype_equals_the_fit_without_it(estimator):
    estimator, inputs = estimator
    runs = [estimator._prepare_training(inputs)]
    prototype = NetPrototype.of(runs[0].net)
    runs.append(run_of_prototype(prototype, estimator, inputs))
    for run in runs:
        estimator._train(run)
    one, two = (run.net.flat_.values for run in runs)
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert runs[0].net.history[:, "train_loss"] == runs[1].net.history[:, "train_loss"]


def test_fit_with_a_prototype_can_be_pickled_and_trained_further(estimator):
    estimator, inputs = estimator
    X, y = inputs.data.X, inputs.data.y
    model = copy.deepcopy(estimator).fit(X, y)
    prototype = NetPrototype.of(estimator._prepare_training(inputs).net)
    run = run_of_prototype(prototype, estimator, inputs)
    estimator._train(run)
    estimator._finish_fit(run, inputs)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    for fitted in (estimator, model):
        fitted.partial_fit(X, y)
    np.testing.assert_array_equal(estimator.coefs_[0], model.coefs_[0])


def test_networks_that_a_copy_could_not_equal_have_no_prototype(estimator):
    estimator, inputs = estimator
    hooked = estimator._prepare_training(inputs).net
    hooked.module_[0].register_forward_hook(lambda *_: None)
    assert NetPrototype.of(hooked) is None
    frozen = estimator.set_params(frozen_layers=[0])._prepare_training(inputs).net
    assert NetPrototype.of(frozen) is None
