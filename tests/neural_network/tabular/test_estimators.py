"""Fits, predictions and parameters of the estimators for tables."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier, TabularClassifier, TabularRegressor
from skmlp.persistence import load_model, save_model


def test_members_learn_more_than_the_class_priors(frame, labels, classifier):
    model = classifier(max_iter=20).fit(frame, labels)
    assert log_loss(labels, model.predict_proba(frame)) < 0.4
    assert model.score(frame, labels) > 0.8


def test_members_learn_more_than_the_mean(frame, target, regressor):
    model = regressor(max_iter=20).fit(frame, target)
    assert model.score(frame, target) > 0.6


@pytest.mark.parametrize("embedding", ["periodic", "ple", None])
def test_embeddings_decide_what_members_receive(frame, labels, classifier, embedding):
    model = classifier(numerical_embedding=embedding).fit(frame, labels)
    member = model.estimators_[0]
    has_embedding = member.net_.module_.embedding.periodic is not None
    assert has_embedding == (embedding == "periodic")
    n_encoded = len(model.get_feature_names_out())
    n_bins = 0 if embedding != "ple" else model.bin_encoder_.n_bins_.sum()
    assert member.n_features_in_ == n_encoded + n_bins


def test_one_or_both_embeddings_are_kept(frame, labels, classifier):
    model = classifier(early_stopping=True).fit(frame, labels)
    kinds = [
        classifier(numerical_embedding=kind).fit(frame, labels).estimators_
        for kind in ("periodic", "ple")
    ]
    kept = [member.n_features_in_ for member in model.estimators_]
    known = [[m.n_features_in_ for m in members] for members in kinds]
    assert kept in (*known, known[0] + known[1])
    assert np.isfinite(model.predict_proba(frame)).all()


@pytest.mark.parametrize("best", [0, 1, 2])
def test_lowest_validation_loss_decides(frame, labels, classifier, best, monkeypatch):
    losses = iter(float(i != best) for i in range(3))
    monkeypatch.setattr(
        TabularClassifier, "_validation_loss", lambda *args: next(losses)
    )
    sizes = [
        len(classifier(numerical_embedding=kind).fit(frame, labels).estimators_)
        for kind in ("periodic", "ple")
    ]
    model = classifier().fit(frame, labels)
    assert len(model.estimators_) == (*sizes, sum(sizes))[best]
    n_kinds = len({member.n_features_in_ for member in model.estimators_})
    assert n_kinds == (2 if best == 2 else 1)


def test_both_embeddings_are_kept_without_validation(frame, labels, classifier):
    model = classifier(early_stopping=False).fit(frame, labels)
    assert len(model.estimators_) == 4
    assert len({member.n_features_in_ for member in model.estimators_}) == 2


def test_tables_with_many_numbers_have_fewer_bins():
    rng = np.random.default_rng(0)
    for n_numbers, n_bins in ((2, 24), (64, 6), (200, 4)):
        X = rng.normal(size=(50, n_numbers))
        model = TabularClassifier(n_estimators=1, max_iter=1, random_state=0)
        model.fit(X, X[:, 0] > 0)
        assert_array_equal(model.bin_encoder_.n_bins_, n_bins)


def test_all_members_keep_the_same_epoch(frame, labels, classifier):
    model = classifier(n_estimators=3, max_iter=12, numerical_embedding="periodic")
    model.fit(frame, labels)
    assert len({member.best_epoch_ for member in model.estimators_}) == 1
    scores = np.mean([m.validation_scores_ for m in model.estimators_], axis=0)
    assert model.best_epoch_ == scores.argmax() + 1


def test_fit_ends_after_a_third_of_the_epochs_without_a_lower_loss(
    frame, labels, classifier
):
    shuffled = np.random.default_rng(0).permutation(labels)  # nothing can be learned
    model = classifier(max_iter=30, n_estimators=3).fit(frame, shuffled)
    for member in model.estimators_:
        assert len(member.validation_scores_) == member.best_epoch_ + 11 < 30


def test_members_are_validated_on_their_own_samples(frame, target, regressor):
    """Members with one seed differ only by the samples that they train on."""
    model = regressor(numerical_embedding=None).fit(frame, target)
    one, two = (member.coefs_[0] for member in model.estimators_)
    assert not np.array_equal(one, two)


def test_fit_without_validation_keeps_the_last_weights(frame, labels, classifier):
    model = classifier(early_stopping=False).fit(frame, labels)
    assert model.best_epoch_ is None
    assert model.estimators_[0].validation_scores_ is None


def test_validation_set_replaces_the_folds(frame, labels, classifier):
    train, valid = frame[:150], frame[150:]
    model = classifier(numerical_embedding="periodic")
    model.fit(train, labels[:150], X_val=valid, y_val=labels[150:])
    member = model.estimators_[0]
    encoded = model.encoder_.transform(valid)
    best = member.validation_scores_[member.best_epoch_ - 1]
    expected = -log_loss(labels[150:], member.predict_proba(encoded))
    assert_allclose(best, expected, rtol=1e-4)


def test_same_seed_gives_the_same_model(frame, target, regressor):
    one, two = (regressor().fit(frame, target).predict(frame) for _ in range(2))
    assert_array_equal(one, two)
    other = regressor(random_state=1).fit(frame, target).predict(frame)
    assert not np.array_equal(one, other)


def test_one_thread_gives_the_same_model(frame, target, regressor, three_threads):
    one = regressor(n_jobs=1).fit(frame, target).predict(frame)
    assert_allclose(regressor().fit(frame, target).predict(frame), one, rtol=1e-5)


def test_predictions_stay_within_the_range_of_the_targets(frame, target, regressor):
    model = regressor().fit(frame, target)
    far = frame.assign(skewed=1e9, normal=-1e9)
    predicted = model.predict(far)
    assert ((predicted >= target.min()) & (predicted <= target.max())).all()


def test_several_targets_are_predicted_together(frame, target, regressor):
    both = np.column_stack([target, 1000.0 - target])
    model = regressor(max_iter=20).fit(frame, both)
    assert model.predict(frame).shape == (200, 2)
    assert model.n_outputs_ == 2
    assert model.score(frame, both) > 0.5


@pytest.mark.parametrize("kind", ["bool", "int", "category", "many"])
def test_classes_of_any_kind_are_predicted(frame, labels, classifier, kind):
    y = {
        "bool": labels == "yes",
        "int": np.where(labels == "yes", 7, -1),
        "category": pd.Series(labels, dtype="category"),
        "many": frame["color"].fillna("none").to_numpy(),
    }[kind]
    model = classifier().fit(frame, y)
    predicted = model.predict(frame)
    assert set(predicted) <= set(model.classes_) == set(y)
    assert model.predict_proba(frame).shape == (200, len(model.classes_))


def test_sample_weights_decide_between_contradicting_samples(frame, labels, classifier):
    twice = pd.concat([frame, frame], ignore_index=True)
    other = np.where(labels == "yes", "no", "yes")
    weight = np.repeat([1.0, 0.01], 200)
    model = classifier(max_iter=20)
    model.fit(twice, np.concatenate([labels, other]), sample_weight=weight)
    assert model.score(frame, labels) > 0.75


def test_class_weight_moves_predictions(frame, labels, classifier):
    plain = classifier().fit(frame, labels)
    weighted = classifier(class_weight={"yes": 20.0}).fit(frame, labels)
    before = plain.predict_proba(frame)[:, 1].mean()
    assert weighted.predict_proba(frame)[:, 1].mean() > before + 0.1


def test_stored_model_predicts_the_same(
    frame, labels, target, classifier, regressor, tmp_path
):
    path = tmp_path / "model.skmlp"
    for model, y in ((classifier(preset="best"), labels), (regressor(), target)):
        model.fit(frame, y)
        save_model(model, path)
        for loaded in (
            load_model(path),
            pickle.loads(pickle.dumps(model)),
            copy.deepcopy(model),
        ):
            assert_array_equal(loaded.predict(frame), model.predict(frame))


def test_stored_model_predicts_the_same_in_another_process(
    frame, labels, classifier, tmp_path
):
    model = classifier().fit(frame, labels)
    save_model(model, tmp_path / "model.skmlp")
    frame.to_pickle(tmp_path / "frame.pkl")
    code = (
        "import sys, numpy, pandas\n"
        "from skmlp.persistence import load_model\n"
        "folder = sys.argv[1]\n"
        "model = load_model(folder + '/model.skmlp')\n"
        "frame = pandas.read_pickle(folder + '/frame.pkl')\n"
        "numpy.save(folder + '/predicted.npy', model.predict_proba(frame))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    predicted = np.load(tmp_path / "predicted.npy")
    assert_array_equal(predicted, model.predict_proba(frame))


def test_pickle_of_default_size_is_at_most_a_tenth_larger_than_the_weights(
    frame, labels
):
    model = TabularClassifier(max_iter=48, n_estimators=2, random_state=0)
    model.fit(frame, labels)
    n_weights = sum(member.n_parameters_ for member in model.estimators_)
    assert len(pickle.dumps(model)) < 1.1 * 4 * n_weights


def test_packed_search_agrees_with_the_search_of_sklearn(frame, labels, classifier):
    grid = {"dropout": [0.0, 0.3], "hidden_layer_sizes": [(8,), (16,)]}
    searches = [
        search(classifier(), grid, cv=2).fit(frame, labels)
        for search in (GridSearchCV, PackedGridSearchCV)
    ]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert_array_equal(*scores)


def test_inspection_of_sklearn_works(frame, target, regressor):
    model = regressor().fit(frame, target)
    result = permutation_importance(model, frame, target, n_repeats=1, random_state=0)
    assert result.importances_mean.shape == (9,)
    assert "average" in partial_dependence(model, frame, ["skewed"], kind="average")
    assert not hasattr(model, "feature_importances_")


def test_global_output_of_frames_does_not_change_the_model(frame, target, regressor):
    expected = regressor(numerical_embedding="ple").fit(frame, target).predict(frame)
    with config_context(transform_output="pandas"):
        model = regressor(numerical_embedding="ple").fit(frame, target)
        assert_array_equal(model.predict(frame), expected)


def test_failed_fit_leaves_the_fitted_model(frame, labels, classifier):
    model = classifier().fit(frame, labels)
    before = model.predict_proba(frame)
    with pytest.raises(ValueError, match="Input y"):
        model.fit(frame, np.full(len(frame), np.nan))
    assert_array_equal(model.predict_proba(frame), before)


def test_single_sample_raises(frame, labels, classifier):
    with pytest.raises(ValueError, match="n_samples = 1"):
        classifier().fit(frame[:1], labels[:1])


def test_members_are_networks_with_the_parameters_of_the_estimator(frame, labels):
    # With 'auto' there may be one member of each kind of embedding.
    model = TabularClassifier(
        n_estimators=1,
        max_iter=2,
        hidden_layer_sizes=9,
        numerical_embedding="ple",
        dropout=0.0,
        weight_decay=0.5,
        random_state=0,
    ).fit(frame, labels)
    (member,) = model.estimators_
    assert type(member) is MLPClassifier
    assert member.coefs_[0].shape[1] == 9
    assert (member.dropout, member.alpha, member.max_iter) == (0.0, 0.5, 2)


@pytest.mark.parametrize("estimator", [TabularClassifier(), TabularRegressor()])
def test_clone_has_the_same_parameters(estimator):
    assert clone(estimator).get_params() == estimator.get_params()
