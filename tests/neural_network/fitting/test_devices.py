"""Where a network is after training, and on which device the jobs of a search train."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from packaging.version import Version
from simulated_cuda.workers import parallel_with_devices
from sklearn.base import clone
from sklearn.datasets import load_iris
from small_estimators import SMALL, output_of, set_network_params

from skmlp.model_selection import packed_cross_validate
from skmlp.neural_network import EnsembleClassifier, MLPClassifier
from skmlp.training.net import Net

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = load_iris(return_X_y=True)


def mlp(**params):
    defaults = {"max_iter": 2, "batch_size": 50, "random_state": 0, "device": "cuda"}
    return MLPClassifier(4, **(defaults | params))


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.cuda
def test_fitted_net_predicts_on_the_cpu():
    model = mlp().fit(X, y)
    assert model.device_.type == "cuda"
    assert model.net_.device == "cpu"
    assert_array_equal(model.net_.predict(X.astype("float32")), model.predict(X))


@pytest.mark.cuda
@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_copies_are_on_the_cpu_and_can_be_edited(copied):
    model = mlp().partial_fit(X, y, classes=[0, 1, 2])
    for twin in (copied(model), copied(copied(model.fit(X, y)))):
        assert not next(twin.net_.module_.parameters()).is_cuda
        assert twin.net_.device == "cpu"
        twin.coefs_[0][:] = 7.0
        assert (twin.coefs_[0] == 7.0).all()
        assert not np.array_equal(twin.predict_proba(X), model.predict_proba(X))


@pytest.mark.cuda
def test_pickled_net_holds_tensors_of_the_cpu():
    model = mlp().partial_fit(X, y, classes=[0, 1, 2])
    net = pickle.loads(pickle.dumps(model.net_))
    assert isinstance(net, Net)
    assert net.device == "cpu"
    assert not next(net.module_.parameters()).is_cuda


@pytest.mark.cuda
def test_float64_trains_in_float32_unless_dtype_is_given():
    assert X.dtype == np.float64
    assert mlp().fit(X, y).coefs_[0].dtype == np.float32
    assert mlp(dtype="float64").fit(X, y).coefs_[0].dtype == np.float64


@pytest.mark.cuda
@pytest.mark.parametrize("solver", ["adam", "sgd", "nadam", "adagrad", "rmsprop"])
def test_training_continues_with_the_same_waits_after_a_copy(solver):
    def waits(model):
        return sum(
            not tensor.is_cuda
            for state in model.net_.optimizer_.state.values()
            for tensor in state.values()
            if isinstance(tensor, torch.Tensor) and tensor.dim() == 0
        )

    model = mlp(solver=solver).partial_fit(X, y, classes=[0, 1, 2])
    twin = copy.deepcopy(model).partial_fit(X, y)
    assert waits(twin) == waits(model)


@pytest.mark.cuda
@pytest.mark.parametrize("name", SMALL)
def test_every_estimator_trains_on_a_gpu(name):
    model = set_network_params(clone(SMALL[name]), device="cuda", random_state=0)
    if name.startswith("CNN"):
        model.set_params(image_shape=(4, 4))
    x = np.random.RandomState(0).rand(100, 16).astype(np.float32)
    model.fit(x, np.arange(100) % 2)
    networks = getattr(model, "estimators_", [model])
    assert all(str(network.device_).startswith("cuda") for network in networks)
    twin = by_pickle(model)
    assert_array_equal(output_of(twin, x), output_of(model, x))


def devices_of(models):
    return {str(model.device_) for model in models}


@pytest.mark.skipif(
    Version(joblib.__version__) < Version("1.5"),
    reason="this joblib's workers take no initializer, which simulates the devices",
)
def test_jobs_of_a_search_use_all_devices(monkeypatch):
    # The devices are simulated in the workers. This process has to see them, too.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with parallel_with_devices(2):
        results = packed_cross_validate(
            mlp(), X, y, cv=4, n_jobs=2, return_estimator=True, error_score="raise"
        )
    assert devices_of(results["estimator"]) == {"cuda:0", "cuda:1"}


@pytest.mark.skipif(
    Version(joblib.__version__) < Version("1.5"),
    reason="this joblib's workers take no initializer, which simulates the devices",
)
def test_jobs_of_an_ensemble_use_all_devices():
    with parallel_with_devices(2):
        model = EnsembleClassifier(mlp(), 4, n_jobs=2, random_state=0).fit(X, y)
    assert devices_of(model.estimators_) == {"cuda:0", "cuda:1"}
