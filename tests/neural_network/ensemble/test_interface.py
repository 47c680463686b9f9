"""The ensemble as a scikit-learn estimator: checks, Pipelines, searches, copies."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp.neural_network import (
    EnsembleClassifier,
    MLPClassifier,
)
from skmlp.preprocessing import PixelScaler

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)

SMALL = MLPClassifier(6, max_iter=5)


@pytest.mark.sklearn_checks
@parametrize_with_checks([EnsembleClassifier()])
def test_ensemble_passes_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.sklearn_checks
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
        # The checks fit with feature names and predict without them, on purpose.
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


def test_ensemble_may_be_last_step_of_pipeline(digits, assert_equal_members):
    X, y = digits
    model = make_pipeline(
        PixelScaler(pixel_max=16), EnsembleClassifier(SMALL, 2, random_state=0)
    )
    inside = model.fit(X * 16, y)[-1]
    assert_equal_members(
        inside.estimators_,
        EnsembleClassifier(SMALL, 2, random_state=0).fit(X, y).estimators_,
    )


@pytest.mark.parametrize("bootstrap", [False, True])
def test_members_may_be_pipelines(bootstrap, iris, assert_equal_members):
    X, y = iris
    weight = np.linspace(0.5, 2, len(y))
    pipeline = make_pipeline(StandardScaler(), SMALL)
    model = EnsembleClassifier(pipeline, 2, bootstrap=bootstrap, random_state=0)
    model.fit(X, y, weight)
    alone = EnsembleClassifier(SMALL, 2, bootstrap=bootstrap, random_state=0)
    alone.fit(StandardScaler().fit_transform(X), y, weight)
    assert_equal_members([m[-1] for m in model], alone.estimators_, 1e-12)
    assert model.score(X, y) == alone.score(StandardScaler().fit_transform(X), y)


def test_validation_set_is_refused_for_pipeline_members(iris):
    model = EnsembleClassifier(make_pipeline(StandardScaler(), SMALL), 2)
    with pytest.raises(ValueError, match="past the other steps of the Pipeline"):
        model.fit(*iris, X_val=iris[0], y_val=iris[1])


def test_routed_metadata_reaches_pipeline_members(iris, assert_equal_members):
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
    assert_equal_members([m[-1] for m in model], alone.estimators_, 1e-12)


def test_search_routes_sample_weights_to_ensemble(iris):
    X, y = iris
    weight = (np.arange(len(y)) % 2).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = EnsembleClassifier(SMALL, 2, random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"bootstrap": [True]}, cv=2, error_score="raise")
        search.fit(X, y, sample_weight=weight)
    for drawn in search.best_estimator_.estimators_samples_:
        assert (drawn % 2 == 1).all()


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), clone])
def test_copy_predicts_identically(copied, digits):
    X, y = digits
    model = EnsembleClassifier(SMALL, 2, bootstrap=True, random_state=0).fit(X, y)
    twin = copied(model)
    if not hasattr(twin, "estimators_"):
        twin.fit(X, y)
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


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
