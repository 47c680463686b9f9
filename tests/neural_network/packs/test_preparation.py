"""Preparation of jobs that share data, the structure of networks, or their start."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from torch import nn

from skmlp.neural_network import CNNClassifier, MLPClassifier, TorchClassifier
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.preparation import Preparation

SHORT = {"max_iter": 4, "tol": 1.0, "n_iter_no_change": 1}


def make_module(n_features, n_classes):
    """A user's module, whose layers are those of an `MLPClassifier`."""
    return nn.Sequential(nn.Linear(n_features, 5), nn.ReLU(), nn.Linear(5, n_classes))


NETWORKS = {
    "mlp": MLPClassifier((5,), **SHORT),
    "early stopping": MLPClassifier((5,), early_stopping=True, **SHORT),
    "normal weights": MLPClassifier((5,), init="he_normal", **SHORT),
    "dropout and batch norm": MLPClassifier(
        (5, 4), dropout=0.3, batch_norm=True, **SHORT
    ),
    "cnn": CNNClassifier(
        conv_channels=(2,), hidden_layer_sizes=(3,), image_shape=(4, 4), **SHORT
    ),
    "module": TorchClassifier(make_module, **SHORT),
}


def data():
    rng = np.random.default_rng(0)
    return rng.random((40, 16)), np.arange(40) % 3


def prepared_jobs(network, candidates):
    X, y = data()
    preparation = Preparation()
    return [
        preparation.prepare(
            FitJob(clone(network).set_params(**params), X, y, {}, data_key="all")
        )
        for params in candidates
    ]


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]


def test_fits_with_a_shared_start_equal_separate_fits(network):
    candidates = [
        {"alpha": alpha, "random_state": seed} for seed in (0, 1) for alpha in (0, 0.1)
    ]
    prepared = prepared_jobs(network, candidates)
    for params, (job, inputs, run) in zip(candidates, prepared, strict=True):
        job.estimator._train(run)
        job.estimator._finish_fit(run, inputs)
        separate = clone(network).set_params(**params).fit(*data())
        networks = job.estimator.net_.module_, separate.net_.module_
        for one, two in zip(*(n.parameters() for n in networks), strict=True):
            np.testing.assert_array_equal(one.detach(), two.detach())
        assert job.estimator.loss_curve_ == separate.loss_curve_
        assert not job.estimator.net_.module_.training


@pytest.mark.parametrize(
    "network", [name for name in NETWORKS if name != "module"], indirect=True
)
def test_jobs_of_one_start_share_samples_and_have_own_weights(network):
    one, two = prepared_jobs(network.set_params(random_state=0), [{}, {"alpha": 0.1}])
    assert one.run.train_loader.data is two.run.train_loader.data
    assert one.run.flat.layout is two.run.flat.layout
    before = two.run.flat.values.clone()
    assert (one.run.flat.values == before).all()
    one.job.estimator._train(one.run)
    assert (two.run.flat.values == before).all()
    assert not (one.run.flat.values == before).all()


@pytest.mark.parametrize(
    "candidates",
    [
        [{"random_state": 0}, {"random_state": 1}],
        [{"random_state": None}, {"random_state": None}],
        [{"random_state": 0}, {"random_state": 0, "batch_size": 10}],
        [{"random_state": 0}, {"random_state": 0, "shuffle": False}],
        [{"random_state": np.random.RandomState(0)}] * 2,
    ],
    ids=["seeds", "no seed", "batch size", "shuffle", "RandomState"],
)
def test_jobs_with_other_draws_have_other_starts(candidates):
    one, two = prepared_jobs(NETWORKS["mlp"], candidates)
    assert one.run.flat.layout is two.run.flat.layout
    assert one.run.train_loader.data is not two.run.train_loader.data


def test_job_after_the_training_of_the_only_one_draws_its_own_start():
    X, y = data()
    preparation, weights = Preparation(), []
    for alpha in (0.0, 0.1):
        network = MLPClassifier((5,), alpha=alpha, random_state=0, **SHORT)
        job, _, run = preparation.prepare(FitJob(network, X, y, {}, data_key="all"))
        weights.append(run.flat.values.clone())
        job.estimator._train(run)
    assert (weights[0] == weights[1]).all()
    assert network.fit(X, y).coefs_[0].T.tolist() == run.net.module_[0].weight.tolist()


def test_net_is_pickled_before_its_modules_were_made():
    _, (_, _, run) = prepared_jobs(NETWORKS["mlp"], [{"random_state": 0}] * 2)
    assert run.net.defers_network
    loaded = pickle.loads(pickle.dumps(run.net))
    assert not loaded.defers_network
    for one, two in zip(run.net.module_, loaded.module_, strict=True):
        if hasattr(one, "weight"):
            assert (one.weight == two.weight).all()
