"""Focal loss, quantiles and Huber's delta: shapes, scores, packs."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import GridSearchCV

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNRegressor, MLPRegressor
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def noisy():
    """Targets whose spread grows with the first feature."""
    random_state = np.random.RandomState(0)
    X = random_state.uniform(-1, 1, (1500, 2))
    y = X[:, 1] + (1.5 + X[:, 0]) * random_state.normal(size=1500)
    return X, y


@pytest.fixture(scope="module")
def of_levels(noisy):
    """Network with an output for each level, fitted to the first 1000 samples."""
    X, y = noisy
    model = MLPRegressor(
        "quantile",
        (16,),
        quantile=LEVELS,
        learning_rate_init=0.01,
        learning_rate="cosine",
        max_iter=60,
        tol=0,
        random_state=0,
    )
    return model.fit(X[:1000], y[:1000])


def test_quantiles_cover_their_fraction_of_new_targets(of_levels, noisy):
    X, y = noisy[0][1000:], noisy[1][1000:]
    predicted = of_levels.predict(X)
    assert predicted.shape == (500, 3)
    assert of_levels.n_outputs_ == 3
    coverage = (y[:, np.newaxis] <= predicted).mean(axis=0)
    assert_allclose(coverage, LEVELS, atol=0.05)
    # The distance of the outer quantiles follows the spread, which is 1.5 + X[:, 0].
    width = predicted[:, 2] - predicted[:, 0]
    assert np.corrcoef(width, X[:, 0])[0, 1] > 0.9


def test_score_of_quantiles_is_mean_pinball_score(of_levels, noisy):
    X, y = noisy[0][1000:], noisy[1][1000:]
    predicted = of_levels.predict(X)
    weight = np.arange(500.0)
    for given in (None, weight):
        scores = [
            d2_pinball_score(y, predicted[:, i], sample_weight=given, alpha=level)
            for i, level in enumerate(LEVELS)
        ]
        assert of_levels.score(X, y, given) == pytest.approx(np.mean(scores))
    assert of_levels.score(X, y) > 0.1


def test_pickled_and_stored_quantiles_predict_the_same(of_levels, noisy, tmp_path):
    X = noisy[0][:20]
    save_model(of_levels, tmp_path / "model")
    for other in (
        pickle.loads(pickle.dumps(of_levels)),
        load_model(tmp_path / "model"),
    ):
        assert_array_equal(other.predict(X), of_levels.predict(X))
        assert other.score(*noisy) == of_levels.score(*noisy)


def test_validation_scores_of_quantiles_are_those_of_score(noisy):
    X, y = noisy
    model = MLPRegressor("quantile", 5, quantile=0.9, max_iter=3, random_state=0)
    model.fit(X[:900], y[:900], X_val=X[900:], y_val=y[900:])
    assert model.predict(X).shape == (1500,)
    assert model.best_validation_score_ == pytest.approx(model.score(X[900:], y[900:]))


def test_one_level_serves_several_targets(diabetes):
    X, y = diabetes
    y = np.column_stack([y, -y])
    model = MLPRegressor("quantile", 5, quantile=[0.8], max_iter=2, random_state=0)
    assert model.fit(X, y).predict(X).shape == y.shape
    assert np.isfinite(model.score(X, y))


def test_images_have_quantiles():
    X = np.random.RandomState(0).uniform(size=(40, 6, 6))
    model = CNNRegressor(
        2, loss="quantile", quantile=LEVELS, max_iter=2, random_state=0
    )
    assert model.fit(X, X.mean((1, 2))).predict(X).shape == (40, 3)


def test_median_equals_absolute_error(diabetes, assert_equal_weights):
    # The pinball loss of the median is half of the absolute error.
    params = {"hidden_layer_sizes": 5, "max_iter": 4, "random_state": 0, "alpha": 0.0}
    params |= {"solver": "sgd", "momentum": 0.0}
    median = MLPRegressor("quantile", learning_rate_init=0.02, **params)
    absolute = MLPRegressor("absolute_error", learning_rate_init=0.01, **params)
    assert_equal_weights(median.fit(*diabetes), absolute.fit(*diabetes), rtol=1e-9)


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (
            MLPRegressor("quantile", 5),
            {"quantile": [0.1, 0.5, 0.9], "alpha": [0.1, 0.01]},
        ),
        (MLPRegressor("quantile", 5), {"quantile": [(0.1, 0.9), (0.2, 0.8)]}),
        (MLPRegressor("huber", 5), {"huber_delta": [0.1, 1.0, 3.0]}),
    ],
    ids=["quantile", "quantiles", "huber_delta"],
)
def test_pack_of_several_losses_equals_single_fits(model, grid, diabetes, capsys):
    model.set_params(max_iter=6, random_state=0)
    packed = PackedGridSearchCV(model, grid, cv=2, verbose=1).fit(*diabetes)
    assert "one by one" not in capsys.readouterr().out
    alone = GridSearchCV(model, grid, cv=2).fit(*diabetes)
    scores = [s.cv_results_["mean_test_score"] for s in (packed, alone)]
    assert_allclose(*scores, rtol=0, atol=1e-8)
    assert len(set(scores[1])) > 1


def test_pack_of_several_gammas_equals_single_fits(digits, mlp):
    for y in (digits[1], digits[1] > 4):
        grid = {"focal_gamma": [0.0, 0.5, 2.0], "loss": ["focal"]}
        packed, alone = (
            cls(mlp(), grid, cv=2, scoring="neg_log_loss").fit(digits[0], y)
            for cls in (PackedGridSearchCV, GridSearchCV)
        )
        assert_allclose(
            packed.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
            rtol=0,
            atol=1e-8,
        )


def test_focal_loss_of_gamma_zero_is_log_loss(digits, mlp, assert_equal_weights):
    for y in (digits[1], digits[1] > 4):
        focal = mlp(loss="focal", focal_gamma=0.0).fit(digits[0], y)
        assert_equal_weights(focal, mlp().fit(digits[0], y), atol=1e-10)


@pytest.mark.parametrize(
    ("quantile", "text"),
    [
        ([0.1, 1.0], "flat sequence of such numbers"),
        ([], "flat sequence of such numbers"),
        ([[0.5]], "flat sequence of such numbers"),
        (["a"], "flat sequence of such numbers"),
        (0.0, "The 'quantile' parameter"),
        (np.nan, "The 'quantile' parameter"),
    ],
)
def test_invalid_levels_are_refused(quantile, text, diabetes):
    with pytest.raises(ValueError, match=text):
        MLPRegressor("quantile", quantile=quantile).fit(*diabetes)


def test_several_levels_of_several_targets_are_refused(diabetes):
    X, y = diabetes
    model = MLPRegressor("quantile", quantile=LEVELS)
    with pytest.raises(ValueError, match="3 levels, which need one number for each"):
        model.fit(X, np.column_stack([y, y]))


def test_warm_start_refuses_another_number_of_levels(diabetes):
    model = MLPRegressor("quantile", 3, quantile=LEVELS, max_iter=1, warm_start=True)
    model.fit(*diabetes).set_params(quantile=(0.2, 0.8))
    with pytest.raises(ValueError, match="2 levels, but the network of the fit before"):
        model.fit(*diabetes)
