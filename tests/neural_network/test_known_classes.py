"""Subclasses are taken apart only if they override no method."""

import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.neural_network._known_classes import (
    describe_override,
    ends_in_known_network,
    is_known_network,
)

NETWORKS = [MLPClassifier, MLPRegressor, CNNClassifier, SoftmaxRegression]
METHODS = [
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "decision_function",
    "score",
    "get_params",
    "_make_network",
    "__sklearn_tags__",
    "__setattr__",
]


class LoggedPipeline(Pipeline):
    def fit(self, X, y=None, **params):
        return super().fit(X, y, **params)


class NamedPipeline(Pipeline):
    def __init__(self, name, steps, *, memory=None, verbose=False):
        super().__init__(steps, memory=memory, verbose=verbose)
        self.name = name


@pytest.mark.parametrize("Network", NETWORKS)
def test_networks_of_skmlp_are_known(Network):
    assert is_known_network(Network())
    assert ends_in_known_network(Network())
    assert ends_in_known_network(make_pipeline(StandardScaler(), Network()))


@pytest.mark.parametrize("Network", NETWORKS)
def test_subclasses_that_add_parameters_and_methods_are_known(Network):
    class Extended(Network):
        """A subclass with its own parameter, constraint and method."""

        _parameter_constraints = Network._parameter_constraints | {"rate": [int]}

        def __init__(self, rate=1, *, max_iter=200):
            super().__init__(max_iter=max_iter)
            self.rate = rate

        def count(self):
            return self.rate

    assert is_known_network(Extended())
    assert is_known_network(type("Renamed", (Extended,), {})())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("Network", NETWORKS)
def test_subclasses_that_override_a_method_are_unknown(Network, method):
    if not hasattr(Network, method):
        pytest.skip(f"{Network.__name__} has no {method}")

    def override(self, *args, **params):
        return getattr(Network, method)(self, *args, **params)

    Changed = type("Changed", (Network,), {method: override})
    inherits = type("Inherits", (Changed,), {})
    mixed = type("Mixed", (type("Mixin", (), {method: override}), Network), {})
    for cls in (Changed, inherits, mixed):
        model = cls()
        assert not is_known_network(model)
        assert not ends_in_known_network(make_pipeline(StandardScaler(), model))
        text = f"{cls.__name__} overrides {Network.__name__}.{method}"
        assert describe_override(model) == text


def test_pipelines_that_override_a_method_are_unknown():
    steps = [("network", MLPClassifier())]
    assert ends_in_known_network(Pipeline(steps))
    assert ends_in_known_network(type("Renamed", (Pipeline,), {})(steps))
    for changed, method in (
        (LoggedPipeline(steps), "fit"),
        (NamedPipeline("name", steps), "__init__"),
    ):
        assert not ends_in_known_network(changed)
        name = type(changed).__name__
        assert describe_override(changed) == f"{name} overrides Pipeline.{method}"


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        Pipeline([("inner", make_pipeline(MLPClassifier()))]),
        Pipeline([("last", "passthrough")]),
        EnsembleClassifier(),
        BaggingClassifier(MLPClassifier()),
        MLPClassifier,
    ],
    ids=lambda estimator: getattr(estimator, "__name__", type(estimator).__name__),
)
def test_other_estimators_are_unknown_without_an_override(estimator):
    assert not ends_in_known_network(estimator)
    assert describe_override(estimator) is None
