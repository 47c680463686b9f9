import pytest

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model
from benchmarks.definitions.request import Request


def test_a_component_builds_what_it_names():
    scaler = Component("sklearn.preprocessing.StandardScaler", {"with_std": False})
    assert scaler.build().with_std is False


def test_facts_fill_only_parameters_left_open():
    path = "sklearn.linear_model.SGDClassifier"
    known_params = {"random_state": 7, "image_shape": (8, 8), "max_iter": None}
    left_open = Component(path).build(**known_params)
    given = Component(path, {"random_state": 1}).build(**known_params)
    assert (left_open.random_state, given.random_state) == (7, 1)
    assert left_open.max_iter == 1000


def test_components_in_parameters_are_built_with_their_owner():
    inner = Component("sklearn.svm.SVC", {"C": 2.0})
    steps = (("first", inner), ("second", "passthrough"))
    made = Component("sklearn.pipeline.Pipeline", {"steps": steps}).build()
    assert made.steps[0][1].C == 2.0


@pytest.mark.parametrize(
    ("params", "architecture"),
    [
        ({}, "softmax"),
        ({"hidden_layer_sizes": (500, 500)}, "dense 500-500"),
        (
            {
                "conv_channels": (10, 40),
                "kernel_size": 5,
                "conv_strides": (2, 1),
                "pool": None,
                "hidden_layer_sizes": (50,),
            },
            "conv 10-40 5x5/2-1, dense 50",
        ),
        ({"conv_channels": (32,), "kernel_size": 2}, "conv 32 2x2 max-pool"),
        (
            {"conv_channels": 8, "pool": None, "block": "residual"},
            "conv 8 3x3, residual",
        ),
        (
            {
                "estimator": Component("x.Y", {"hidden_layer_sizes": 9}),
                "n_estimators": 5,
            },
            "5 of dense 9",
        ),
    ],
)
def test_architecture_is_read_from_the_parameters(params, architecture):
    assert Model("any", Component("x.Y", params)).architecture == architecture


def test_selected_models_come_in_the_experiments_order():
    models = tuple(Model(name, Component("x.Y")) for name in "abc")
    experiment = Experiment("e", "s", models, "digits")
    assert [m.name for m in experiment.select(("c", "a"))] == ["a", "c"]
    assert experiment.select(()) == models
    with pytest.raises(ValueError, match=r"Unknown model 'd'.*it has a, b, c\."):
        experiment.select(("a", "d"))


def test_the_command_repeats_the_request():
    experiment = Experiment("e", "s", (), "digits")
    request = Request(experiment, "mnist", 0.1, 3, "cuda", 2, ("a", "b"), quick=True)
    assert request.command == (
        "python -m benchmarks e --dataset mnist --train-size 0.1 --seeds 3 "
        "--device cuda --threads 2 --models a,b --quick"
    )
