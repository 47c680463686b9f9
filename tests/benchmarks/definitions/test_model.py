import pytest

from benchmarks.definitions.model import Component, Model


def test_component_builds_the_object_it_names():
    scaler = Component("sklearn.preprocessing.StandardScaler", {"with_std": False})
    assert scaler.build().with_std is False


def test_known_params_fill_only_missing_parameters():
    path = "sklearn.linear_model.SGDClassifier"
    known_params = {"random_state": 7, "image_shape": (8, 8), "max_iter": None}
    left_open = Component(path).build(**known_params)
    given = Component(path, {"random_state": 1}).build(**known_params)
    assert (left_open.random_state, given.random_state) == (7, 1)
    assert left_open.max_iter == 1000


def test_nested_components_are_built():
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
            {"conv_channels": (8, 16), "kernel_size": 5, "conv_dims": 1},
            "1-D conv 8-16 5 max-pool",
        ),
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
