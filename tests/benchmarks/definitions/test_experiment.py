import pytest

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model


def test_selected_models_are_in_the_experiments_order():
    models = tuple(Model(name, Component("x.Y")) for name in "abc")
    experiment = Experiment("e", "s", models, "digits")
    assert [m.name for m in experiment.select(("c", "a"))] == ["a", "c"]
    assert experiment.select(()) == models
    with pytest.raises(ValueError, match=r"Unknown model 'd'.*it has a, b, c\."):
        experiment.select(("a", "d"))
