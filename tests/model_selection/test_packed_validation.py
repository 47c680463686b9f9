"""packed_cross_validate gives the results of scikit-learn's cross_validate."""

import inspect
from functools import partial

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from skmlp.model_selection import PackedGridSearchCV, packed_cross_validate
from skmlp.neural_network import CNNClassifier, MLPClassifier, SoftmaxRegression

pytestmark = pytest.mark.filterwarnings(
    # Tests train for few epochs.
    "ignore::sklearn.exceptions.ConvergenceWarning"
)

NETWORK = MLPClassifier(12, max_iter=6, batch_size=32, random_state=3)


def assert_same_scores(theirs, ours):
    """Compare scores; times only need the right shape."""
    assert list(theirs) == list(ours)
    for name in theirs:
        if name.startswith(("test_", "train_")):
            assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-8, err_msg=name)
        elif name.endswith("_time"):
            assert ours[name].shape == theirs[name].shape
            assert (ours[name] > 0).all()


def validate_both(*args, **options):
    return [f(*args, **options) for f in (cross_validate, packed_cross_validate)]


def test_packed_cross_validate_has_scikit_learns_signature():
    theirs, ours = map(inspect.signature, (cross_validate, packed_cross_validate))
    assert list(theirs.parameters) == list(ours.parameters)
    for name, parameter in theirs.parameters.items():
        assert ours.parameters[name].kind == parameter.kind
        assert repr(ours.parameters[name].default) == repr(parameter.default)


@pytest.mark.parametrize(
    "estimator",
    [
        NETWORK,
        SoftmaxRegression(max_iter=5, random_state=0),
        MLPClassifier(12, early_stopping=True, n_iter_no_change=2, random_state=0),
        make_pipeline(PCA(10), NETWORK),
        CNNClassifier(2, hidden_layer_sizes=3, max_iter=1, random_state=0),
        LogisticRegression(max_iter=500),
    ],
    ids=["mlp", "softmax", "early stopping", "pipeline", "cnn", "foreign"],
)
def test_packed_folds_give_scikit_learns_scores(estimator, digits):
    options = {"scoring": ["accuracy", "neg_log_loss"], "return_train_score": True}
    assert_same_scores(*validate_both(estimator, *digits, cv=KFold(3), **options))


def test_estimators_and_indices_are_returned(digits):
    X, y = digits
    theirs, ours = validate_both(
        NETWORK, X, y, cv=3, return_estimator=True, return_indices=True
    )
    assert_same_scores(theirs, ours)
    for part in ("train", "test"):
        for one, two in zip(
            theirs["indices"][part], ours["indices"][part], strict=True
        ):
            assert_array_equal(one, two)
    for one, two in zip(theirs["estimator"], ours["estimator"], strict=True):
        for expected, actual in zip(one.coefs_, two.coefs_, strict=True):
            assert_allclose(actual, expected, rtol=0, atol=1e-12)
        assert one.n_iter_ == two.n_iter_
        assert_allclose(two.loss_curve_, one.loss_curve_, rtol=1e-12)
    assert not hasattr(NETWORK, "net_")


def test_returned_pipelines_have_the_transformers_of_their_fold(digits):
    X, y = digits
    pipeline = make_pipeline(PCA(10), NETWORK)
    theirs, ours = validate_both(pipeline, X, y, cv=3, return_estimator=True)
    for one, two in zip(theirs["estimator"], ours["estimator"], strict=True):
        assert_allclose(two[0].mean_, one[0].mean_)
        assert_allclose(two.predict_proba(X), one.predict_proba(X), atol=1e-12)


def test_scorers_of_every_kind_give_scikit_learns_scores(digits):
    def several(estimator, X, y):
        return {"right": accuracy_score(y, estimator.predict(X))}

    for scoring in (None, "f1_macro", several, {"a": "accuracy"}, ("accuracy",)):
        assert_same_scores(*validate_both(NETWORK, *digits, cv=2, scoring=scoring))


def test_weights_and_groups_give_scikit_learns_scores(digits):
    X, y = digits
    weight = np.random.RandomState(0).uniform(size=len(y))
    groups = np.arange(len(y)) % 5
    options = {"groups": groups, "cv": GroupKFold(3)}
    theirs, ours = validate_both(
        NETWORK, X, y, params={"sample_weight": weight}, **options
    )
    assert_same_scores(theirs, ours)


def test_metadata_are_routed_to_fit_scorer_and_splitter(digits):
    X, y = digits
    params = {
        "sample_weight": np.random.RandomState(0).uniform(size=len(y)),
        "groups": np.arange(len(y)) % 5,
    }
    scorer = make_scorer(accuracy_score)
    with sklearn.config_context(enable_metadata_routing=True):
        network = sklearn.clone(NETWORK).set_fit_request(sample_weight=True)
        scorer.set_score_request(sample_weight=True)
        options = {"scoring": scorer, "cv": GroupKFold(3), "params": params}
        assert_same_scores(*validate_both(network, X, y, **options))
        with pytest.raises(ValueError, match="it goes into params"):
            packed_cross_validate(network, X, y, groups=params["groups"])
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            packed_cross_validate(NETWORK, X, y, cv=GroupKFold(3), params=params)


def test_workers_give_the_scores_of_one_process(digits):
    validate = partial(packed_cross_validate, NETWORK, *digits, cv=4)
    assert_allclose(validate(n_jobs=2)["test_score"], validate()["test_score"])


@pytest.mark.parametrize("validate", [cross_validate, packed_cross_validate])
def test_failing_fold_gets_the_error_score(validate, digits):
    X, y = digits
    X = X.copy()
    X[150, 0] = np.nan  # in two of the three training sets
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 3"):
        scores = validate(NETWORK, X, y, cv=KFold(3), error_score=-1.0, scoring=_half)
    assert_array_equal(scores["test_score"], [-1.0, -1.0, 0.5])
    with pytest.raises(ValueError, match="NaN"):
        validate(NETWORK, X, y, cv=KFold(3), error_score="raise")
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        validate(NETWORK.set_params(alpha=-1.0), X, y, cv=3)
    NETWORK.set_params(alpha=0.0001)


def _half(estimator, X, y):
    return 0.5


def test_search_can_be_cross_validated(digits):
    search = PackedGridSearchCV(NETWORK, {"alpha": [0, 1]}, cv=2)
    assert_same_scores(*validate_both(search, *digits, cv=2))
