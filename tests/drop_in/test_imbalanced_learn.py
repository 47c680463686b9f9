"""Packed searches resample like the Pipeline of imbalanced-learn."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.preprocessing import StandardScaler

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import EnsembleClassifier, MLPClassifier, SoftmaxRegression

pytest.importorskip("imblearn", reason="imbalanced-learn is not installed")
from imblearn import FunctionSampler
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def network(**params):
    return MLPClassifier(5, max_iter=20, dtype="float64", random_state=0, **params)


@pytest.fixture
def imbalanced():
    """Iris without most samples of two classes, in random order."""
    X, y = load_iris(return_X_y=True)
    chosen = np.r_[:50, 50:70, 100:115]
    chosen = np.random.default_rng(0).permutation(chosen)
    return X[chosen], y[chosen]


class CountingSampler(RandomUnderSampler):
    """Counts how often it resamples."""

    n_calls = 0

    def fit_resample(self, X, y, **params):
        CountingSampler.n_calls += 1
        return super().fit_resample(X, y, **params)


@pytest.mark.parametrize(
    "steps",
    [
        [RandomUnderSampler(random_state=0), StandardScaler()],
        [StandardScaler(), RandomUnderSampler(random_state=0)],
        [RandomOverSampler(random_state=0)],
        [StandardScaler(), SMOTE(random_state=0, k_neighbors=3)],
        ["passthrough", RandomOverSampler(random_state=0)],
    ],
    ids=["under", "scaled-under", "over", "smote", "passthrough"],
)
def test_cross_validation_scores_equal_sklearns(steps, imbalanced):
    model = make_pipeline(*steps, network())
    options = {"cv": 3, "return_train_score": True, "scoring": "neg_log_loss"}
    ours = packed_cross_validate(model, *imbalanced, **options)
    theirs = cross_validate(model, *imbalanced, **options)
    for name in ("test_score", "train_score"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


def test_grid_search_scores_equal_sklearns(imbalanced):
    model = Pipeline(
        [
            ("sample", RandomUnderSampler(random_state=0)),
            ("scale", StandardScaler()),
            ("network", network()),
        ]
    )
    grid = {
        "sample__sampling_strategy": ["auto", "not minority"],
        "network__alpha": [1e-3, 1.0],
    }
    options = {"cv": 3, "scoring": "neg_log_loss"}
    ours = PackedGridSearchCV(model, grid, **options).fit(*imbalanced)
    theirs = GridSearchCV(model, grid, **options).fit(*imbalanced)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert ours.best_params_ == theirs.best_params_
    np.testing.assert_array_equal(
        ours.predict_proba(imbalanced[0]), theirs.predict_proba(imbalanced[0])
    )


def test_samples_are_resampled_once_a_fold(imbalanced, capsys):
    model = make_pipeline(CountingSampler(random_state=0), network())
    grid = {"mlpclassifier__alpha": [0.1, 0.2, 0.3]}
    search = PackedGridSearchCV(model, grid, cv=2, refit=False, verbose=1)
    CountingSampler.n_calls = 0
    search.fit(*imbalanced)
    assert CountingSampler.n_calls == 2
    assert "6 of 6 fits were trained in packs" in capsys.readouterr().out


def test_halving_that_continues_refuses_unseeded_samplers(imbalanced):
    model = make_pipeline(RandomUnderSampler(), network())
    search = PackedHalvingGridSearchCV(
        model,
        {"mlpclassifier__alpha": [0.1, 0.2]},
        resource="mlpclassifier__max_iter",
        max_resources=8,
        warm_start=True,
    )
    with pytest.raises(ValueError, match="randomundersampler__random_state is None"):
        search.fit(*imbalanced)


def test_sampler_errors_are_errors_of_the_fit(imbalanced):
    def fail(X, y):
        raise RuntimeError("no samples")

    model = make_pipeline(FunctionSampler(func=fail), network())
    with pytest.raises(RuntimeError, match="no samples"):
        packed_cross_validate(model, *imbalanced, cv=2, error_score="raise")


def test_sample_weights_that_no_longer_fit_are_refused(imbalanced):
    X, y = imbalanced
    model = make_pipeline(RandomUnderSampler(random_state=0), network())
    params = {"mlpclassifier__sample_weight": np.ones(len(y))}
    for validate in (cross_validate, packed_cross_validate):
        with pytest.raises(ValueError, match=r"sample_weight.shape"):
            validate(model, X, y, cv=2, params=params, error_score="raise")


def test_ensembles_call_the_fit_of_member_pipelines(imbalanced):
    X, y = imbalanced
    member = make_pipeline(RandomUnderSampler(random_state=0), network())
    model = EnsembleClassifier(member, 2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(
        [m[-1].t_ for m in model.estimators_],
        [20 * 3 * np.bincount(y).min()] * 2,
    )


def test_other_networks_are_resampled_too():
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(
        StandardScaler(),
        RandomOverSampler(random_state=0),
        SoftmaxRegression(max_iter=10, dtype="float64", random_state=0),
    )
    ours = packed_cross_validate(model, X, y, cv=3)["test_score"]
    np.testing.assert_allclose(ours, cross_validate(model, X, y, cv=3)["test_score"])


def test_search_continues_from_its_checkpoint(imbalanced, tmp_path):
    model = make_pipeline(CountingSampler(random_state=0), network())
    grid = {"mlpclassifier__alpha": [0.1, 10.0]}
    searches = []
    for calls in (2 + 1, 0 + 1):  # one for the refit
        CountingSampler.n_calls = 0
        search = PackedGridSearchCV(model, grid, cv=2, checkpoint=tmp_path / "search")
        searches.append(search.fit(*imbalanced))
        assert CountingSampler.n_calls == calls
    first, second = (s.cv_results_["mean_test_score"] for s in searches)
    np.testing.assert_array_equal(first, second)


def test_metadata_routing_reaches_the_network(imbalanced):
    """Routed weights are distributed by the Pipeline itself."""
    X, y = imbalanced
    sampler = FunctionSampler(func=lambda X, y: (X, y))
    params = {"sample_weight": np.where(y == 0, 0.01, 1.0)}
    with config_context(enable_metadata_routing=True):
        weighted = network().set_fit_request(sample_weight=True)
        weighted.set_score_request(sample_weight=True)
        for given in (None, params):
            ours, theirs = (
                validate(make_pipeline(sampler, weighted), X, y, cv=2, params=given)
                for validate in (packed_cross_validate, cross_validate)
            )
            np.testing.assert_allclose(ours["test_score"], theirs["test_score"])
