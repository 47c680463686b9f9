"""Definitions name nothing but what users can import."""

import pytest

from benchmarks.definitions.model import Component
from benchmarks.experiments import EXPERIMENTS

PUBLIC = {"neural_network", "preprocessing", "augmentation", "model_selection"}


def components(value):
    """Walk a definition down to its last component."""
    if isinstance(value, Component):
        yield value
        value = tuple(value.params.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from components(item)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_components_are_public_and_take_their_parameters(experiment):
    for model in experiment.models:
        # Peers' networks are users' of the benchmarks alone.
        ours = () if experiment.needs else model.estimator
        for component in components((ours, model.preprocessing)):
            package, module, *_ = component.path.split(".")
            assert package == "sklearn" or (package == "skmlp" and module in PUBLIC)
            made = component.build()
            if hasattr(made, "_parameter_constraints"):
                made._validate_params()
            elif hasattr(made, "validate"):
                made.validate()
