"""Averaged predictions of regressors, and the ensemble as a regressor."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    d2_pinball_score,
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    r2_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import make_small

from skmlp.neural_network import EnsembleRegressor, MLPClassifier, MLPRegressor
from skmlp.persistence import load_model, save_model

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPRegressor(hidden_layer_sizes=6, max_iter=5)


@pytest.mark.sklearn_checks
@parametrize_with_checks([EnsembleRegressor()])
def test_regressor_ensemble_passes_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.sklearn_checks
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_param_validation,
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_regressor_multioutput,
    ],
    ids=lambda check: check.__name__,
)
def test_regressor_ensemble_passes_further_sklearn_check(check):
    with warnings.catch_warnings():
        # The checks fit with feature names and predict without them, on purpose.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        check("EnsembleRegressor", EnsembleRegressor(SMALL, 2))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_prediction_is_the_mean_of_members(n_outputs, diabetes):
    X, y = diabetes
    y = y if n_outputs == 1 else np.column_stack([y, -y, y**2])
    model = EnsembleRegressor(SMALL, 3, random_state=0).fit(X, y)
    mean = np.mean([member.predict(X) for member in model], axis=0)
    assert_allclose(model.predict(X), mean, rtol=1e-12)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize("levels", [0.9, (0.1, 0.5, 0.9)])
def test_quantiles_are_averaged_and_scored_level_by_level(levels, diabetes):
    X, y = diabetes
    network = clone(SMALL).set_params(loss="quantile", quantile=levels, max_iter=30)
    model = EnsembleRegressor(network, 3, random_state=0).fit(X, y)
    predictions = np.array([member.predict(X) for member in model])
    assert_allclose(model.predict(X), predictions.mean(axis=0), rtol=1e-10)
    columns = model.predict(X).reshape(len(y), -1).T
    losses = [
        mean_pinball_loss(y, column, alpha=level)
        for column, level in zip(columns, np.ravel(levels), strict=True)
    ]
    of_members = [
        [
            mean_pinball_loss(y, column, alpha=level)
            for column, level in zip(
                predicted.reshape(len(y), -1).T, np.ravel(levels), strict=True
            )
        ]
        for predicted in predictions
    ]
    assert (losses <= np.mean(of_members, axis=0) + 1e-12).all()
    scores = [
        d2_pinball_score(y, column, alpha=level)
        for column, level in zip(columns, np.ravel(levels), strict=True)
    ]
    assert_allclose(model.score(X, y), np.mean(scores), rtol=1e-12)
    assert model.score(X, y) >= model.member_scores(X, y).mean()


def test_regressor_members_have_own_seeds(diabetes):
    model = EnsembleRegressor(SMALL, 3, random_state=0).fit(*diabetes)
    assert len({member.coefs_[0].tobytes() for member in model}) == 3
    again = clone(model).fit(*diabetes)
    assert_array_equal(model.predict(diabetes[0]), again.predict(diabetes[0]))


@settings(max_examples=15, deadline=None)
@given(
    n_members=st.integers(1, 4),
    n_outputs=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
    bootstrap=st.booleans(),
)
def test_error_is_at_most_the_mean_error_of_members(
    n_members, n_outputs, seed, bootstrap
):
    """Jensen's inequality holds for any members; the ambiguity is the difference."""
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(40, 3)), draw.normal(size=(40, n_outputs)).squeeze()
    network = MLPRegressor(hidden_layer_sizes=4, max_iter=3, learning_rate_init=0.3)
    model = EnsembleRegressor(
        network, n_members, bootstrap=bootstrap, random_state=seed
    ).fit(X, y)
    predictions = np.array([member.predict(X) for member in model])
    own = [mean_squared_error(y, predicted) for predicted in predictions]
    ambiguity = predictions.var(axis=0).mean()
    assert_allclose(
        mean_squared_error(y, model.predict(X)), np.mean(own) - ambiguity, atol=1e-10
    )
    own = [mean_absolute_error(y, predicted) for predicted in predictions]
    assert mean_absolute_error(y, model.predict(X)) <= np.mean(own) + 1e-12


def test_packed_regressors_equal_single_ones(diabetes, assert_equal_members):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 3, random_state=0).fit(X, y)
    parallel = clone(model).set_params(n_jobs=1).fit(X, y)
    assert_equal_members(model.estimators_, parallel.estimators_, atol=1e-12)


def test_regressor_member_scores_equal_scores_of_members(diabetes):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 3, random_state=0).fit(X, y)
    weight = np.linspace(0, 1, len(y))
    own = [member.score(X, y, weight) for member in model]
    assert model.member_scores(X, y, weight).tolist() == own
    assert model.member_scores(X, y).tolist() != own


def test_bootstrap_weights_are_counts_of_draws(diabetes, assert_equal_members):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 2, bootstrap=True, random_state=0).fit(X, y)
    for member, drawn in zip(model, model.estimators_samples_, strict=True):
        alone = clone(member).fit(X, y, np.bincount(drawn, minlength=len(y)))
        assert_equal_members([member], [alone], atol=1e-12)


def test_regressor_partial_fit_trains_every_member(diabetes, assert_equal_members):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 2, random_state=0).partial_fit(X[:200], y[:200])
    members = [clone(member) for member in model]
    model.partial_fit(X[200:], y[200:], np.ones(len(y) - 200))
    for member in members:
        member.partial_fit(X[:200], y[:200]).partial_fit(X[200:], y[200:])
    assert_equal_members(model.estimators_, members)


