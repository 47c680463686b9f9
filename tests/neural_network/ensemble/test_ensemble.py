"""Ensembles: members by seed or sample, averages, jobs, what scikit-learn expects."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler

pytestmark = pytest.mark.filterwarnings(
    # A few epochs each are enough here.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

SMALL = MLPClassifier(6, max_iter=5)
NETWORKS = {
    "mlp": SMALL,
    "softmax": SoftmaxRegression(max_iter=5),
    "cnn": CNNClassifier(2, hidden_layer_sizes=5, max_iter=2),
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def _assert_same_members(one, other, atol=0.0):
    """To the bit; but one network of a pack and one alone round sums differently."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for mine, yours in zip(a.coefs_, b.coefs_, strict=True):
            assert_allclose(mine, yours, rtol=0, atol=atol)


# scikit-learn's checks


@parametrize_with_checks([EnsembleClassifier()])
def test_ensemble_passes_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_param_validation,
        estimator_checks.check_dataframe_column_names_consistency,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("estimator", [None, SMALL], ids=["default", "given"])
def test_ensemble_passes_further_sklearn_check(check, estimator):
    with warnings.catch_warnings():
        # The checks fit with names and predict without, on purpose.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        check("EnsembleClassifier", EnsembleClassifier(estimator, 2))


def test_member_parameters_are_set_through_ensemble():
    model = EnsembleClassifier(MLPClassifier(), 2).set_params(estimator__alpha=3.0)
    assert model.estimator.alpha == 3.0
    assert model.get_params()["estimator__alpha"] == 3.0
    assert "estimator__alpha" not in model.get_params(deep=False)
    assert clone(model).get_params()["estimator__alpha"] == 3.0


def test_html_shows_member():
    assert "estimator: MLPClassifier" in EnsembleClassifier(SMALL)._repr_html_()


def test_search_varies_member_parameters(digits):
    model = EnsembleClassifier(SMALL, 2, random_state=0)
    grid = {"estimator__alpha": [0.1, 1.0], "n_estimators": [1, 2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(*digits)
    assert len(search.best_estimator_) == search.best_params_["n_estimators"]


# Members


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_member_equals_single_network_with_its_seed(network, digits):
    model = EnsembleClassifier(network, 3, random_state=0).fit(*digits)
    seeds = [member.random_state for member in model]
    assert len(set(seeds)) == 3
    singles = [clone(network).set_params(random_state=s).fit(*digits) for s in seeds]
    _assert_same_members(model.estimators_, singles, atol=1e-12)


def test_ensemble_of_one_predicts_as_its_member(digits):
    model = EnsembleClassifier(SMALL, 1, random_state=0).fit(*digits)
    (member,) = model.estimators_
    for method in ("predict", "predict_proba", "predict_log_proba"):
        ours, own = (getattr(x, method)(digits[0]) for x in (model, member))
        assert_array_equal(ours, own)
        assert ours.dtype == own.dtype


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


def test_first_members_do_not_depend_on_n_estimators(digits):
    few, many = (
        EnsembleClassifier(SMALL, n, random_state=0).fit(*digits).estimators_
        for n in (2, 3)
    )
    _assert_same_members(few, many[:2])


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


# Averages


@pytest.mark.parametrize("n_classes", [2, 10])
def test_probabilities_are_the_mean_of_members(n_classes, digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y % n_classes)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    assert_allclose(model.predict_proba(X), mean, rtol=1e-14)
    assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    assert_allclose(model.predict_log_proba(X), np.log(mean), rtol=1e-12)


def test_ensemble_scores_at_least_its_average_member():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.5, random_state=0
    )
    network = MLPClassifier(20, max_iter=40)
    model = EnsembleClassifier(network, 5, random_state=0).fit(X_train, y_train)
    scores = model.member_scores(X_test, y_test)
    assert model.score(X_test, y_test) >= scores.mean()
    assert len(set(scores)) > 1


@settings(max_examples=15, deadline=None)
@given(
    n_members=st.integers(1, 4),
    n_classes=st.integers(2, 4),
    seed=st.integers(0, 2**32 - 1),
    bootstrap=st.booleans(),
)
def test_cross_entropy_is_at_most_the_mean_of_members(
    n_members, n_classes, seed, bootstrap
):
    """Jensen's inequality, for any members."""
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(40, 3)), np.arange(40) % n_classes
    network = MLPClassifier(4, max_iter=3, learning_rate_init=0.3)
    model = EnsembleClassifier(
        network, n_members, bootstrap=bootstrap, random_state=seed
    ).fit(X, y)
    losses = [log_loss(y, member.predict_proba(X)) for member in model]
    assert log_loss(y, model.predict_proba(X)) <= np.mean(losses) * (1 + 1e-12)


