"""The definition follows its protocol; parameters are counted independently."""

import math
from statistics import fmean

import pytest

from benchmarks.experiments.mnist.compare import COMPARE, PROTOCOL
from benchmarks.experiments.mnist.protocol_choices import (
    IMAGE_MOVES,
    INITIAL_WEIGHTS,
    KEPT_WEIGHTS,
)
from benchmarks.result_store.result_files import COMMITTED_FOLDER, latest_runs, read

MODELS = {model.name: model for model in COMPARE.models}
PUBLISHED = [model for model in COMPARE.models if model.reported]


def count(params, side=28, classes=10):
    """Count weights and biases: (C K K + 1) F per convolution, (n + 1) m per layer."""
    total, channels = 0, 1
    strides = params.get("conv_strides", ())
    for filters, stride in zip(params.get("conv_channels", ()), strides, strict=True):
        total += (channels * params["kernel_size"] ** 2 + 1) * filters
        channels, side = filters, math.ceil(side / stride)
    width = channels * side * side
    for units in (*params.get("hidden_layer_sizes", ()), classes):
        total += (width + 1) * units
        width = units
    return total


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        ("lr", 7_850),
        ("mlp-50", 39_760),
        ("mlp-200", 159_010),
        ("mlp-1000", 795_010),
        ("mlp-500-500", 648_010),
        ("cnn-1", 98_820),
        ("cnn-3", 286_940),
        ("cnn-3-dropout", 286_940),
        ("cnn-3-l2", 286_940),
        ("cnn-3-moved", 286_940),
        ("cnn-3-moved-noisy", 286_940),
    ],
)
def test_each_model_has_the_published_number_of_parameters(name, n_parameters):
    assert count(MODELS[name].estimator.params) == n_parameters


def test_all_models_share_training_and_samples():
    shared = ("solver", "momentum", "nesterovs_momentum", "batch_size", "max_iter")
    for model in PUBLISHED:
        params = model.estimator.params
        assert [params[k] for k in shared] == ["sgd", 0.9, True, 50, 100]
        assert model.validation == COMPARE.models[0].validation


@pytest.mark.parametrize(
    ("experiment", "parameter", "of"),
    [
        (INITIAL_WEIGHTS, "init", PROTOCOL),
        (KEPT_WEIGHTS, "weight_averaging", PROTOCOL),
        (IMAGE_MOVES, "augmentation", PROTOCOL[-2:-1]),
    ],
    ids=["initial-weights", "kept-weights", "moves"],
)
def test_open_choices_are_the_best_ones_of_stored_runs(experiment, parameter, of):
    runs = latest_runs(read([COMMITTED_FOLDER / f"{experiment.name}-mnist-0.1.jsonl"]))
    assert len(runs) == experiment.seeds * len(experiment.models)
    accuracies = {}
    for run in runs:
        choice = tuple(
            run["parameters"][name] for name in (parameter, "restore_best_weights")
        )
        accuracies.setdefault(choice, []).append(run["test_accuracy"])
    best, _ = max(accuracies, key=lambda choice: fmean(accuracies[choice]))
    for model in of:
        ours = model.estimator.params[parameter]
        assert best == (repr(ours.build()) if parameter == "augmentation" else ours)


def test_published_models_stop_early_except_the_noisy_one():
    for model in PUBLISHED:
        params = model.estimator.params
        stopping = [params[k] for k in ("early_stopping", "tol", "n_iter_no_change")]
        if "noisy" in model.name:
            assert stopping == [False, 1e-4, params["max_iter"]]
        else:
            assert stopping == [True, 1e-4, 5]


def test_models_named_last_add_nothing():
    names = [name for name in MODELS if name.endswith("-last")]
    assert names
    for name in names:
        last = dict(MODELS[name].estimator.params)
        ours = dict(MODELS[name.removesuffix("-last")].estimator.params)
        assert last.pop("weight_averaging") is None
        assert ours.pop("weight_averaging") == 0.998
        if "augmentation" in last:
            assert last.pop("predict_augmentation") is None
            assert ours.pop("predict_augmentation") is not None
        assert last == ours


def test_own_model_trains_on_no_more_samples():
    best = MODELS["best"]
    assert best.validation is None
    assert best.reported == ()
    params = best.estimator.params
    assert "train_size" not in params
    assert params["n_iter_no_change"] >= params["max_iter"]


def test_only_networks_without_convolutions_subtract_the_mean():
    for model in COMPARE.models:
        steps = [step.path.rpartition(".")[2] for step in model.preprocessing]
        centred = ["PixelStandardizer"] * (
            "conv_channels" not in model.estimator.params
        )
        assert steps == ["PixelScaler", *centred]


def test_alpha_is_keras_l2_on_the_last_convolution_and_the_dense_layer():
    params = MODELS["cnn-3-l2"].estimator.params
    # scikit-learn adds alpha / 2 / batch size for each squared weight.
    added = [alpha / 2 / params["batch_size"] for alpha in params["alpha"]]
    assert added == pytest.approx([0, 0, 1e-4, 1e-4, 0])