def test_regressor_partial_fit_is_absent_with_bootstrap():
    assert not hasattr(EnsembleRegressor(SMALL, bootstrap=True), "partial_fit")
    assert not hasattr(EnsembleRegressor(LinearRegression()), "partial_fit")


def test_validation_set_reaches_every_regressor(diabetes, assert_equal_members):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 2, random_state=0)
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    for member in model:
        alone = clone(member).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
        assert_allclose(member.validation_scores_, alone.validation_scores_)


@pytest.mark.parametrize(
    "member",
    [
        make_pipeline(StandardScaler(), SMALL),
        TransformedTargetRegressor(SMALL, transformer=StandardScaler()),
        SklearnRegressor(hidden_layer_sizes=6, max_iter=5),
        DecisionTreeRegressor(max_depth=2),
    ],
    ids=lambda member: type(member).__name__,
)
def test_any_regressor_may_be_a_member(member, diabetes):
    X, y = diabetes
    model = EnsembleRegressor(member, 2, random_state=0).fit(X, y)
    mean = (model[0].predict(X) + model[1].predict(X)) / 2
    assert_array_equal(model.predict(X), mean)


def test_classifier_target_is_refused_by_regressors(diabetes):
    X, _ = diabetes
    with pytest.raises(TypeError, match="has to hold numbers"):
        EnsembleRegressor(SMALL, 2).fit(X, np.array(["a", "b"])[np.arange(len(X)) % 2])
    with pytest.raises(ValueError, match="'estimator' parameter of EnsembleRegressor"):
        EnsembleRegressor(StandardScaler(), 2).fit(*diabetes)


def test_search_varies_parameters_of_regressors(diabetes):
    model = EnsembleRegressor(SMALL, 2, random_state=0)
    grid = {"estimator__alpha": [0.1, 1.0], "n_estimators": [1, 2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(*diabetes)
    assert len(search.best_estimator_) == search.best_params_["n_estimators"]


def test_sparse_frames_and_images_are_predicted(diabetes):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 2, random_state=0).fit(X, y)
    sparse = scipy.sparse.csr_matrix(X)
    assert_allclose(clone(model).fit(sparse, y).predict(sparse), model.predict(X))
    frame = pd.DataFrame(X).add_prefix("x")
    named = clone(model).fit(frame, pd.Series(y))
    assert named.feature_names_in_.tolist() == frame.columns.tolist()
    assert_array_equal(named.predict(frame), model.predict(X))
    images = X[:, :9].reshape(-1, 3, 3)
    assert_array_equal(
        clone(model).fit(images, y).predict(images),
        clone(model).fit(X[:, :9], y).predict(X[:, :9]),
    )


def test_column_vector_target_warns_once_for_all_regressors(diabetes):
    X, y = diabetes
    with pytest.warns(DataConversionWarning) as caught:
        model = EnsembleRegressor(SMALL, 2, random_state=0).fit(X, y[:, None])
    assert sum(w.category is not ConvergenceWarning for w in caught) == 1
    assert model.predict(X).shape == y.shape


def test_killed_regressor_ensemble_resumes(diabetes, tmp_path):
    model = EnsembleRegressor(SMALL, 2, random_state=0, checkpoint=tmp_path / "files")
    whole = clone(model).set_params(checkpoint=None, n_jobs=1).fit(*diabetes)
    resumed = clone(model).set_params(n_estimators=1, n_jobs=1).fit(*diabetes)
    resumed = clone(model).set_params(n_jobs=1).fit(*diabetes)
    assert len(list((tmp_path / "files").iterdir())) == 2
    assert_array_equal(whole.predict(diabetes[0]), resumed.predict(diabetes[0]))
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        clone(model).set_params(random_state=None).fit(*diabetes)


def test_copies_of_regressors_predict_identically(diabetes, tmp_path):
    X, y = diabetes
    model = EnsembleRegressor(SMALL, 2, random_state=0).fit(X, y)
    save_model(model, tmp_path / "model.skmlp")
    for copied in (
        pickle.loads(pickle.dumps(model)),
        load_model(tmp_path / "model.skmlp"),
    ):
        assert_array_equal(copied.predict(X), model.predict(X))


def test_html_shows_the_regressors(diabetes):
    model = EnsembleRegressor(SMALL, 2).fit(*diabetes)
    assert "2 networks" in model._repr_html_()


def test_members_of_another_class_cannot_continue(diabetes):
    model = EnsembleRegressor(SMALL, 2, random_state=0).fit(*diabetes)
    with pytest.raises(ValueError, match="estimator is now a MLPClassifier"):
        model.set_params(estimator=MLPClassifier()).partial_fit(*diabetes)


def test_own_modules_are_members(diabetes):
    X, y = diabetes
    weight = np.linspace(0.0, 2.0, 142)
    network = make_small("TorchRegressor")
    model = EnsembleRegressor(network, 2, random_state=0)
    model.fit(X[:300], y[:300], None, X[300:], y[300:], weight)
    predicted = model.predict(X)
    np.testing.assert_allclose(
        predicted, np.mean([member.predict(X) for member in model], axis=0)
    )
    for member in model:
        score = member.score(X[300:], y[300:], weight)
        assert member.best_validation_score_ == pytest.approx(score)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(X), predicted)
