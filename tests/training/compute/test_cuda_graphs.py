"""CUDA graphs of steps give the same bits as plain steps."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
)
from skmlp.training.compute import cuda_graphs
from skmlp.training.compute.cuda_graphs import (
    _MAX_COUNTED_KINDS,
    CALLS_BEFORE_RECORDING,
    GraphRecorder,
    _RecordedGraph,
    divide_into_segments,
)
from skmlp.training.modules.layers import Dropout, dropout_generators

RNG = np.random.RandomState(0)
X = RNG.randint(0, 256, (230, 64)).astype(np.uint8)
Y = RNG.randint(0, 3, 230)


@pytest.fixture
def replays(monkeypatch):
    """List the replayed graphs."""
    replayed_graphs = []
    call = torch.cuda.CUDAGraph.replay

    def replayed(graph):
        replayed_graphs.append(graph)
        call(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replayed)
    return replayed_graphs


AUGMENTATION = Compose(
    [
        RandomAffine(10, translate=0.1, fill=3.0),
        RandomCrop(1, fill=2.0),
        RandomHorizontalFlip(),
        GaussianNoise(0.1),
    ]
)


def never(monkeypatch):
    """Prevent recordings."""
    monkeypatch.setattr(cuda_graphs, "CALLS_BEFORE_RECORDING", np.inf)


def curve_and_weights(model):
    return model.loss_curve_, [w.tobytes() for w in (*model.coefs_, *model.intercepts_)]


@pytest.mark.cuda
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((20, 10)),
        MLPClassifier((20,), dtype="float64", solver="sgd", alpha=0.1),
        MLPClassifier((20, 10), dropout=0.5, batch_norm=True, label_smoothing=0.1),
        MLPClassifier((20,), early_stopping=True, max_grad_norm=0.1, solver="adamw"),
        MLPClassifier((20,), solver="rmsprop", weight_averaging=0.9),
        CNNClassifier((4, 4), image_shape=(8, 8), dropout=0.5),
        CNNClassifier((4,), image_shape=(8, 8), batch_norm=True, alpha=0.1),
        CNNClassifier((4,), image_shape=(8, 8), amp=True),
        CNNClassifier((4,), image_shape=(8, 8), dropout=0.5, augmentation=AUGMENTATION),
        MLPAutoencoder(9, noise=0.1),
        MLPAutoencoder(9, noise=RandomErasing()),
    ],
    ids=[
        "mlp",
        "float64",
        "every chance",
        "stops",
        "torch's",
        "cnn",
        "norm",
        "amp",
        "augmentation",
        "noise",
        "erasing",
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_graph_replays_have_the_bits_of_plain_steps(model, replays, monkeypatch):
    model.set_params(batch_size=20, max_iter=8, random_state=0, device="cuda")
    images = X.reshape(-1, 8, 8)
    replayed = curve_and_weights(model.fit(images, Y))
    if model.solver == "rmsprop" or model.dtype == "float64":
        # All steps except the first ones and the shorter one at the end of every epoch.
        assert len(replays) == 8 * 11 - CALLS_BEFORE_RECORDING
    else:  # all epochs except the first one
        assert len(replays) == 8 - 1
    with monkeypatch.context() as patch:
        never(patch)
        assert curve_and_weights(model.fit(images, Y)) == replayed


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_augmentations_of_users_get_single_batches(replays):
    sizes = []

    class Watched(RandomHorizontalFlip):
        def _augment(self, images, generator):
            sizes.append(len(images))
            return super()._augment(images, generator)

    model = CNNClassifier((4,), image_shape=(8, 8), batch_size=20, max_iter=4)
    model.set_params(device="cuda", augmentation=Compose([Watched()])).fit(X, Y)
    assert sizes == 4 * ([20] * 11 + [10])
    assert len(replays) > 4  # graphs of one step


@pytest.mark.cuda
@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_parts_of_an_epoch_have_the_bits_of_plain_steps(
    solver, learning_rate, replays, monkeypatch
):
    # With few epochs, a graph has 5 of the 12 steps of an epoch. Another graph has the
    # last full batch and the shorter one.
    model = MLPClassifier(
        20, solver=solver, learning_rate=learning_rate, batch_size=20, max_iter=4
    )
    model.set_params(random_state=0, device="cuda")
    replayed = curve_and_weights(model.fit(X, Y))
    assert len(replays) == (2 * 4 - 1) + (4 - 2)
    with monkeypatch.context() as patch:
        never(patch)
        assert curve_and_weights(model.fit(X, Y)) == replayed


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_batch_normalization_by_torchs_kernel_equals_the_formulas():
    model = MLPClassifier(9, batch_norm=True, batch_size=20, max_iter=3)
    model.set_params(random_state=0, dtype="float64", solver="sgd")
    on_gpu = clone(model).set_params(device="cuda").fit(X / 255, Y)
    on_cpu = clone(model).set_params(device="cpu").fit(X / 255, Y)
    buffers = zip(
        on_gpu.net_.module_.buffers(), on_cpu.net_.module_.buffers(), strict=True
    )
    for one, other in buffers:
        torch.testing.assert_close(one, other)
    for one, other in zip(on_gpu.coefs_, on_cpu.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.cuda
@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_sample_weights_of_one_give_the_bits_of_no_weights(model):
    model = model(hidden_layer_sizes=5, batch_size=20, max_iter=4, random_state=0)
    model.set_params(device="cuda")
    plain = curve_and_weights(model.fit(X, Y))[1]
    assert curve_and_weights(model.fit(X, Y, np.ones(len(X))))[1] == plain


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_batches_of_weight_zero_change_nothing():
    # One batch of the epoch has weights.
    model = MLPClassifier(5, batch_size=20, max_iter=1, shuffle=False, random_state=0)
    weight = np.zeros(len(X))
    weight[20:40] = 1.0
    model.set_params(device="cuda").fit(X, Y, weight)
    coefs = [w.copy() for w in model.coefs_]
    assert model.t_ == len(X)
    model.fit(X[20:40], Y[20:40])
    for w, expected in zip(model.coefs_, coefs, strict=True):
        np.testing.assert_array_equal(w, expected)


@pytest.mark.cuda
@pytest.mark.parametrize(
    "params",
    [{}, {"dropout": 0.5, "batch_norm": True}, {"dtype": "float64", "solver": "sgd"}],
    ids=["plain", "every chance", "float64"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_packs_replay_graphs(params, replays, monkeypatch):
    model = MLPClassifier(
        10, batch_size=20, max_iter=8, random_state=0, device="cuda", **params
    )
    grid = {"alpha": [0.0, 0.1], "learning_rate_init": [0.001, 0.01]}
    search = PackedGridSearchCV(model, grid, cv=3, refit=False)

    def scores():
        return search.fit(X, Y).cv_results_["mean_test_score"].tolist()

    replayed = scores()
    assert len(replays) == 8 - 1  # all epochs except the first one
    with monkeypatch.context() as patch:
        never(patch)
        assert scores() == replayed


class WatchesBatches(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


class HalvesDropout(Callback):
    def on_epoch_end(self, net, **kwargs):
        for module in net.module_.modules():
            if isinstance(module, Dropout):
                module.p /= 2


class FreezesFirstLayer(Callback):
    def on_epoch_end(self, net, **kwargs):
        next(net.module_.parameters()).requires_grad_(len(net.history) != 4)


class AddsHook(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 4:
            net.module_[0].register_forward_hook(lambda *args: None)


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("callback", "n_replays"),
    # All epochs but the first one; no epoch; all whose frozen weights are trained; all
    # before the hook; and those between.
    [
        (Callback, 7),
        (WatchesBatches, 0),
        (HalvesDropout, 0),
        (FreezesFirstLayer, 6),
        (AddsHook, 3),
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_callbacks_change_is_not_replayed(
    callback, n_replays, replays, monkeypatch
):
    model = MLPClassifier(10, dropout=0.5, batch_size=20, max_iter=8, random_state=0)
    model.set_params(device="cuda", callbacks=[callback()])
    replayed = curve_and_weights(model.fit(X, Y))
    assert len(replays) == n_replays
    with monkeypatch.context() as patch:
        never(patch)
        assert curve_and_weights(model.fit(X, Y)) == replayed


@pytest.mark.cuda
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier((20, 10)),
        MLPClassifier((20,), dropout=0.5, alpha=0.1, solver="sgd"),
        CNNClassifier((4,), image_shape=(8, 8), batch_norm=True, alpha=0.1),
    ],
    ids=["mlp", "dropout", "cnn"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_weighted_steps_are_replayed_with_their_bits(model, replays, monkeypatch):
    model.set_params(batch_size=20, max_iter=8, random_state=0, device="cuda")
    weight = np.random.RandomState(1).uniform(0.5, 2.0, len(X))
    replayed = curve_and_weights(model.fit(X, Y, weight))
    assert len(replays) == 8 - 1
    with monkeypatch.context() as patch:
        never(patch)
        assert curve_and_weights(model.fit(X, Y, weight)) == replayed


@pytest.mark.cuda
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_layers_in_blocks_train_as_on_the_cpu(activation, solver, weighted, replays):
    model = MLPClassifier((9, 5), activation=activation, solver=solver, alpha=0.1)
    model.set_params(batch_size=20, max_iter=5, random_state=0, max_grad_norm=1.0)
    weight = np.random.RandomState(1).uniform(0.5, 2.0, len(X)) if weighted else None
    x = (X / 255).astype(np.float32)
    on_gpu = clone(model).set_params(device="cuda").fit(x, Y, weight)
    assert replays
    on_cpu = clone(model).set_params(device="cpu").fit(x, Y, weight)
    np.testing.assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)
    for one, other in zip(
        (*on_gpu.coefs_, *on_gpu.intercepts_),
        (*on_cpu.coefs_, *on_cpu.intercepts_),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_frozen_parameters_in_blocks_do_not_change(name):
    class Freezes(Callback):
        def on_epoch_begin(self, net, **kwargs):
            parameter = net.module_[0].get_parameter(name)
            parameter.requires_grad_(len(net.history) <= 2)
            seen.append(parameter.detach().cpu().clone())

    curves = []
    for device in ("cpu", "cuda"):
        seen = []
        model = MLPClassifier(9, batch_size=20, max_iter=5, random_state=0)
        model.set_params(device=device, max_grad_norm=0.1, callbacks=[Freezes()])
        curves.append(model.fit((X / 255).astype(np.float32), Y).loss_curve_)
        assert not torch.equal(seen[0], seen[1])
        assert torch.equal(seen[3], seen[4])
    np.testing.assert_allclose(*curves, rtol=1e-5)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_partial_fits_in_blocks_continue_where_the_last_one_ended(replays):
    X_3, Y_3 = np.tile(X, (3, 1)), np.tile(Y, 3)
    model = MLPClassifier(9, batch_size=20, max_iter=2, random_state=0, shuffle=False)
    model.set_params(device="cuda").fit(X_3, Y_3)
    n_replays = len(replays)
    twin = clone(model)
    for _ in range(2):
        twin.partial_fit(X_3, Y_3, classes=[0, 1, 2])
    assert len(replays) > n_replays > 0
    assert curve_and_weights(twin)[1] == curve_and_weights(model)[1]


@pytest.mark.cuda
def test_replayed_outputs_follow_the_inputs():
    factor = torch.full((3,), 2.0, device="cuda")
    recorder, calls = GraphRecorder(list), []

    def scaled(x):
        calls.append(x)
        return (x * factor,)

    for i in range(CALLS_BEFORE_RECORDING + 4):
        x = torch.full((3,), float(i), device="cuda")
        (found,) = recorder.call(scaled, x)
        assert found.tolist() == [2.0 * i] * 3
    assert len(calls) == CALLS_BEFORE_RECORDING + 1
    factor.fill_(3.0)  # a replay reads its current value
    assert recorder.call(scaled, x)[0].tolist() == (3.0 * x).tolist()


@pytest.mark.cuda
def test_recordings_do_not_change_global_generators():
    network = nn.Sequential(Dropout(0.5))
    network[0].generator = torch.Generator("cuda").manual_seed(0)
    recorder = GraphRecorder(partial(dropout_generators, [network]))
    before = torch.cuda.get_rng_state()
    x = torch.ones(1000, device="cuda")
    drawn = [
        recorder.call(lambda x: (network(x),), x)[0].clone()
        for _ in range(CALLS_BEFORE_RECORDING + 3)
    ]
    network[0].generator.manual_seed(0)
    assert all(torch.equal(network(x), mask) for mask in drawn)
    assert torch.equal(torch.cuda.get_rng_state(), before)


class Graph:
    """A stand-in for a graph on a CPU: it calls the function on the same tensors."""

    def __init__(self, function, inputs, outputs):
        self.function, self.inputs, self.outputs = function, inputs, outputs

    def replay(self):
        torch._foreach_copy_(list(self.outputs), list(self.function(*self.inputs)))


@pytest.fixture
def recorder(monkeypatch):
    """Return a recorder with stand-ins for graphs."""
    made = GraphRecorder(list)
    made.replayed_graphs = []

    def record(function, inputs):
        own = [tensor.clone() for tensor in inputs]
        outputs = function(*own)
        made.replayed_graphs.append(tuple(own[0].shape))
        return _RecordedGraph(Graph(function, own, outputs), own, outputs)

    monkeypatch.setattr(made, "_record", record)
    return made


def doubled(x):
    return (2 * x,)


def test_only_the_first_frequent_kind_of_call_is_recorded(recorder):
    for i in range(20):
        for size in (4, 4, 3):
            x = torch.full((size,), float(i))
            assert recorder.call(doubled, x)[0].tolist() == [2.0 * i] * size
    assert recorder.replayed_graphs == [(4,)]


def test_keys_distinguish_kinds_of_calls(recorder):
    for i in range(20):
        for factor in (2.0, 3.0):
            x = torch.full((2,), float(i))
            (found,) = recorder.call(lambda x, by=factor: (by * x,), x, key=factor)
            assert found.tolist() == [factor * i] * 2
    assert len(recorder.replayed_graphs) == 1


def test_calls_of_too_many_kinds_are_not_counted(recorder):
    for i in range(10 * _MAX_COUNTED_KINDS):
        recorder.call(doubled, torch.zeros(1), key=i)
    assert len(recorder._n_steps) == _MAX_COUNTED_KINDS
    assert not recorder.replayed_graphs


@pytest.mark.cuda
def test_failed_recording_warns_once_and_training_continues():
    recorder = GraphRecorder(list)

    def waiting(x):
        return (x * float(x.sum()),)  # a graph cannot wait for the sum

    def call(i):
        x = torch.full((3,), float(i), device="cuda")
        assert recorder.call(waiting, x)[0].tolist() == [3.0 * i * i] * 3

    for i in range(CALLS_BEFORE_RECORDING):
        call(i)
    with pytest.warns(RuntimeWarning, match="could not be recorded"):
        call(1)
    for i in range(CALLS_BEFORE_RECORDING + 1):
        call(i)  # without a warning, which would be an error


@pytest.mark.parametrize(
    ("n_equal", "n_steps", "max_steps"),
    [
        (10, 10, 64),
        (1001, 1001, 2),
        (10_000, 10_001, 64),
        (100_000, 100_000, 64),
        (1, 1000, 64),
        (7, 9, 1),
    ],
)
def test_no_segment_is_longer_than_the_maximum(n_equal, n_steps, max_steps):
    segments = divide_into_segments(n_equal, n_steps, max_steps)
    assert sum(n_segments * size for n_segments, size in segments) == n_steps
    assert all(1 <= size <= max_steps for _, size in segments)
    (n_first, first_size), *others = segments
    assert len(segments) == 1 or n_first * first_size <= n_equal
    assert all(n_segments == 1 for n_segments, _ in others)
