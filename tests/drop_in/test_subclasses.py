"""Subclasses with their own methods get the scores of scikit-learn's searches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, scale
from small_estimators import SMALL, set_network_params

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    packed_cross_validate,
)
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    SoftmaxRegression,
)
from skmlp.neural_network._tabular.base import BaseTabular

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Convolutions are fitted to tables of four columns.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

IRIS = scale(load_iris().data), load_iris().target
DIABETES = scale(load_diabetes().data), load_diabetes().target


class Fits:
    """Trains on every sample twice, and y is changed."""

    def fit(self, X, y, **params):
        y = np.roll(y, 1)
        return super().fit(np.concatenate([X, X]), np.concatenate([y, y]), **params)


class Predicts:
    def predict(self, X):
        return np.roll(super().predict(X), 1)


class PredictsProbabilities:
    def predict_proba(self, X):
        return np.roll(super().predict_proba(X), 1, axis=1)


class Decides:
    def decision_function(self, X):
        return -super().decision_function(X)


class Scores:
    def score(self, X, y, sample_weight=None):
        return 10 + super().score(X, y, sample_weight)


class Tags:
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


class Forgets:
    """Has nothing of its own."""


def with_own(Mixin, Network, **more):
    """Return a small instance of a subclass that has the methods of `Mixin`."""
    cls = type(f"{Mixin.__name__}{Network.__name__}", (Mixin, Network), {})
    small = SMALL[Network.__name__]
    if not isinstance(small, BaseTabular):
        small = set_network_params(small, dtype="float64")
    return cls(**small.get_params(deep=False) | more)


CASES = [
    (Mixin, type(model))
    for Mixin in (Forgets, Fits, Predicts, PredictsProbabilities, Decides, Scores, Tags)
    for model in SMALL.values()
    if all(hasattr(model, name) for name in vars(Mixin) if not name.startswith("__"))
]


@pytest.mark.parametrize(("Mixin", "Network"), CASES)
def test_scores_of_subclasses_equal_sklearns(Mixin, Network):
    model = with_own(Mixin, Network)
    X, y = IRIS if is_classifier(model) else DIABETES
    options = {"cv": 2, "return_train_score": True}
    if Mixin in (PredictsProbabilities, Fits) and is_classifier(model):
        options["scoring"] = "neg_log_loss"
    ours, theirs = (
        f(model, X, y, **options) for f in (packed_cross_validate, cross_validate)
    )
    for name in ("test_score", "train_score"):
        assert_allclose(ours[name], theirs[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("Mixin", "method"),
    [
        (Fits, "fit"),
        (Predicts, "predict"),
        (Scores, "score"),
        (Tags, "__sklearn_tags__"),
    ],
)
def test_search_names_the_overridden_method(Mixin, method, capsys):
    model = with_own(Mixin, MLPClassifier)
    search = PackedGridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, verbose=1)
    search.fit(*IRIS)
    printed = capsys.readouterr().out
    name = type(model).__name__
    assert printed.count(f"{name} overrides MLPClassifier.{method}: ") == 1
    assert "one by one by its own methods" in printed
    assert "0 of 4 fits were trained in packs" in printed


def test_cross_validation_names_the_overridden_method(capsys):
    model = with_own(Fits, SoftmaxRegression)
    packed_cross_validate(model, *IRIS, cv=2, verbose=1)
    assert "FitsSoftmaxRegression overrides SoftmaxRegression.fit: " in (
        capsys.readouterr().out
    )


def test_subclasses_with_more_parameters_train_in_packs(capsys):
    class Scaled(MLPClassifier):
        """Has a parameter that `fit` does not read."""

        def __init__(self, note="", *, alpha=0.1, max_iter=3, random_state=0):
            super().__init__(
                4, alpha=alpha, max_iter=max_iter, random_state=random_state
            )
            self.note = note

    grid = {"alpha": [0.1, 1.0], "note": ["a", "b"]}
    ours = PackedGridSearchCV(Scaled(), grid, cv=2, verbose=1).fit(*IRIS)
    assert "8 of 8 fits were trained in packs" in capsys.readouterr().out
    theirs = GridSearchCV(Scaled(), grid, cv=2).fit(*IRIS)
    assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert ours.best_params_ == theirs.best_params_


class LoggedPipeline(Pipeline):
    """Passes only every other sample on."""

    def fit(self, X, y=None, **params):
        return super().fit(X[::2], y[::2], **params)


class ShiftedPipeline(Pipeline):
    def predict(self, X, **params):
        return np.roll(super().predict(X, **params), 1)


class NamedPipeline(Pipeline):
    def __init__(self, name, steps, *, memory=None, verbose=False):
        super().__init__(steps, memory=memory, verbose=verbose)
        self.name = name


@pytest.mark.parametrize(
    "make",
    [
        Pipeline,
        LoggedPipeline,
        ShiftedPipeline,
        lambda steps: NamedPipeline("name", steps),
        type("RenamedPipeline", (Pipeline,), {}),
    ],
    ids=["sklearn", "fit", "predict", "parameter", "renamed"],
)
def test_scores_of_pipeline_subclasses_equal_sklearns(make):
    network = with_own(Forgets, MLPClassifier, max_iter=20)
    model = make([("scale", StandardScaler()), ("network", network)])
    grid = {"network__alpha": [0.1, 1.0], "scale__with_mean": [True, False]}
    ours, theirs = (
        Search(model, grid, cv=2).fit(*IRIS)
        for Search in (PackedGridSearchCV, GridSearchCV)
    )
    for name in ("split0_test_score", "split1_test_score"):
        assert_allclose(ours.cv_results_[name], theirs.cv_results_[name])
    assert ours.best_params_ == theirs.best_params_


def test_pipeline_ending_in_a_subclass_calls_its_fit():
    model = Pipeline(
        [("scale", StandardScaler()), ("network", with_own(Fits, SoftmaxRegression))]
    )
    ours, theirs = (
        f(model, *IRIS, cv=2) for f in (packed_cross_validate, cross_validate)
    )
    assert_array_equal(ours["test_score"], theirs["test_score"])


@pytest.mark.parametrize("Network", [MLPClassifier, CNNClassifier, SoftmaxRegression])
@pytest.mark.parametrize("n_jobs", [None, 1])
def test_ensembles_call_the_fit_of_subclasses(Network, n_jobs):
    X, y = IRIS
    model = EnsembleClassifier(
        with_own(Fits, Network), 2, random_state=0, n_jobs=n_jobs
    )
    for member in model.fit(X, y).estimators_:
        assert member.t_ == 300 * member.max_iter
        alone = clone(member).fit(X, y)
        assert_allclose(alone.predict_proba(X), member.predict_proba(X), rtol=1e-6)


def test_halving_that_continues_refuses_subclasses():
    search = PackedHalvingGridSearchCV(
        with_own(Fits, MLPClassifier),
        {"alpha": [0.1, 0.2]},
        resource="max_iter",
        max_resources=8,
        warm_start=True,
    )
    with pytest.raises(
        TypeError, match=r"FitsMLPClassifier overrides MLPClassifier.fit"
    ):
        search.fit(*IRIS)


def test_search_continues_after_refitting_a_subclass_whole(tmp_path):
    """A refit of several trainings cannot continue from one file."""

    class Twice(MLPClassifier):
        def fit(self, X, y, **params):
            super().fit(X[::2], y[::2], **params)
            return super().fit(X, y, **params)

    model = Twice(4, max_iter=3, random_state=0)
    for _ in range(2):
        search = PackedGridSearchCV(
            model, {"alpha": [0.1, 1.0]}, cv=2, checkpoint=tmp_path / "search"
        ).fit(*IRIS)
        assert search.best_estimator_.t_ == 450
    assert not (tmp_path / "search" / "refit").exists()


class Wrapper(ClassifierMixin, BaseEstimator):
    """A foreign classifier that counts the calls of `set_params`."""

    calls = 0

    def __init__(self, alpha=0.1):
        self.alpha = alpha

    def set_params(self, **params):
        Wrapper.calls += 1
        return super().set_params(**params)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_parameters_of_foreign_estimators_are_set_once():
    Wrapper.calls = 0
    PackedGridSearchCV(Wrapper(), {"alpha": [1, 2]}, cv=3, refit=False).fit(*IRIS)
    assert Wrapper.calls == 6


def test_subclass_with_few_parameters_writes_checkpoints(tmp_path):
    class Short(MLPClassifier):
        def __init__(self, max_iter=3, checkpoint=None, random_state=0):
            super().__init__(
                4, max_iter=max_iter, checkpoint=checkpoint, random_state=random_state
            )

    first = Short(checkpoint=tmp_path / "fit").fit(*IRIS)
    second = Short(checkpoint=tmp_path / "fit").fit(*IRIS)
    assert_array_equal(first.coefs_[0], second.coefs_[0])
