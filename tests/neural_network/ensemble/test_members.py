"""The members of an ensemble: seeds, bootstrap samples, jobs, partial_fit."""

import copy
import warnings

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPClassifier(6, max_iter=5)
NETWORKS = {
    "mlp": SMALL,
    "softmax": SoftmaxRegression(max_iter=5),
    "cnn": CNNClassifier(2, hidden_layer_sizes=5, max_iter=2),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_member_equals_single_network_with_its_seed(
    network, digits, assert_equal_members
):
    model = EnsembleClassifier(network, 3, random_state=0).fit(*digits)
    seeds = [member.random_state for member in model]
    assert len(set(seeds)) == 3
    singles = [clone(network).set_params(random_state=s).fit(*digits) for s in seeds]
    assert_equal_members(model.estimators_, singles, atol=1e-12)


def test_ensemble_of_one_predicts_as_its_member(digits):
    model = EnsembleClassifier(SMALL, 1, random_state=0).fit(*digits)
    (member,) = model.estimators_
    for method in ("predict", "predict_proba", "predict_log_proba"):
        mean, own = (getattr(x, method)(digits[0]) for x in (model, member))
        assert_array_equal(mean, own)
        assert mean.dtype == own.dtype


def test_default_member_is_mlp_classifier(iris):
    model = EnsembleClassifier(n_estimators=2, random_state=0).fit(*iris)
    assert [type(member) for member in model] == [MLPClassifier] * 2
    assert model.estimator is None
    assert model.estimators_[0].get_params() | {"random_state": None} == (
        MLPClassifier().get_params()
    )


def test_given_estimator_is_not_modified(digits):
    network = MLPClassifier(6, max_iter=2, random_state=7)
    EnsembleClassifier(network, 2).fit(*digits)
    assert network.random_state == 7
    assert not hasattr(network, "net_")


def test_member_seeds_come_from_random_state(digits):
    def seeds(random_state):
        model = EnsembleClassifier(SMALL, 3, random_state=random_state).fit(*digits)
        return [member.random_state for member in model]

    assert seeds(0) == seeds(0) == seeds(np.random.RandomState(0))
    assert set(seeds(0)).isdisjoint(seeds(1))
    assert set(seeds(None)).isdisjoint(seeds(None))


def test_first_members_do_not_depend_on_n_estimators(digits, assert_equal_members):
    few, many = (
        EnsembleClassifier(SMALL, n, random_state=0).fit(*digits).estimators_
        for n in (2, 3)
    )
    assert_equal_members(few, many[:2])


@pytest.mark.parametrize("random_state", [None, 0])
@pytest.mark.parametrize("bootstrap", [False, True])
def test_ensemble_leaves_global_generators_unchanged(random_state, bootstrap, digits):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    model = EnsembleClassifier(
        SMALL, 2, bootstrap=bootstrap, random_state=random_state
    ).fit(*digits)
    model.predict(digits[0])
    assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_bootstrap_counts_act_as_sample_weights(digits, assert_equal_members):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, bootstrap=True, random_state=0).fit(X, y)
    singles = [
        clone(member).fit(X, y, np.bincount(drawn, minlength=len(X)))
        for member, drawn in zip(model, model.estimators_samples_, strict=True)
    ]
    assert_equal_members(model.estimators_, singles, atol=1e-12)
    for drawn in model.estimators_samples_:
        assert len(drawn) == len(X)
        # The expected fraction is 1 - 1/e = 0.63.
        assert 0.55 < len(np.unique(drawn)) / len(X) < 0.72
    assert not np.array_equal(*model.estimators_samples_[:2])


def test_sample_weights_are_bootstrap_probabilities(digits, assert_equal_members):
    X, y = digits
    weight = np.where(np.arange(len(X)) % 2, 3.0, 0.0)
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0)
    model.fit(X, y, sample_weight=weight)
    for drawn in model.estimators_samples_:
        assert (drawn % 2 == 1).all()
        assert len(drawn) == len(X)
    same = clone(model).fit(X, y, sample_weight=weight / 3)
    assert_equal_members(model.estimators_, same.estimators_)


def test_sample_weights_reach_members_without_bootstrap(digits, assert_equal_members):
    X, y = digits
    weight = np.linspace(0.1, 2, len(X))
    model = EnsembleClassifier(SMALL, 2, random_state=0, n_jobs=1).fit(X, y, weight)
    assert model.estimators_samples_ == []
    singles = [clone(member).fit(X, y, weight) for member in model]
    assert_equal_members(model.estimators_, singles, atol=1e-12)


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_packed_members_equal_members_trained_alone(
    bootstrap, early_stopping, digits, assert_equal_members
):
    network = MLPClassifier(
        6, max_iter=20, dropout=0.1, early_stopping=early_stopping, n_iter_no_change=2
    )
    model = EnsembleClassifier(network, 3, bootstrap=bootstrap, random_state=0)
    together = clone(model).fit(*digits)
    alone = clone(model).set_params(n_jobs=1).fit(*digits)
    for one, other in zip(alone, together, strict=True):
        assert one.n_iter_ == other.n_iter_
    assert_equal_members(together.estimators_, alone.estimators_, atol=1e-12)


