"""The definitions follow the protocols of their sources."""

import pytest

from benchmarks.experiments import EXPERIMENTS


def models(name):
    return {model.name: model for model in EXPERIMENTS[name].models}


def params(name):
    return {key: dict(model.estimator.params) for key, model in models(name).items()}


FASHION = ("normalization", "hidden-units", "capacity", "optimizers", "activations")


@pytest.mark.parametrize("name", [*FASHION, "continual", "fashion-mlp", "fashion-cnn"])
def test_fashion_mnist_experiments_use_fashion_mnist(name):
    assert EXPERIMENTS[name].dataset == "fashion-mnist"


@pytest.mark.parametrize(
    "name", [*FASHION, "continual", "fashion-mlp", "cifar10-mlp", "image-folder"]
)
def test_epochs_are_fixed_and_validation_decides_nothing(name):
    for model in EXPERIMENTS[name].models:
        given = model.estimator.params
        assert given["n_iter_no_change"] >= given["max_iter"]
        assert not given.get("early_stopping", False)
        assert model.validation is None or not given["restore_best_weights"]


def test_normalization_has_five_cases_and_an_mlp():
    given = params("normalization")
    assert {p["batch_size"] for p in given.values()} == {1024}
    rates = {key: p["learning_rate_init"] for key, p in given.items()}
    assert rates == {
        "raw-0.01": 0.01,
        "raw-0.00001": 0.00001,
        "unit": 0.01,
        "signed": 0.01,
        "z-score": 0.01,
        "mlp-256": 0.01,
    }
    assert given["mlp-256"]["hidden_layer_sizes"] == (256,)
    for model in models("normalization").values():
        assert model.monitor == ("train", "test")
        softmax = model.estimator.path.endswith("SoftmaxRegression")
        assert softmax == (model.name != "mlp-256")


def test_normalization_scales_as_its_model_names_say():
    import numpy as np

    pixels = np.array([[0, 255], [51, 204]], dtype=np.uint8)
    scaled = {}
    for name, model in models("normalization").items():
        values = pixels
        for step in model.preprocessing:
            values = step.build(pixel_max=255.0).fit(pixels).transform(values)
        scaled[name] = np.asarray(values, dtype=float)
    np.testing.assert_array_equal(scaled["raw-0.01"], pixels)
    np.testing.assert_allclose(scaled["unit"], pixels / 255, rtol=1e-6)
    np.testing.assert_allclose(scaled["signed"], pixels / 127.5 - 1, atol=1e-6)
    z_scores = (pixels - pixels.mean()) / pixels.std()
    np.testing.assert_allclose(scaled["z-score"], z_scores, rtol=1e-5)


def test_capacity_validates_on_the_samples_keras_takes():
    of, given = models("capacity"), params("capacity")
    assert (of["underfit"].validation.fraction, of["overfit"].validation.fraction) == (
        0.2,
        0.9,
    )
    assert all(model.validation.random_state is None for model in of.values())
    assert {(p["solver"], p["max_iter"]) for p in given.values()} == {("adam", 20)}
    assert "hidden_layer_sizes" not in given["underfit"]
    assert given["overfit"]["hidden_layer_sizes"] == (64, 64)


def test_seven_optimizers_share_everything_else():
    given = params("optimizers")
    seven = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"]
    assert list(given)[:7] == seven
    shared = ("hidden_layer_sizes", "batch_size", "max_iter", "init", "alpha")
    assert len({tuple(given[name][k] for k in shared) for name in seven}) == 1
    momenta = [
        (given[name]["momentum"], given[name].get("nesterovs_momentum"))
        for name in seven[:3]
    ]
    assert momenta == [(0.0, None), (0.9, False), (0.9, True)]


def test_gradient_descent_has_three_batch_sizes():
    of, given = models("optimizers"), params("optimizers")
    three = ("batch", "mini-batch", "stochastic")
    assert [given[name]["batch_size"] for name in three] == [1_000, 32, 1]
    assert {of[name].train_size for name in three} == {1_000}
    assert {given[name]["momentum"] for name in three} == {0.0}


def test_six_activations_share_the_initializer():
    given = list(params("activations").values())
    six = ["tanh", "logistic", "relu", "prelu", "elu", "softplus"]
    assert [p["activation"] for p in given[:6]] == six
    assert {p["init"] for p in given[:6]} == {"glorot_uniform"}
    laws = [p["init"] for p in given[6:]]
    assert len(set(laws)) == len(laws) >= 6
    assert {p["activation"] for p in given[6:]} == {"relu"}
    shared = ("solver", "hidden_layer_sizes", "batch_size", "max_iter")
    assert len({tuple(p[k] for k in shared) for p in given}) == 1


def test_static_and_continual_differ_only_in_training():
    pairs = list(models("continual").values())
    for static, continual in (pairs[:2], pairs[2:]):
        assert static.estimator == continual.estimator
        assert (static.weeks.continual, continual.weeks.continual) == (False, True)
        assert static.weeks.season == continual.weeks.season
        assert static.weeks.n_weeks == continual.weeks.n_weeks


def test_fashion_cnn_is_the_source_network():
    given = params("fashion-cnn")["cnn-32-64"]
    wanted = {
        "conv_channels": (32, 64),
        "kernel_size": 2,
        "padding": "same",
        "pool": "max",
        "pool_size": 2,
        "hidden_layer_sizes": (128,),
        "solver": "adam",
        "batch_size": 200,
        "max_iter": 10,
    }
    assert {key: given[key] for key in wanted} == wanted
    assert EXPERIMENTS["fashion-cnn"].example == 5
    assert EXPERIMENTS["fashion-cnn"].saves_models


def test_fashion_mlp_has_the_reported_epochs():
    model = models("fashion-mlp")["adam-5"]
    assert {len(curve) for curve in model.reported_curves.values()} == {5}
    assert model.monitor == ("running",)
    assert model.validation.fraction == 0.1


def test_cifar10_mlp_is_the_source_network():
    given = params("cifar10-mlp")["mlp-512"]
    wanted = {"hidden_layer_sizes": (512,), "solver": "adam", "max_iter": 20}
    assert {key: given[key] for key in wanted} == wanted
    assert any("cnn" in name for name in models("cifar10-mlp"))
