"""`X_val` and `y_val`: in fit, in a Pipeline and in a search."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import CNNClassifier, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # The raw features of breast cancer are on different scales.
    "ignore::skmlp.exceptions.DataScaleWarning",
)


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return train_test_split(X, y, random_state=0)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def make_model(**params):
    return MLPClassifier(
        **{"hidden_layer_sizes": 7, "max_iter": 12, "random_state": 0} | params
    )


def test_validation_scores_are_of_given_validation_set(cancer):
    X, X_val, y, y_val = cancer
    for epochs in (1, 3, 12):
        model = make_model(max_iter=epochs).fit(X, y, X_val=X_val, y_val=y_val)
        assert len(model.validation_scores_) == epochs
        best = int(np.argmax(model.validation_scores_))
        assert model.best_epoch_ == best + 1
        assert model.best_validation_score_ == model.validation_scores_[best]
        # The best weights are restored even without early stopping.
        assert model.score(X_val, y_val) == model.best_validation_score_


def test_validation_set_does_not_influence_training(cancer):
    X, X_val, y, y_val = cancer
    validated = make_model().fit(X, y, X_val=X_val, y_val=y_val)
    alone = make_model().fit(X, y)
    assert validated.loss_curve_ == alone.loss_curve_
    assert validated.t_ == alone.t_ == 12 * len(X)


@pytest.mark.on_cuda_too
def test_validation_set_decides_early_stopping(cancer):
    X, X_val, y, y_val = cancer
    model = make_model(early_stopping=True, tol=1.0, n_iter_no_change=3)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    # No score is better than the first by tol, so that training stops after four more.
    assert model.n_iter_ == 5
    # All samples of X are trained on.
    assert model.t_ == 5 * len(X)


def test_given_validation_set_equals_same_internal_split(cancer):
    X, _, y, _ = cancer
    model = make_model(early_stopping=True, shuffle=False, init="zeros").fit(X, y)
    state = np.random.RandomState(0)
    train, valid = train_test_split(
        np.arange(len(X)), random_state=state, test_size=0.1, stratify=y
    )
    given = make_model(early_stopping=True, shuffle=False, init="zeros")
    given.fit(X[train], y[train], X_val=X[valid], y_val=y[valid])
    assert given.validation_scores_ == model.validation_scores_
    assert_array_equal(given.predict_proba(X), model.predict_proba(X))


def test_regressor_accepts_validation_set():
    X, y = load_diabetes(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    model = MLPRegressor(
        hidden_layer_sizes=7, learning_rate_init=0.1, max_iter=20, random_state=0
    ).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.score(X_val, y_val) == pytest.approx(max(model.validation_scores_))


@pytest.mark.on_cuda_too
def test_cnn_accepts_validation_images():
    rng = np.random.RandomState(0)
    X, X_val = rng.randint(0, 256, (2, 40, 6, 6), dtype=np.uint8)
    y, y_val = rng.randint(0, 2, (2, 40))
    model = CNNClassifier(2, hidden_layer_sizes=3, max_iter=3, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.score(X_val, y_val) == max(model.validation_scores_)


def make_frame(X):
    return pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])


@pytest.mark.parametrize(
    "convert",
    [np.float32, scipy.sparse.csr_matrix, make_frame],
    ids=["float32", "csr", "frame"],
)
@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_validation_set_may_have_any_format(cancer, convert, scoring):
    X, X_val, y, y_val = cancer
    names = np.array(["benign", "malign"])
    model = make_model(scoring=scoring, max_iter=4)
    model.fit(convert(X), names[y], X_val=convert(X_val), y_val=names[y_val])
    assert model.score(convert(X_val), names[y_val]) == max(model.validation_scores_)


# Scorers


def log_loss_scorer(estimator, X, y):
    return -log_loss(y, estimator.predict_proba(X), labels=estimator.classes_)


@pytest.mark.on_cuda_too
@pytest.mark.parametrize(
    ("scoring", "measure"),
    [
        ("neg_log_loss", lambda m, X, y: -log_loss(y, m.predict_proba(X))),
        (log_loss_scorer, log_loss_scorer),
        (
            make_scorer(accuracy_score, greater_is_better=False),
            lambda m, X, y: -accuracy_score(y, m.predict(X)),
        ),
    ],
    ids=["name", "callable", "make_scorer"],
)
def test_scorer_selects_best_weights(cancer, scoring, measure):
    X, X_val, y, y_val = cancer
    model = make_model(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    score = measure(model, X_val, y_val)
    assert score == pytest.approx(max(model.validation_scores_))
    for epochs in (1, 5):
        shorter = make_model(max_iter=epochs, scoring=scoring)
        shorter.fit(X, y, X_val=X_val, y_val=y_val)
        assert shorter.validation_scores_ == model.validation_scores_[:epochs]


def test_scorer_evaluates_internal_validation_split(cancer):
    X, _, y, _ = cancer
    model = make_model(early_stopping=True, scoring="neg_log_loss").fit(X, y)
    assert max(model.validation_scores_) < 0
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_sample_weights_reach_scorers_that_accept_them(cancer):
    X, _, y, _ = cancer
    weight = np.linspace(0.0, 1.0, len(y))
    weights_seen = []

    def weighted_scorer(model, X, y, sample_weight=None):
        weights_seen.append(sample_weight)
        return model.score(X, y, sample_weight)

    def unweighted_scorer(model, X, y):
        return model.score(X, y)

    model = make_model(early_stopping=True, max_iter=1)
    model.set_params(scoring=weighted_scorer).fit(X, y, weight)
    assert len(weights_seen[0]) == np.ceil(0.1 * len(y))
    for scoring in (unweighted_scorer, "adjusted_rand_score"):
        model.set_params(scoring=scoring).fit(X, y, weight)
    model.set_params(scoring=unweighted_scorer).fit(X, y, weight)
    accuracy = model.validation_scores_
    assert accuracy == model.set_params(scoring="accuracy").fit(X, y).validation_scores_


def test_unknown_scorer_is_refused(cancer):
    X, _, y, _ = cancer
    with pytest.raises(ValueError, match="'beauty' is not a valid scoring value"):
        make_model(early_stopping=True, scoring="beauty").fit(X, y)


# Errors


def test_incomplete_validation_set_is_refused(cancer):
    X, X_val, y, y_val = cancer
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        make_model().fit(X, y, X_val=X_val)
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        make_model().fit(X, y, y_val=y_val)


def test_invalid_validation_set_is_refused(cancer):
    X, X_val, y, y_val = cancer
    for changed, message in (
        ((X_val[:, :3], y_val), "3 features, but MLPClassifier is expecting 30"),
        ((X_val[:5], y_val), "inconsistent numbers of samples"),
        ((np.full_like(X_val, np.nan), y_val), "contains NaN"),
        ((X_val, y_val + 1), r"`y_val` has classes not in `self\.classes_`"),
        ((X_val[:0], y_val[:0]), "Found array with 0 sample"),
    ):
        with pytest.raises(ValueError, match=message):
            make_model().fit(X, y, X_val=changed[0], y_val=changed[1])


# In a Pipeline


def fit_scaled(X, X_val, y, y_val, weight=None, **params):
    """Fit a network to data that are scaled without a Pipeline."""
    scaler = StandardScaler().fit(X)
    model = make_model(**params)
    return model.fit(
        scaler.transform(X),
        y,
        weight,
        X_val=scaler.transform(X_val),
        y_val=y_val,
    )


def test_pipeline_with_routing_transforms_validation_set(cancer, routing):
    X, X_val, y, y_val = cancer
    network = make_model().set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("net", network)], transform_input=["X_val"]
    )
    pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    expected = fit_scaled(*cancer)
    assert pipeline["net"].validation_scores_ == expected.validation_scores_
    assert_array_equal(pipeline["net"].coefs_[0], expected.coefs_[0])
    # An unscaled validation set has other scores.
    unscaled = make_model().fit(
        StandardScaler().fit_transform(X), y, X_val=X_val, y_val=y_val
    )
    assert unscaled.validation_scores_ != expected.validation_scores_


def test_pipeline_without_routing_accepts_transformed_validation_set(cancer):
    """The other way of scikit-learn: step__parameter is passed on unchanged."""
    X, X_val, y, y_val = cancer
    pipeline = make_pipeline(StandardScaler(), make_model())
    scaled = pipeline[:-1].fit(X).transform(X_val)
    pipeline.fit(X, y, mlpclassifier__X_val=scaled, mlpclassifier__y_val=y_val)
    expected = fit_scaled(*cancer)
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    assert_array_equal(pipeline[-1].coefs_[0], expected.coefs_[0])


def test_early_stopping_in_pipeline_validates_on_transformed_samples(cancer):
    X, _, y, _ = cancer
    pipeline = make_pipeline(StandardScaler(), make_model(early_stopping=True)).fit(
        X, y
    )
    alone = make_model(early_stopping=True).fit(StandardScaler().fit_transform(X), y)
    assert pipeline[-1].validation_scores_ == alone.validation_scores_


# In a search


def test_search_routes_weights_and_validation_set(cancer, routing):
    X, X_val, y, y_val = cancer
    weight = np.linspace(0.5, 2.0, len(y))
    network = make_model().set_fit_request(X_val=True, y_val=True, sample_weight=True)
    scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    pipeline = Pipeline(
        [
            ("scale", StandardScaler().set_fit_request(sample_weight=False)),
            ("net", network),
        ],
        transform_input=["X_val"],
    )
    search = GridSearchCV(pipeline, {"net__alpha": [1e-4, 10.0]}, cv=2, scoring=scorer)
    search.fit(X, y, sample_weight=weight, X_val=X_val, y_val=y_val)
    expected = fit_scaled(*cancer, weight, alpha=search.best_params_["net__alpha"])
    best = search.best_estimator_["net"]
    assert best.validation_scores_ == expected.validation_scores_
    assert_allclose(best.loss_curve_, expected.loss_curve_)
    unweighted = fit_scaled(*cancer, alpha=search.best_params_["net__alpha"])
    assert best.loss_curve_ != unweighted.loss_curve_


def test_cross_validation_splits_weights_but_not_validation_set(routing):
    """cross_validate splits sample_weight as it splits X, but does not split X_val."""
    X, y = load_iris(return_X_y=True)
    weight = np.random.RandomState(0).uniform(0.1, 3, len(y))
    network = make_model(max_iter=4).set_fit_request(
        sample_weight=True, X_val=True, y_val=True
    )
    network.set_score_request(sample_weight=False)
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    model = cross_validate(
        network,
        X,
        y,
        cv=[(train, test)],
        params={"sample_weight": weight, "X_val": X[:7], "y_val": y[:7]},
        return_estimator=True,
    )["estimator"][0]
    expected = make_model(max_iter=4).fit(
        X[train], y[train], weight[train], X_val=X[:7], y_val=y[:7]
    )
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_


def test_unrequested_validation_set_is_refused_by_name(cancer, routing):
    X, X_val, y, y_val = cancer
    pipeline = make_pipeline(StandardScaler(), make_model())
    with pytest.raises(ValueError, match="X_val, y_val"):
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)


def test_search_without_routing_passes_validation_set(cancer):
    X, X_val, y, y_val = cancer
    scaler = StandardScaler().fit(X)
    X, X_val = scaler.transform(X), scaler.transform(X_val)
    search = GridSearchCV(make_model(), {"alpha": [1e-4, 10.0]}, cv=2)
    with warnings.catch_warnings(action="error"):
        warnings.filterwarnings("ignore", message="Stochastic Optimizer")
        search.fit(X, y, X_val=X_val, y_val=y_val)
    expected = make_model(**search.best_params_).fit(X, y, X_val=X_val, y_val=y_val)
    assert search.best_estimator_.validation_scores_ == expected.validation_scores_


def test_validation_errors_name_validation_set(cancer):
    X, X_val, y, y_val = cancer
    with pytest.raises(ValueError, match="Of X_val and y_val: X has 5 features"):
        make_model().fit(X, y, X_val=X_val[:, :5], y_val=y_val)
    X_val = X_val.copy()
    X_val[3, 4] = np.nan
    with pytest.raises(ValueError, match="Of X_val and y_val: Input X contains NaN"):
        make_model().fit(X, y, X_val=X_val, y_val=y_val)