def test_members_know_classes_missing_from_their_bootstrap_sample():
    X = np.arange(30.0).reshape(-1, 1)
    y = np.repeat([0, 1, 2], [28, 1, 1])
    model = EnsembleClassifier(SMALL, 4, bootstrap=True, random_state=0).fit(X, y)
    classes_drawn = [set(y[drawn]) for drawn in model.estimators_samples_]
    assert any(len(classes) < 3 for classes in classes_drawn)
    assert model.predict_proba(X).shape == (30, 3)


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("bootstrap", [False, True])
def test_members_stop_early_on_their_own_validation_split(bootstrap, digits):
    network = MLPClassifier(6, max_iter=5, early_stopping=True)
    model = EnsembleClassifier(network, 2, bootstrap=bootstrap, random_state=0)
    model.fit(*digits)
    one, other = (member.validation_scores_ for member in model)
    assert len(one) == len(other) == 5
    assert one != other


def test_validation_set_reaches_members(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0)
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    for member in model:
        # Each member ends with the weights of its best epoch.
        score = member.score(X[200:], y[200:])
        assert score == member.best_validation_score_


@pytest.mark.parametrize("bootstrap", [False, True])
def test_n_jobs_does_not_change_members(bootstrap, digits, assert_equal_members):
    X, y = digits
    models = [
        EnsembleClassifier(
            MLPClassifier(6, max_iter=5, dropout=0.2, early_stopping=True),
            3,
            bootstrap=bootstrap,
            random_state=0,
            n_jobs=n_jobs,
        ).fit(X, y)
        for n_jobs in (None, 1, 2)
    ]
    with joblib.parallel_config("threading", n_jobs=3):
        models.append(clone(models[0]).fit(X, y))
    together, *alone = models
    for model in alone:
        assert_equal_members(model.estimators_, together.estimators_, atol=1e-12)
        assert_equal_members(model.estimators_, models[1].estimators_)
        assert_array_equal(model.predict_proba(X), models[1].predict_proba(X))


def test_n_jobs_does_not_change_large_networks(assert_equal_members):
    """Networks of this size use several threads each."""
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(400, 200)).astype(np.float32), np.arange(400) % 10
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        models = [
            EnsembleClassifier(
                MLPClassifier(700, max_iter=2), 2, random_state=0, n_jobs=n_jobs
            ).fit(X, y)
            for n_jobs in (1, 2)
        ]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert_equal_members(models[0].estimators_, models[1].estimators_)


def test_jobs_memory_map_large_data():
    # The class is local because the worker processes cannot import this module.
    class SeesMemory(ClassifierMixin, BaseEstimator):
        """Record whether X is a memory map that torch shares."""

        def __init__(self, random_state=None):
            self.random_state = random_state

        def fit(self, X, y):
            tensor = torch.from_numpy(X)
            self.shared_ = (
                isinstance(X, np.memmap) and tensor.data_ptr() == X.ctypes.data
            )
            self.writeable_ = X.flags.writeable
            X[0, 0] = self.random_state
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    X = np.zeros((1000, 300))
    model = EnsembleClassifier(SeesMemory(), 3, n_jobs=2).fit(X, np.arange(1000) % 2)
    assert all(member.shared_ and member.writeable_ for member in model)
    assert not X.any()  # each member writes to its own copy


def test_ensemble_accepts_read_only_arrays(digits, assert_equal_members):
    X, y = (array.copy() for array in digits)
    X.flags.writeable = y.flags.writeable = False
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0).fit(X, y)
    same = clone(model).fit(*digits)
    assert_equal_members(model.estimators_, same.estimators_)


def test_each_unconverged_member_warns(digits):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        EnsembleClassifier(SMALL, 3).fit(*digits)
    assert [w.category for w in caught] == [ConvergenceWarning] * 3


@pytest.mark.on_cuda_too
def test_partial_fit_trains_every_member(digits, assert_equal_members):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0)
    model.partial_fit(X[:150], y[:150], classes=np.arange(10))
    members = [clone(member) for member in model]
    model.partial_fit(X[150:], y[150:], np.ones(150))
    for member in members:
        member.partial_fit(X[:150], y[:150], classes=np.arange(10))
        member.partial_fit(X[150:], y[150:])
    assert_equal_members(model.estimators_, members)
    assert model.classes_.tolist() == list(range(10))


def test_failing_member_rolls_back_all_members(digits, monkeypatch):
    X, y = digits
    model = EnsembleClassifier(MLPClassifier(5), n_estimators=2, random_state=0)
    model.partial_fit(X, y, classes=np.arange(10))
    before = model.predict_proba(X)
    partial_fit, calls = MLPClassifier.partial_fit, []

    def second_fails(self, *args, **kwargs):
        calls.append(self)
        if len(calls) == 2:
            raise ValueError("diverged")
        return partial_fit(self, *args, **kwargs)

    monkeypatch.setattr(MLPClassifier, "partial_fit", second_fails)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), before)


def test_partial_fit_continues_and_fit_restarts(digits, assert_equal_members):
    model = EnsembleClassifier(SMALL, 2, random_state=0).fit(*digits)
    first = copy.deepcopy(model.estimators_)
    model.partial_fit(*digits)
    assert [len(member.loss_curve_) for member in model] == [6, 6]
    assert_equal_members(model.fit(*digits).estimators_, first)


@pytest.mark.parametrize(
    "model",
    [
        EnsembleClassifier(SMALL, bootstrap=True),
        EnsembleClassifier(MLPClassifier(solver="lbfgs")),
        EnsembleClassifier(make_pipeline(StandardScaler(), SMALL)),
    ],
    ids=["bootstrap", "lbfgs", "pipeline"],
)
def test_partial_fit_is_absent_where_unsupported(model):
    assert not hasattr(model, "partial_fit")
