"""Explanations, conformal sets and fair decisions of our networks."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skmlp.neural_network import MLPClassifier, MLPRegressor
from skmlp.persistence import to_torch

FAST = {"hidden_layer_sizes": 8, "max_iter": 60, "random_state": 0}


@pytest.fixture(scope="module")
def classifier(cancer):
    X, _, y, _ = cancer
    return MLPClassifier(**FAST, learning_rate_init=0.01).fit(X, y)


@pytest.fixture(scope="module")
def regressor(diabetes):
    X, _, y, _ = diabetes
    return MLPRegressor(**FAST, learning_rate_init=0.01).fit(X, y)


def test_shap_values_add_up_to_the_prediction(regressor, diabetes):
    shap = pytest.importorskip("shap", reason="shap is not installed")
    X, X_test, *_ = diabetes
    explainer = shap.Explainer(regressor.predict, X[:20], algorithm="permutation")
    values = explainer(X_test[:3])
    total = values.base_values + values.values.sum(axis=1)
    np.testing.assert_allclose(total, regressor.predict(X_test[:3]), atol=1e-6)


def test_captums_attributions_add_up_to_the_logit(regressor, diabetes):
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    import torch

    samples = torch.from_numpy(diabetes[1][:4])
    network = to_torch(regressor)
    gradients = captum.IntegratedGradients(network)
    attributions = gradients.attribute(samples, torch.zeros_like(samples), n_steps=200)
    total = attributions.sum(1).detach().numpy()
    change = regressor.predict(diabetes[1][:4]) - regressor.predict(np.zeros((1, 10)))
    np.testing.assert_allclose(total, change, atol=0.02)


def test_lime_agrees_with_the_network_near_a_sample(classifier, cancer):
    lime = pytest.importorskip("lime.lime_tabular", reason="lime is not installed")
    X, X_test, *_ = cancer
    explainer = lime.LimeTabularExplainer(
        X, discretize_continuous=False, sample_around_instance=True, random_state=0
    )
    explanation = explainer.explain_instance(
        X_test[0], classifier.predict_proba, num_features=30, num_samples=500
    )
    expected = classifier.predict_proba(X_test[:1])[0, 1]
    assert explanation.predict_proba[1] == pytest.approx(expected)
    assert len(explanation.as_list()) == 30
    assert explanation.score > 0.3


def test_sets_of_mapie_cover_nine_of_ten_samples(classifier, cancer):
    mapie = pytest.importorskip("mapie.classification", reason="mapie is not installed")
    _, X_test, _, y_test = cancer
    conformal = mapie.SplitConformalClassifier(classifier, confidence_level=0.9)
    conformal.conformalize(X_test[::2], y_test[::2])
    _, sets = conformal.predict_set(X_test[1::2])
    covered = sets[np.arange(len(sets)), y_test[1::2], 0]
    assert 0.8 < covered.mean() <= 1


def test_intervals_of_mapie_cover_nine_of_ten_targets(diabetes):
    mapie = pytest.importorskip("mapie.regression", reason="mapie is not installed")
    X, X_test, y, y_test = diabetes
    model = MLPRegressor(**FAST)
    conformal = mapie.CrossConformalRegressor(model, confidence_level=0.9, cv=3)
    conformal.fit_conformalize(X, y)
    _, intervals = conformal.predict_interval(X_test)
    low, high = intervals[:, 0, 0], intervals[:, 1, 0]
    assert 0.8 < ((low <= y_test) & (y_test <= high)).mean() <= 1


def test_crepes_wraps_a_regressor(diabetes):
    crepes = pytest.importorskip("crepes", reason="crepes is not installed")
    X, X_test, y, y_test = diabetes
    model = crepes.WrapRegressor(MLPRegressor(**FAST))
    model.fit(X[:200], y[:200])
    model.calibrate(X[200:], y[200:])
    low, high = model.predict_int(X_test, confidence=0.9).T
    assert 0.8 < ((low <= y_test) & (y_test <= high)).mean() <= 1


def test_venn_abers_calibrates_probabilities(cancer):
    venn = pytest.importorskip("venn_abers", reason="venn-abers is not installed")
    X, X_test, y, y_test = cancer
    model = venn.VennAbersCalibrator(
        MLPClassifier(**FAST, learning_rate_init=0.01),
        inductive=True,
        cal_size=0.3,
        random_state=0,
    )
    model.fit(X, y)
    probabilities = np.asarray(model.predict_proba(X_test))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert (probabilities.argmax(axis=1) == y_test).mean() > 0.9


def test_fairlearn_equalizes_the_selection_rates(cancer):
    postprocessing = pytest.importorskip(
        "fairlearn.postprocessing", reason="fairlearn is not installed"
    )
    X, X_test, y, _ = cancer
    model = postprocessing.ThresholdOptimizer(
        estimator=MLPClassifier(**FAST),
        constraints="demographic_parity",
        predict_method="predict_proba",
    )
    group, group_test = X[:, 0] > 0.5, X_test[:, 0] > 0.5
    model.fit(X, y, sensitive_features=group)
    predicted = model.predict(X_test, sensitive_features=group_test, random_state=0)
    plain = MLPClassifier(**FAST).fit(X, y).predict(X_test)
    gap, gap_before = (
        abs(p[group_test].mean() - p[~group_test].mean()) for p in (predicted, plain)
    )
    assert gap < 0.5 * gap_before


def test_cleanlab_finds_wrong_labels(iris):
    cleanlab = pytest.importorskip(
        "cleanlab.classification", reason="cleanlab is not installed"
    )
    X, _, y, _ = iris
    wrong = np.random.default_rng(0).choice(len(y), 8, replace=False)
    labels = y.copy()
    labels[wrong] = (labels[wrong] + 1) % 3
    cleaning = cleanlab.CleanLearning(
        MLPClassifier(8, max_iter=150, random_state=0), cv_n_folds=3, seed=0
    )
    issues = cleaning.find_label_issues(X, labels)
    assert issues["is_label_issue"].to_numpy()[wrong].mean() >= 0.75


def test_mlxtend_selects_features_and_stacks(iris):
    selection = pytest.importorskip(
        "mlxtend.feature_selection", reason="mlxtend is not installed"
    )
    from mlxtend.classifier import StackingClassifier

    X, X_test, y, y_test = iris
    network = MLPClassifier(8, max_iter=60, learning_rate_init=0.02, random_state=0)
    chosen = selection.SequentialFeatureSelector(network, k_features=2, cv=2)
    assert chosen.fit(X, y).k_score_ > 0.9
    stack = StackingClassifier(
        classifiers=[network, RandomForestClassifier(10, random_state=0)],
        meta_classifier=LogisticRegression(),
    )
    assert stack.fit(X, y).score(X_test, y_test) > 0.85
