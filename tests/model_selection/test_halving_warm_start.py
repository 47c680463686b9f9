"""Candidates that survive a halving iteration continue their training."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.callbacks import EarlyStopping

from skmlp.model_selection import (
    PackedHalvingGridSearchCV,
    PackedHalvingRandomSearchCV,
)
from skmlp.model_selection._halving_warm_start import HalvingWarmStart
from skmlp.neural_network import MLPClassifier, MLPRegressor, SoftmaxRegression
from skmlp.neural_network._fit.checkpoint import MemoryCheckpoint
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.packed_fit import fit_jobs
from skmlp.training.run import TrainingRun

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

NETWORK = MLPClassifier(8, batch_size=32, random_state=3)
GRID = {"learning_rate_init": [0.003, 0.01, 0.03, 0.1], "alpha": [0, 0.1]}
# 8 candidates are trained for 2 epochs, 4 for 4, 2 for 8, and 1 for 16.
OPTIONS = {
    "resource": "max_iter",
    "max_resources": 16,
    "factor": 2,
    "cv": 2,
    "random_state": 0,
    "scoring": "neg_log_loss",
}
SAMPLES = {"resource": "n_samples", "max_resources": "auto"}
FOLDS = 2
EPOCHS_FROM_START = FOLDS * (8 * 2 + 4 * 4 + 2 * 8 + 1 * 16)
ADDED_EPOCHS = FOLDS * (8 * 2 + 4 * 2 + 2 * 4 + 1 * 8)
REFIT_EPOCHS = 16


@pytest.fixture
def epochs(monkeypatch):
    """List with an entry for every epoch of every network."""
    counted = []
    finish = TrainingRun.finish_epoch

    def count(run, *args):
        counted.append(run)
        finish(run, *args)

    monkeypatch.setattr(TrainingRun, "finish_epoch", count)
    return counted


def halving(network=NETWORK, grid=GRID, **options):
    return PackedHalvingGridSearchCV(clone(network), grid, **(OPTIONS | options))


def fit_cold_and_warm(data, *args, **options):
    """Return the search without warm start and the search with it."""
    return [
        halving(*args, warm_start=warm, **options).fit(*data) for warm in (False, True)
    ]


def assert_same_halving(expected, actual):
    for name in ("n_resources_", "n_candidates_", "best_params_"):
        assert getattr(actual, name) == getattr(expected, name), name
    assert actual.cv_results_.keys() == expected.cv_results_.keys()
    assert_array_equal(actual.cv_results_["params"], expected.cv_results_["params"])
    for name, values in expected.cv_results_.items():
        if "score" in name and "time" not in name:
            assert_allclose(actual.cv_results_[name], values, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "adamw", "learning_rate": "step", "step_size": 3},
        {"solver": "sgd", "momentum": 0.9, "learning_rate": "adaptive", "tol": 0.1},
        {"solver": "sgd", "momentum": 0.5, "learning_rate": "invscaling"},
        {"solver": "sgd", "momentum": 0.0, "warmup_epochs": 5},
        {"dropout": 0.3},
        {"batch_norm": True},
        {"shuffle": False},
        {"early_stopping": True, "n_iter_no_change": 1, "validation_fraction": 0.2},
        {"early_stopping": True, "refit_full": True},
        {"train_size": 0.7},
        {"weight_averaging": 0.9},
        {"solver": "rmsprop"},
        {"random_state": np.random.RandomState(5)},
    ],
    ids=" ".join,
)
def test_survivors_score_as_if_trained_from_the_start(params, more_digits):
    cold, warm = fit_cold_and_warm(more_digits, clone(NETWORK).set_params(**params))
    assert_same_halving(cold, warm)
    for expected, actual in zip(
        cold.best_estimator_.coefs_, warm.best_estimator_.coefs_, strict=True
    ):
        assert_array_equal(actual, expected)  # both refits train from the start


@pytest.mark.parametrize(
    ("network", "scoring"),
    [
        (MLPRegressor(hidden_layer_sizes=6, batch_size=32, random_state=0), "r2"),
        (SoftmaxRegression(batch_size=32, random_state=0), "neg_log_loss"),
        (MLPClassifier((), batch_size=32, random_state=0, dtype="float64"), "accuracy"),
    ],
    ids=["regression", "softmax", "no hidden layer"],
)
def test_other_networks_continue_too(network, scoring, more_digits):
    assert_same_halving(*fit_cold_and_warm(more_digits, network, scoring=scoring))


def test_random_candidates_in_a_pipeline_continue(more_digits):
    name = "mlpclassifier__"
    cold, warm = (
        PackedHalvingRandomSearchCV(
            make_pipeline(
                StandardScaler(), PCA(20, random_state=0), "passthrough", clone(NETWORK)
            ),
            {f"{name}{k}": values for k, values in GRID.items()},
            n_candidates=6,
            warm_start=warm_start,
            **(OPTIONS | {"resource": f"{name}max_iter"}),
        ).fit(*more_digits)
        for warm_start in (False, True)
    )
    assert_same_halving(cold, warm)


@pytest.mark.parametrize("solver", ["adam", "rmsprop"], ids=["packed", "one by one"])
def test_survivors_train_only_the_added_epochs(solver, more_digits, epochs):
    network = clone(NETWORK).set_params(solver=solver)
    halving(network).fit(*more_digits)
    assert len(epochs) == EPOCHS_FROM_START + REFIT_EPOCHS
    epochs.clear()
    halving(network, warm_start=True).fit(*more_digits)
    assert len(epochs) == ADDED_EPOCHS + REFIT_EPOCHS


def test_states_of_dropped_candidates_are_released(more_digits, monkeypatch):
    n_states = []
    select_survivors = HalvingWarmStart.select_survivors

    def count_states(self, outcomes, results):
        select_survivors(self, outcomes, results)
        n_states.append(len(self._training_states))
        assert not any("stages" in outcome for outcome in outcomes)

    monkeypatch.setattr(HalvingWarmStart, "select_survivors", count_states)
    halving(warm_start=True, refit=False).fit(*more_digits)
    assert n_states == [FOLDS * n for n in (4, 2, 1, 1)]


def test_survivors_that_stopped_early_train_no_more(more_digits, epochs):
    network = clone(NETWORK).set_params(tol=10, n_iter_no_change=1)  # 3 epochs each
    halving(network, warm_start=True, refit=False).fit(*more_digits)
    assert len(epochs) == FOLDS * (8 * 2 + 4 * 1)


def test_refit_full_continues_too(more_digits, epochs):
    params = {"early_stopping": True, "n_iter_no_change": 20, "refit_full": True}
    stages, refits = {}, []
    for max_iter in (3, 9):
        network = clone(NETWORK).set_params(max_iter=max_iter, **params)
        checkpoint = MemoryCheckpoint(stages)
        list(fit_jobs([FitJob(network, *more_digits, {}, 0, checkpoint=checkpoint)]))
        refits.append(network.best_epoch_)
    assert refits[0] > 0
    assert len(epochs) == 9 + refits[1]
    coefs = clone(network).fit(*more_digits).coefs_
    assert_array_equal(network.coefs_[0], coefs[0])


def test_iterations_of_equal_epochs_train_once(more_digits, epochs):
    options = {"max_resources": 4, "aggressive_elimination": True, "refit": False}
    search = halving(warm_start=True, min_resources=2, **options).fit(*more_digits)
    assert search.n_resources_ == [2, 2, 2, 4]
    assert len(epochs) == FOLDS * (8 * 2 + 1 * 2)
    assert_same_halving(halving(min_resources=2, **options).fit(*more_digits), search)


def curves_of(more_digits, **options):
    """Return the loss curves of a search of 4 unseeded networks, by candidates."""
    curves = []

    def score(estimator, X, y):
        curves.append(estimator.loss_curve_)
        return -estimator.loss_  # accuracies may be equal

    search = halving(
        clone(NETWORK).set_params(random_state=None, learning_rate_init=0.01),
        [{"alpha": [0.1, 0.1]}, {"alpha": [0.1, 0.1]}],
        scoring=score,
        return_train_score=False,
        warm_start=True,
        max_resources=8,
        **options,
    ).fit(*more_digits)
    pairs = [curves[i : i + FOLDS] for i in range(0, len(curves), FOLDS)]
    return pairs, search.cv_results_["mean_test_score"]


def test_equal_candidates_continue_from_their_own_weights(more_digits):
    curves, scores = curves_of(more_digits)
    assert [len(pair[0]) for pair in curves] == [2] * 4 + [4] * 2 + [8]
    survivors = np.argsort(scores[:4])[-2:]
    for i, pair in zip(survivors, curves[4:6], strict=True):
        assert [curve[:2] for curve in pair] == curves[i]
    last = 4 + np.argmax(scores[4:6])
    assert [curve[:4] for curve in curves[6]] == curves[last]


class ChangingFolds(BaseEstimator):
    """Splitter whose folds change in every call, which scikit-learn does not notice."""

    def __init__(self):
        self.calls = 0

    def get_n_splits(self, X=None, y=None, groups=None):
        return FOLDS

    def split(self, X, y=None, groups=None):
        self.calls += 1
        return KFold(FOLDS, shuffle=True, random_state=self.calls).split(X)


def test_test_samples_are_the_same_in_every_iteration(more_digits):
    test_sets = []

    def score(estimator, X, y):
        test_sets.append(X.copy())
        return -estimator.loss_

    search = halving(
        cv=ChangingFolds(), scoring=score, warm_start=True, return_train_score=False
    )
    search.fit(*more_digits)
    for i, X in enumerate(test_sets):
        assert_array_equal(X, test_sets[i % FOLDS])


@pytest.mark.filterwarnings("ignore:One or more of the t:UserWarning")
def test_failed_candidate_changes_no_other_and_starts_again(more_digits):
    grid = {"solver": ["sgd"], "learning_rate_init": [0.01, 1e180, 1e190, 1e200]}
    with pytest.warns(FitFailedWarning, match="non-finite"):
        cold, warm = fit_cold_and_warm(more_digits, NETWORK, grid)
    assert_same_halving(cold, warm)
    # Two of four candidates survive, but only one has a score.
    second = warm.cv_results_["mean_test_score"][warm.cv_results_["iter"] == 1]
    assert np.isnan(second).sum() == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_continue_training_of_other_workers(n_jobs, more_digits, epochs):
    search = halving(warm_start=True, n_jobs=n_jobs, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(*more_digits)
    assert_same_halving(halving().fit(*more_digits), search)


def test_ctrl_c_leaves_no_state_to_continue_from(more_digits, monkeypatch):
    finish, finished = TrainingRun.finish_epoch, []

    def interrupt(run, *args):
        finished.append(run)
        # In the first epoch of the second round.
        if len(finished) == FOLDS * (8 * 2 + 1):
            raise KeyboardInterrupt
        finish(run, *args)

    search = halving(warm_start=True)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "finish_epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search.fit(*more_digits)
    assert not hasattr(search, "cv_results_")
    assert_same_halving(halving().fit(*more_digits), search.fit(*more_digits))


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (NETWORK, SAMPLES, "needs resource='max_iter', got resource"),
        (NETWORK, {"resource": "n_iter_no_change"}, "go on for more epochs"),
        (
            make_pipeline(StandardScaler(), NETWORK),
            SAMPLES,
            "needs resource='mlpclassifier__max_iter'",
        ),
        (
            MLPClassifier(learning_rate="cosine"),
            {},
            "learning_rate='cosine' is planned",
        ),
        (MLPClassifier(solver="lbfgs"), {}, "solver='lbfgs'"),
        (MLPClassifier(callbacks=[EarlyStopping()]), {}, "EarlyStopping, a callback"),
        (
            make_pipeline(PCA(), NETWORK),
            {"resource": "mlpclassifier__max_iter"},
            "pca__random_state is None",
        ),
    ],
    ids=[
        *(
            "samples",
            "no epochs",
            "samples of a pipeline",
            "cosine",
            "lbfgs",
            "callback",
        ),
        "unseeded step",
    ],
)
def test_training_that_cannot_continue_is_refused_first(
    estimator, options, message, more_digits, epochs
):
    search = halving(estimator, {}, warm_start=True, **options)
    with pytest.raises(ValueError, match=message):
        search.fit(*more_digits)
    assert not epochs


def test_scikit_learns_callbacks_are_refused(more_digits, epochs):
    callback = pytest.importorskip(
        "sklearn.callback", reason="this scikit-learn has no callbacks"
    )
    bar = callback.ProgressBar()
    followed = clone(NETWORK).set_callbacks(bar)
    for search in (halving(followed, {}), halving(NETWORK, {}).set_callbacks(bar)):
        with pytest.raises(ValueError, match="scikit-learn's callbacks"):
            search.set_params(warm_start=True).fit(*more_digits)
    assert not epochs


def test_single_candidate_that_cannot_continue_is_refused(more_digits, epochs):
    search = halving(grid={"learning_rate": ["constant", "onecycle"]}, warm_start=True)
    with pytest.raises(ValueError, match="onecycle"):
        search.fit(*more_digits)
    assert not epochs


def test_estimator_that_is_no_network_is_refused(more_digits):
    search = halving(
        make_pipeline(FunctionTransformer(), SGDClassifier()),
        {"sgdclassifier__alpha": [0.1, 0.2]},
        resource="sgdclassifier__max_iter",
        warm_start=True,
    )
    with pytest.raises(TypeError, match="SGDClassifier is not"):
        search.fit(*more_digits)


def test_second_fit_trains_from_the_start(more_digits, epochs):
    search = halving(warm_start=True, refit=False).fit(*more_digits)
    first = search.cv_results_["mean_test_score"]
    assert_array_equal(search.fit(*more_digits).cv_results_["mean_test_score"], first)
    assert len(epochs) == 2 * ADDED_EPOCHS