class Opinion(ClassifierMixin, BaseEstimator):
    """Has one opinion, whatever the row."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.opinion, (len(X), 1))


def _with_opinions(*opinions):
    model = EnsembleClassifier(Opinion(), len(opinions))
    names = np.array(["a", "b", "c"])[: len(opinions[0])]
    model.fit(np.zeros((len(names), 1)), names)
    for member, opinion in zip(model, opinions, strict=True):
        member.opinion = opinion
    return model


def test_prediction_averages_probabilities_instead_of_votes():
    model = _with_opinions([0.1, 0.9], [0.6, 0.4], [0.6, 0.4])
    assert model.predict([[0.0]]).tolist() == ["b"]


def test_first_class_wins_ties():
    assert _with_opinions([0.25, 0.75], [0.75, 0.25]).predict([[0.0]]) == ["a"]
    thirds = _with_opinions([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    assert thirds.predict([[0.0]]).tolist() == ["b"]


def test_impossible_class_has_log_probability_minus_infinity():
    model = _with_opinions([1.0, 0.0], [1.0, 0.0])
    assert model.predict_log_proba([[0.0]]).tolist() == [[0.0, -np.inf]]


def test_ensemble_has_no_decision_function():
    assert not hasattr(EnsembleClassifier(), "decision_function")


def test_member_scores_equal_scores_of_members(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y)
    weight = np.linspace(0, 1, len(y))
    own = [member.score(X, y, weight) for member in model]
    assert model.member_scores(X, y, weight).tolist() == own
    assert model.member_scores(X, y).tolist() != own


# Samples of rows


def test_bootstrap_counts_act_as_sample_weights(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 3, bootstrap=True, random_state=0).fit(X, y)
    singles = [
        clone(member).fit(X, y, np.bincount(rows, minlength=len(X)))
        for member, rows in zip(model, model.estimators_samples_, strict=True)
    ]
    _assert_same_members(model.estimators_, singles, atol=1e-12)
    for rows in model.estimators_samples_:
        assert len(rows) == len(X)
        assert 0.55 < len(np.unique(rows)) / len(X) < 0.72  # 1 - 1/e, and noise
    assert not np.array_equal(*model.estimators_samples_[:2])


def test_sample_weights_are_bootstrap_probabilities(digits):
    X, y = digits
    weight = np.where(np.arange(len(X)) % 2, 3.0, 0.0)
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0)
    model.fit(X, y, sample_weight=weight)
    for rows in model.estimators_samples_:
        assert (rows % 2 == 1).all()
        assert len(rows) == len(X)
    same = clone(model).fit(X, y, sample_weight=weight / 3)
    _assert_same_members(model.estimators_, same.estimators_)


def test_sample_weights_reach_members_without_bootstrap(digits):
    X, y = digits
    weight = np.linspace(0.1, 2, len(X))
    model = EnsembleClassifier(SMALL, 2, random_state=0, n_jobs=1).fit(X, y, weight)
    assert model.estimators_samples_ == []
    singles = [clone(member).fit(X, y, weight) for member in model]
    _assert_same_members(model.estimators_, singles, atol=1e-12)


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_packed_members_equal_members_trained_alone(bootstrap, early_stopping, digits):
    network = MLPClassifier(
        6, max_iter=20, dropout=0.1, early_stopping=early_stopping, n_iter_no_change=2
    )
    model = EnsembleClassifier(network, 3, bootstrap=bootstrap, random_state=0)
    together = clone(model).fit(*digits)
    alone = clone(model).set_params(n_jobs=1).fit(*digits)
    for one, other in zip(alone, together, strict=True):
        assert one.n_iter_ == other.n_iter_
        for expected, found in zip(one.coefs_, other.coefs_, strict=True):
            assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_members_know_classes_missing_from_their_bootstrap_sample():
    X = np.arange(30.0).reshape(-1, 1)
    y = np.repeat([0, 1, 2], [28, 1, 1])
    model = EnsembleClassifier(SMALL, 4, bootstrap=True, random_state=0).fit(X, y)
    drawn = [set(y[rows]) for rows in model.estimators_samples_]
    assert any(len(classes) < 3 for classes in drawn)
    assert model.predict_proba(X).shape == (30, 3)


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
        # The best epoch's weights were kept.
        own = member.score(X[200:], y[200:])
        assert own == member.best_validation_score_


# Jobs


@pytest.mark.parametrize("bootstrap", [False, True])
def test_n_jobs_does_not_change_members(bootstrap, digits):
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
    together, *side_by_side = models
    for model in side_by_side:
        _assert_same_members(model.estimators_, together.estimators_, atol=1e-12)
        _assert_same_members(model.estimators_, models[1].estimators_)
        assert_array_equal(model.predict_proba(X), models[1].predict_proba(X))


def test_n_jobs_does_not_change_large_networks():
    """Networks beyond the size from which one of them takes several threads."""
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
    _assert_same_members(models[0].estimators_, models[1].estimators_)


def test_jobs_memory_map_large_data():
    # A class of this function: the jobs may not be able to import this module.
    class SeesMemory(ClassifierMixin, BaseEstimator):
        """Notes where its rows are."""

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
    assert not X.any()  # what a member writes is its own


def test_ensemble_accepts_read_only_arrays(digits):
    X, y = (part.copy() for part in digits)
    X.flags.writeable = y.flags.writeable = False
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0).fit(X, y)
    same = clone(model).fit(*digits)
    _assert_same_members(model.estimators_, same.estimators_)


def test_each_unconverged_member_warns(digits):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        EnsembleClassifier(SMALL, 3).fit(*digits)
    assert [x.category for x in caught] == [ConvergenceWarning] * 3


# Kinds of data


def test_string_labels_are_predicted(iris):
    X, y = iris
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    model = EnsembleClassifier(MLPClassifier(max_iter=300), 2, random_state=0)
    model.fit(X, words)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, words) > 0.9


@pytest.mark.parametrize("sparse", [False, True])
def test_multilabel_prediction_thresholds_mean_probabilities(sparse, digits):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    target = scipy.sparse.csr_matrix(labels) if sparse else labels
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, target)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    predicted = model.predict(X)
    assert scipy.sparse.issparse(predicted) == sparse
    assert_array_equal(predicted.toarray() if sparse else predicted, mean > 0.5)
    assert model.score(X, target) == ((mean > 0.5) == labels).all(axis=1).mean()


def test_soft_targets_predict_most_probable_class(digits):
    X, y = digits
    target = np.full((len(y), 10), 0.02) + 0.8 * np.eye(10)[y]
    network = MLPClassifier(6, max_iter=5, loss="kullback_leibler")
    model = EnsembleClassifier(network, 2, random_state=0).fit(X, target)
    mean = np.mean([member.predict_proba(X) for member in model], axis=0)
    assert_array_equal(model.predict(X), mean.argmax(axis=1))


def test_feature_names_warn_once_for_all_members(iris):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = EnsembleClassifier(SMALL, 3, random_state=0).fit(X, y)
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert model.n_features_in_ == 4
    assert_array_equal(
        model.predict_proba(X), clone(model).fit(*iris).predict_proba(iris[0])
    )
    with pytest.warns(UserWarning, match="EnsembleClassifier was fitted with") as seen:
        model.predict(iris[0])
    assert len(seen) == 1
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={X.columns[0]: "other"}))


def test_column_vector_y_warns_once_for_all_members(iris):
    X, y = iris
    with pytest.warns(sklearn.exceptions.DataConversionWarning) as seen:
        model = EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y[:, None])
    assert sum(x.category is not ConvergenceWarning for x in seen) == 1
    same = clone(model).fit(X, pd.Series(y, name="kind"))
    _assert_same_members(model.estimators_, same.estimators_)


def test_sparse_data_predict_as_dense_data(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0, bootstrap=True)
    dense = model.fit(X, y).predict_proba(X)
    sparse = scipy.sparse.csr_matrix(X)
    assert_allclose(clone(model).fit(sparse, y).predict_proba(sparse), dense)


def test_images_retain_their_shape():
    images, y = load_digits(return_X_y=True)
    images = images[:100].reshape(100, 4, 16).astype(np.uint8)
    model = EnsembleClassifier(NETWORKS["cnn"], 2, random_state=0).fit(images, y[:100])
    assert [member.image_shape_ for member in model] == [(4, 16, 1)] * 2
    assert model.n_features_in_ == 64
    assert_array_equal(model.predict(images), model.predict(images[..., None]))
    assert model.predict_proba(images[:1]).shape == (1, 10)


def test_wrong_feature_count_is_refused_in_name_of_ensemble(digits):
    model = EnsembleClassifier(SMALL, 2).fit(*digits)
    message = "X has 3 features, but EnsembleClassifier is expecting 64"
    for method in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match=message):
            method(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=message):
        model.fit(*digits, X_val=np.zeros((2, 3)), y_val=[0, 1])


# Pipelines


def test_ensemble_may_be_last_step_of_pipeline(digits):
    X, y = digits
    model = make_pipeline(
        PixelScaler(pixel_max=16), EnsembleClassifier(SMALL, 2, random_state=0)
    )
    inside = model.fit(X * 16, y)[-1]
    _assert_same_members(
        inside.estimators_,
        EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y).estimators_,
    )


@pytest.mark.parametrize("bootstrap", [False, True])
def test_members_may_be_pipelines(bootstrap, iris):
    X, y = iris
    weight = np.linspace(0.5, 2, len(y))
    pipeline = make_pipeline(StandardScaler(), SMALL)
    model = EnsembleClassifier(pipeline, 2, bootstrap=bootstrap, random_state=0)
    model.fit(X, y, weight)
    alone = EnsembleClassifier(SMALL, 2, bootstrap=bootstrap, random_state=0)
    alone.fit(StandardScaler().fit_transform(X), y, weight)
    _assert_same_members([m[-1] for m in model], alone.estimators_, 1e-12)
    assert model.score(X, y) == alone.score(StandardScaler().fit_transform(X), y)


def test_validation_set_is_refused_for_pipeline_members(iris):
    model = EnsembleClassifier(make_pipeline(StandardScaler(), SMALL), 2)
    with pytest.raises(ValueError, match="past the other steps of the Pipeline"):
        model.fit(*iris, X_val=iris[0], y_val=iris[1])


def test_routed_metadata_reaches_pipeline_members(iris):
    X, y = iris
    given = dict.fromkeys(("sample_weight", "X_val", "y_val"), True)
    weight = np.linspace(0.5, 2, len(y))
    scaled = StandardScaler().fit_transform(X)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            clone(SMALL).set_fit_request(**given),
            transform_input=["X_val"],
        )
        model = EnsembleClassifier(pipeline, 2, random_state=0)
        model.fit(X, y, weight, X_val=X, y_val=y)
        alone = EnsembleClassifier(SMALL, 2, random_state=0)
        alone.fit(scaled, y, weight, X_val=scaled, y_val=y)
    _assert_same_members([m[-1] for m in model], alone.estimators_, 1e-12)


def test_search_routes_sample_weights_to_ensemble(iris):
    X, y = iris
    weight = (np.arange(len(y)) % 2).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = EnsembleClassifier(SMALL, 2, random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"bootstrap": [True]}, cv=2, error_score="raise")
        search.fit(X, y, sample_weight=weight)
    for rows in search.best_estimator_.estimators_samples_:
        assert (rows % 2 == 1).all()


# Training goes on


def test_partial_fit_trains_every_member(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, random_state=0)
    model.partial_fit(X[:150], y[:150], classes=np.arange(10))
    members = [clone(member) for member in model]
    model.partial_fit(X[150:], y[150:], np.ones(150))
    for member in members:
        member.partial_fit(X[:150], y[:150], classes=np.arange(10))
        member.partial_fit(X[150:], y[150:])
    _assert_same_members(model.estimators_, members)
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


def test_partial_fit_continues_and_fit_restarts(digits):
    model = EnsembleClassifier(SMALL, 2, random_state=0).fit(*digits)
    first = copy.deepcopy(model.estimators_)
    model.partial_fit(*digits)
    assert [len(member.loss_curve_) for member in model] == [6, 6]
    _assert_same_members(model.fit(*digits).estimators_, first)


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


# Copies


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), clone])
def test_copy_predicts_identically(copied, digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0).fit(X, y)
    twin = copied(model)
    if not hasattr(twin, "estimators_"):
        twin.fit(X, y)
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


# What is refused


def test_unfitted_ensemble_does_not_predict(digits):
    X, y = digits
    model = EnsembleClassifier(SMALL)
    for call in (
        lambda: model.predict(X),
        lambda: model.predict_log_proba(X),
        lambda: model.member_scores(X, y),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_failed_fit_leaves_no_members(digits):
    model = EnsembleClassifier(MLPClassifier(alpha=-1))
    with pytest.raises(ValueError, match="The 'alpha' parameter of MLPClassifier"):
        model.fit(*digits)
    with pytest.raises(NotFittedError):
        model.predict(digits[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": np.zeros((1, 64))}, "X_val was given without y_val"),
        ({"y_val": [0]}, "y_val was given without X_val"),
        ({"sample_weight": np.full(300, -1.0)}, "Negative values in data"),
    ],
)
def test_inconsistent_fit_arguments_are_refused(given, message, digits):
    with pytest.raises(ValueError, match=message):
        EnsembleClassifier(SMALL, 2).fit(*digits, **given)


def test_fit_arguments_unknown_to_members_are_refused(digits):
    X, y = digits
    with pytest.raises(TypeError, match="sample_weight, which bootstrap=True needs"):
        EnsembleClassifier(KNeighborsClassifier(), bootstrap=True).fit(X, y)
    with pytest.raises(TypeError, match=r"LogisticRegression\.fit takes no X_val"):
        EnsembleClassifier(LogisticRegression()).fit(X, y, X_val=X, y_val=y)


# Checkpoints


def ensemble_of(network=None, **params):
    network = network or MLPClassifier(8, max_iter=5, dropout=0.1, batch_size=50)
    return EnsembleClassifier(network, 3, **({"random_state": 0} | params))


class Killed(BaseException):
    """Stands for the end of a process."""


class KillLater(Callback):
    """Ends the fit after some epochs of all members."""

    left = 0

    def on_epoch_end(self, net, **kwargs):
        KillLater.left -= 1
        if KillLater.left == 0:
            raise Killed


@pytest.mark.filterwarnings("ignore:Training goes on after")
@pytest.mark.parametrize(
    ("in_pipeline", "bootstrap"), [(False, False), (False, True), (True, False)]
)
def test_killed_ensemble_resumes_from_checkpoint(in_pipeline, bootstrap, tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    network = MLPClassifier(
        8, max_iter=5, dropout=0.1, batch_size=50, callbacks=[KillLater()]
    )
    network = make_pipeline(StandardScaler(), network) if in_pipeline else network
    KillLater.left = 0
    whole = ensemble_of(network, bootstrap=bootstrap).fit(X, y)
    for epochs in (2, 7):
        KillLater.left = epochs
        with pytest.raises(Killed):
            ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    KillLater.left = 0
    resumed = ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), resumed.predict_proba(X))
    KillLater.left = 1  # nothing is trained
    again = ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), again.predict_proba(X))
    last = [m[-1] if in_pipeline else m for m in again.estimators_]
    assert [member.checkpoint for member in last] == [None] * 3


def test_checkpointed_ensemble_may_grow_but_not_change(tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    three = ensemble_of(checkpoint=tmp_path / "a").fit(X, y)
    four = clone(three).set_params(n_estimators=4).fit(X, y)
    for one, two in zip(three.estimators_, four.estimators_, strict=False):
        np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    with pytest.raises(ValueError, match="is of another fit: random_state was "):
        clone(three).set_params(random_state=1).fit(X, y)


def test_unusable_ensemble_checkpoints_are_refused(tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        ensemble_of(random_state=None, checkpoint=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match="of MLPClassifier is one file, but several"):
        ensemble_of(MLPClassifier(checkpoint=tmp_path / "a")).fit(X, y)
    with pytest.raises(TypeError, match="LogisticRegression is not; set it to None"):
        ensemble_of(LogisticRegression(), checkpoint=tmp_path).fit(X, y)
    assert list(tmp_path.iterdir()) == []
