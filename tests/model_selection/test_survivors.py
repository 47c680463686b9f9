"""Candidates that go on after a halving iteration end as if trained in one go."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
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
from skmlp.neural_network._fit.checkpoint import FitState
from skmlp.neural_network._packs.packed_fit import FitJob, fit_jobs
from skmlp.training.net import Net

pytestmark = pytest.mark.filterwarnings(
    # A few epochs each are enough here.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

NETWORK = MLPClassifier(8, batch_size=32, random_state=3)
GRID = {"learning_rate_init": [0.003, 0.01, 0.03, 0.1], "alpha": [0, 0.1]}
# 8 candidates for 2 epochs, 4 for 4, 2 for 8, 1 for 16.
OPTIONS = {
    "resource": "max_iter",
    "max_resources": 16,
    "factor": 2,
    "cv": 2,
    "random_state": 0,
    "scoring": "neg_log_loss",
}
ROWS = {"resource": "n_samples", "max_resources": "auto"}
FOLDS = 2
ANEW = FOLDS * (8 * 2 + 4 * 4 + 2 * 8 + 1 * 16)
ADDED = FOLDS * (8 * 2 + 4 * 2 + 2 * 4 + 1 * 8)
REFIT = 16


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:240] / 16, y[:240]


@pytest.fixture
def epochs(monkeypatch):
    """Count the epochs that any network is trained."""
    counted = []
    judge = Net.judge_epoch

    def count(net, n_rows):
        counted.append(net)
        return judge(net, n_rows)

    monkeypatch.setattr(Net, "judge_epoch", count)
    return counted


def halving(network=NETWORK, grid=GRID, **options):
    return PackedHalvingGridSearchCV(clone(network), grid, **(OPTIONS | options))


def both(rows, *args, **options):
    """Return the search whose survivors start anew, and the one whose go on."""
    return [
        halving(*args, warm_start=warm, **options).fit(*rows) for warm in (False, True)
    ]


def assert_same_search(anew, on):
    for name in ("n_resources_", "n_candidates_", "best_params_"):
        assert getattr(anew, name) == getattr(on, name), name
    results, others = anew.cv_results_, on.cv_results_
    assert results.keys() == others.keys()
    assert_array_equal(results["params"], others["params"])
    for name in results:
        if "score" in name and "time" not in name:
            assert_allclose(results[name], others[name], rtol=0, atol=1e-8)


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
def test_survivors_score_as_if_trained_in_one_go(params, digits):
    anew, on = both(digits, clone(NETWORK).set_params(**params))
    assert_same_search(anew, on)
    for one, other in zip(
        anew.best_estimator_.coefs_, on.best_estimator_.coefs_, strict=True
    ):
        assert_array_equal(one, other)  # the refit starts anew in both


@pytest.mark.parametrize(
    ("network", "scoring"),
    [
        (MLPRegressor(hidden_layer_sizes=6, batch_size=32, random_state=0), "r2"),
        (SoftmaxRegression(batch_size=32, random_state=0), "neg_log_loss"),
        (MLPClassifier((), batch_size=32, random_state=0, dtype="float64"), "accuracy"),
    ],
    ids=["regression", "softmax", "no hidden layer"],
)
def test_other_networks_go_on_too(network, scoring, digits):
    assert_same_search(*both(digits, network, scoring=scoring))


def test_random_candidates_in_a_pipeline_go_on(digits):
    name = "mlpclassifier__"
    anew, on = (
        PackedHalvingRandomSearchCV(
            make_pipeline(
                StandardScaler(), PCA(20, random_state=0), "passthrough", clone(NETWORK)
            ),
            {f"{name}{k}": values for k, values in GRID.items()},
            n_candidates=6,
            warm_start=warm,
            **(OPTIONS | {"resource": f"{name}max_iter"}),
        ).fit(*digits)
        for warm in (False, True)
    )
    assert_same_search(anew, on)


@pytest.mark.parametrize("solver", ["adam", "rmsprop"], ids=["packed", "one by one"])
def test_survivors_train_only_the_epochs_that_they_have_more(solver, digits, epochs):
    network = clone(NETWORK).set_params(solver=solver)
    halving(network).fit(*digits)
    assert len(epochs) == ANEW + REFIT
    epochs.clear()
    halving(network, warm_start=True).fit(*digits)
    assert len(epochs) == ADDED + REFIT


def test_what_a_survivor_needs_not_is_not_held(digits, monkeypatch):
    held = []
    choose = HalvingWarmStart.select_survivors

    def look(self, outcomes, results):
        choose(self, outcomes, results)
        held.append(len(self._stages))
        assert not any("stages" in outcome for outcome in outcomes)

    monkeypatch.setattr(HalvingWarmStart, "select_survivors", look)
    halving(warm_start=True, refit=False).fit(*digits)
    assert held == [FOLDS * n for n in (4, 2, 1, 1)]


def test_who_has_stopped_early_trains_no_more(digits, epochs):
    network = clone(NETWORK).set_params(tol=10, n_iter_no_change=1)  # 3 epochs each
    halving(network, warm_start=True, refit=False).fit(*digits)
    assert len(epochs) == FOLDS * (8 * 2 + 4 * 1)


def test_the_refit_on_all_rows_goes_on_too(digits, epochs):
    params = {"early_stopping": True, "n_iter_no_change": 20, "refit_full": True}
    stages, refits = {}, []
    for max_iter in (3, 9):
        network = clone(NETWORK).set_params(max_iter=max_iter, **params)
        list(fit_jobs([FitJob(network, *digits, {}, 0, state=FitState(stages))]))
        refits.append(network.best_epoch_)
    assert refits[0] > 0
    assert len(epochs) == 9 + refits[1]
    coefs = clone(network).fit(*digits).coefs_
    assert_array_equal(network.coefs_[0], coefs[0])


def test_iterations_of_equal_epochs_train_once(digits, epochs):
    options = {"max_resources": 4, "aggressive_elimination": True, "refit": False}
    search = halving(warm_start=True, min_resources=2, **options).fit(*digits)
    assert search.n_resources_ == [2, 2, 2, 4]
    assert len(epochs) == FOLDS * (8 * 2 + 1 * 2)
    assert_same_search(halving(min_resources=2, **options).fit(*digits), search)


def curves_of(digits, **options):
    """Return all loss curves of a search of 4 networks of no seed, by candidates."""
    curves = []

    def score(estimator, X, y):
        curves.append(estimator.loss_curve_)
        return -estimator.loss_  # two accuracies may be equal

    search = halving(
        clone(NETWORK).set_params(random_state=None, learning_rate_init=0.01),
        [{"alpha": [0.1, 0.1]}, {"alpha": [0.1, 0.1]}],
        scoring=score,
        return_train_score=False,
        warm_start=True,
        max_resources=8,
        **options,
    ).fit(*digits)
    pairs = [curves[i : i + FOLDS] for i in range(0, len(curves), FOLDS)]
    return pairs, search.cv_results_["mean_test_score"]


def test_each_goes_on_from_its_own_weights_if_nothing_else_tells_candidates(digits):
    curves, scores = curves_of(digits)
    assert [len(pair[0]) for pair in curves] == [2] * 4 + [4] * 2 + [8]
    survivors = np.argsort(scores[:4])[-2:]
    for i, pair in zip(survivors, curves[4:6], strict=True):
        assert [curve[:2] for curve in pair] == curves[i]
    last = 4 + np.argmax(scores[4:6])
    assert [curve[:4] for curve in curves[6]] == curves[last]


class Wandering(BaseEstimator):
    """Folds that are others in every call, which scikit-learn does not see."""

    def __init__(self):
        self.calls = 0

    def get_n_splits(self, X=None, y=None, groups=None):
        return FOLDS

    def split(self, X, y=None, groups=None):
        self.calls += 1
        return KFold(FOLDS, shuffle=True, random_state=self.calls).split(X)


def test_no_row_is_scored_on_that_was_trained_on(digits):
    seen = []

    def score(estimator, X, y):
        seen.append(X.copy())
        return -estimator.loss_

    search = halving(
        cv=Wandering(), scoring=score, warm_start=True, return_train_score=False
    )
    search.fit(*digits)
    for i, X in enumerate(seen):
        assert_array_equal(X, seen[i % FOLDS])


@pytest.mark.filterwarnings("ignore:One or more of the t:UserWarning")
def test_a_candidate_that_fails_harms_no_other_and_starts_anew(digits):
    grid = {"solver": ["sgd"], "learning_rate_init": [0.01, 1e180, 1e190, 1e200]}
    with pytest.warns(FitFailedWarning, match="non-finite"):
        anew, on = both(digits, NETWORK, grid)
    assert_same_search(anew, on)
    # Of four, two are to survive, but one has a score.
    second = on.cv_results_["mean_test_score"][on.cv_results_["iter"] == 1]
    assert np.isnan(second).sum() == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_go_on_with_what_other_workers_began(n_jobs, digits, epochs):
    search = halving(warm_start=True, n_jobs=n_jobs, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(*digits)
    assert_same_search(halving().fit(*digits), search)


def test_ctrl_c_leaves_nothing_half_trained_to_go_on_from(digits, monkeypatch):
    judge, judged = Net.judge_epoch, []

    def interrupt(net, n_rows):
        judged.append(net)
        if len(judged) == FOLDS * (8 * 2 + 1):  # in the first epoch of the second round
            raise KeyboardInterrupt
        return judge(net, n_rows)

    search = halving(warm_start=True)
    ended = pytest.raises(KeyboardInterrupt)
    with monkeypatch.context() as patch:
        patch.setattr(Net, "judge_epoch", interrupt)
        with pytest.warns(UserWarning, match="interrupted"), ended:
            search.fit(*digits)
    assert not hasattr(search, "cv_results_")
    assert_same_search(halving().fit(*digits), search.fit(*digits))


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (NETWORK, ROWS, "needs resource='max_iter', got resource"),
        (NETWORK, {"resource": "n_iter_no_change"}, "go on for more epochs"),
        (
            make_pipeline(StandardScaler(), NETWORK),
            ROWS,
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
        *("rows", "no epochs", "rows of a pipeline", "cosine", "lbfgs", "callback"),
        "unseeded step",
    ],
)
def test_what_would_not_end_the_same_is_refused_first(
    estimator, options, message, digits, epochs
):
    search = halving(estimator, {}, warm_start=True, **options)
    with pytest.raises(ValueError, match=message):
        search.fit(*digits)
    assert not epochs


def test_callbacks_that_follow_whole_fits_are_refused(digits, epochs):
    callback = pytest.importorskip(
        "sklearn.callback", reason="this scikit-learn has no callbacks"
    )
    bar = callback.ProgressBar()
    heard = clone(NETWORK).set_callbacks(bar)
    for search in (halving(heard, {}), halving(NETWORK, {}).set_callbacks(bar)):
        with pytest.raises(ValueError, match="scikit-learn's callbacks"):
            search.set_params(warm_start=True).fit(*digits)
    assert not epochs


def test_one_candidate_that_cannot_go_on_is_enough(digits, epochs):
    search = halving(grid={"learning_rate": ["constant", "onecycle"]}, warm_start=True)
    with pytest.raises(ValueError, match="onecycle"):
        search.fit(*digits)
    assert not epochs


def test_only_networks_go_on(digits):
    search = halving(
        make_pipeline(FunctionTransformer(), SGDClassifier()),
        {"sgdclassifier__alpha": [0.1, 0.2]},
        resource="sgdclassifier__max_iter",
        warm_start=True,
    )
    with pytest.raises(TypeError, match="SGDClassifier is not"):
        search.fit(*digits)


def test_a_search_starts_anew_in_every_call_of_fit(digits, epochs):
    search = halving(warm_start=True, refit=False).fit(*digits)
    first = search.cv_results_["mean_test_score"]
    assert_array_equal(search.fit(*digits).cv_results_["mean_test_score"], first)
    assert len(epochs) == 2 * ADDED
