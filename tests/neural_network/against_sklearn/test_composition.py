"""Estimators in Pipelines, searches and ensembles of scikit-learn, and their copies."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, LearningCurveDisplay
from sklearn.pipeline import make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.preprocessing import PixelScaler

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
    ),
    # Convolutions are fitted to tables of four columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

FEW = {"max_iter": 5, "random_state": 0}
CLASSIFIERS = {
    "softmax": SoftmaxRegression(**FEW),
    "mlp": MLPClassifier(16, **FEW),
    "cnn": CNNClassifier(4, hidden_layer_sizes=16, **FEW),
}
ESTIMATORS = CLASSIFIERS | {
    "regressor": MLPRegressor(hidden_layer_sizes=16, **FEW),
    "batch norm": MLPClassifier(16, batch_norm=True, dropout=0.2, **FEW),
}


@pytest.fixture(params=CLASSIFIERS)
def classifier(request):
    return clone(CLASSIFIERS[request.param])


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def outputs(fitted, X):
    """Return the probabilities, or the predictions of a regressor."""
    method = "predict_proba" if hasattr(fitted, "predict_proba") else "predict"
    return getattr(fitted, method)(X)


SEARCHES = {
    "mlp": (
        MLPClassifier(max_iter=8, random_state=0),
        {
            "mlpclassifier__hidden_layer_sizes": [8, (150, 50)],
            "mlpclassifier__alpha": [1e-4, 1.0],
        },
    ),
    "cnn": (
        CNNClassifier(max_iter=3, random_state=0, hidden_layer_sizes=16),
        {
            "cnnclassifier__conv_channels": [4, (8, 8)],
            "cnnclassifier__dropout": [0.0, 0.5],
        },
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_n_jobs_does_not_change_search_scores(name, digits, three_threads):
    model, grid = SEARCHES[name]
    X, y = digits
    images = X.reshape(-1, 8, 8) if name == "cnn" else X
    results = [
        GridSearchCV(
            make_pipeline(PixelScaler(pixel_max=1), model),
            grid,
            scoring=["accuracy", "neg_log_loss"],
            refit=False,
            return_train_score=True,
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        )
        .fit(images, y)
        .cv_results_
        for n_jobs in (1, 2)
    ]
    scores = [key for key in results[0] if "_test_" in key or "_train_" in key]
    assert len(scores) > 10
    for key in scores:
        np.testing.assert_array_equal(results[0][key], results[1][key], err_msg=key)


def test_search_refits_best_candidate(digits):
    search = GridSearchCV(
        make_pipeline(
            PixelScaler(pixel_max=1), MLPClassifier(max_iter=20, random_state=0)
        ),
        {"mlpclassifier__learning_rate_init": [1e-6, 1e-2]},
        cv=2,
    ).fit(*digits)
    assert search.best_params_ == {"mlpclassifier__learning_rate_init": 1e-2}
    assert search.score(*digits) > 0.9


def test_string_labels_are_predicted_as_given(classifier, iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    as_numbers = clone(classifier).fit(X, y)
    for labels in (names[y], names[y].astype(object), pd.Series(names[y])):
        fitted = clone(classifier).fit(X, labels)
        assert fitted.classes_.tolist() == sorted(names)
        np.testing.assert_array_equal(fitted.predict(X), names[as_numbers.predict(X)])
        assert fitted.score(X, labels) == as_numbers.score(X, y)


def test_any_two_labels_are_accepted(classifier, iris):
    X, y = iris[0][:100], iris[1][:100]
    for labels in (y.astype(bool), np.where(y, "yes", "no"), 5 - 10 * y):
        fitted = clone(classifier).fit(X, labels)
        assert set(fitted.predict(X)) <= set(labels)
        assert fitted.predict_proba(X).shape == (100, 2)
        np.testing.assert_array_equal(
            fitted.predict(X), fitted.classes_[fitted.predict_proba(X).argmax(1)]
        )


def test_data_frames_set_feature_names(estimator, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    fitted = clone(estimator).fit(frame, pd.Series(y))
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(
        outputs(fitted, frame), outputs(estimator.fit(X, y), X)
    )
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["b", "a", "c", "d"]])


def test_scorer_with_early_stopping_accepts_data_frame(iris):
    frame = pd.DataFrame(iris[0], columns=["a", "b", "c", "d"])
    model = MLPClassifier(8, early_stopping=True, scoring="f1_macro", **FEW)
    fitted = model.fit(frame, iris[1])
    assert len(fitted.validation_scores_) == fitted.n_iter_


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_data_train_as_dense_data(estimator, digits, kind):
    X, y = digits
    dense = clone(estimator).fit(X, y)
    sparse = clone(estimator).fit(kind(X), y)
    np.testing.assert_array_equal(outputs(sparse, kind(X)), outputs(dense, X))


# MLPClassifier is left out with early stopping: given sample weights alone, it stops as
# scikit-learn's does.
@pytest.mark.parametrize(
    "classifier",
    [
        *CLASSIFIERS.values(),
        clone(CLASSIFIERS["softmax"]).set_params(early_stopping=True),
        clone(CLASSIFIERS["cnn"]).set_params(early_stopping=True),
    ],
    ids=[*CLASSIFIERS, "softmax, early stopping", "cnn, early stopping"],
)
def test_balanced_class_weight_equals_sample_weights(classifier, iris):
    X, y = iris[0][:120], iris[1][:120]
    weight = compute_sample_weight("balanced", y)
    weighted = clone(classifier).fit(X, y, sample_weight=weight)
    balanced = clone(classifier).set_params(class_weight="balanced").fit(X, y)
    explicit = dict(zip(*np.unique(y, return_index=True), strict=True))
    explicit = {label: weight[i] for label, i in explicit.items()}
    by_dict = clone(classifier).set_params(class_weight=explicit).fit(X, y)
    for fitted in (balanced, by_dict):
        assert fitted.validation_scores_ == weighted.validation_scores_
        np.testing.assert_array_equal(
            fitted.predict_proba(X), weighted.predict_proba(X)
        )


def test_class_and_sample_weights_multiply(classifier, iris):
    X, y = iris[0][:120], iris[1][:120]
    weight = np.linspace(0.5, 2, 120)
    both = clone(classifier).set_params(class_weight={0: 1, 1: 2, 2: 3})
    both.fit(X, y, sample_weight=weight)
    product = clone(classifier).fit(X, y, sample_weight=weight * (y + 1))
    np.testing.assert_array_equal(both.predict_proba(X), product.predict_proba(X))


def test_calibrated_probabilities_sum_to_one(classifier, iris):
    X, y = iris
    calibrated = CalibratedClassifierCV(classifier, cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(1), 1)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting_classifier_accepts_estimators(voting, iris):
    members = [(name, clone(model)) for name, model in CLASSIFIERS.items()]
    vote = VotingClassifier(members, voting=voting).fit(*iris)
    assert set(vote.predict(iris[0])) <= {0, 1, 2}


def test_learning_curve_display_accepts_estimator(iris):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    display = LearningCurveDisplay.from_estimator(
        SoftmaxRegression(**FEW), *iris, cv=2, train_sizes=[0.5, 1.0]
    )
    assert display.test_scores.shape == (2, 2)
    matplotlib.pyplot.close("all")


def copy_by_joblib(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib")


@pytest.mark.parametrize(
    "copied",
    [
        lambda fitted, _: pickle.loads(pickle.dumps(fitted)),
        lambda fitted, _: copy.deepcopy(fitted),
        lambda fitted, _: copy.copy(fitted),
        copy_by_joblib,
    ],
    ids=["pickle", "deepcopy", "copy", "joblib"],
)
def test_copies_predict_identically(estimator, digits, copied, tmp_path):
    X, y = digits
    expected = outputs(estimator.fit(X, y), X)
    np.testing.assert_array_equal(outputs(copied(estimator, tmp_path), X), expected)


def test_clones_train_identically(estimator, digits):
    X, y = digits
    expected = outputs(estimator.fit(X, y), X)
    np.testing.assert_array_equal(outputs(clone(estimator).fit(X, y), X), expected)


def test_deep_copy_is_independent(digits):
    X, y = digits
    fitted = MLPClassifier(8, **FEW).fit(X, y)
    expected = fitted.predict_proba(X)
    twin = copy.deepcopy(fitted)
    twin.partial_fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    assert not np.array_equal(twin.predict_proba(X), expected)


def test_pipeline_predicts_single_samples(classifier, digits):
    X, y = digits
    pipeline = make_pipeline(PixelScaler(pixel_max=1), classifier).fit(X, y)
    one_by_one = np.concatenate([pipeline.predict_proba(X[[i]]) for i in range(20)])
    np.testing.assert_allclose(
        one_by_one, pipeline.predict_proba(X[:20]), rtol=1e-4, atol=1e-6
    )
