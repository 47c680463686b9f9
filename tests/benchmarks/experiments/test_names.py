"""Definitions only name objects that users can import."""

import pytest

from benchmarks.definitions.model import Component
from benchmarks.experiments import EXPERIMENTS

PUBLIC = {"neural_network", "preprocessing", "augmentation", "model_selection"}


def components(value):
    """Yield all components of a definition, including nested ones."""
    if isinstance(value, Component):
        yield value
        value = tuple(value.params.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from components(item)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_components_are_public_and_take_their_parameters(experiment):
    for model in experiment.models:
        # The networks of peers belong to the benchmarks.
        ours = () if experiment.needs else model.estimator
        for component in components((ours, model.preprocessing)):
            package, module, *_ = component.path.split(".")
            assert package == "sklearn" or (package == "skmlp" and module in PUBLIC)
            made = component.build()
            if hasattr(made, "_parameter_constraints"):
                made._validate_params()
            elif hasattr(made, "validate"):
                made.validate()
