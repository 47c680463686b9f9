"""Steps that a GPU repeats: recorded and launched as a whole, to the same bits."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import CNNClassifier, MLPClassifier
from skmlp.training import replay
from skmlp.training.modules import Dropout
from skmlp.training.replay import CALLS_BEFORE, Recordings

pytestmark = pytest.mark.cuda

RNG = np.random.RandomState(0)
X = RNG.randint(0, 256, (230, 64)).astype(np.uint8)
Y = RNG.randint(0, 3, 230)


@pytest.fixture
def replays(monkeypatch):
    """Numbers of the rows of every batch that was replayed."""
    noted = []
    call = torch.cuda.CUDAGraph.replay

    def replayed(graph):
        noted.append(graph)
        call(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replayed)
    return noted


def never(monkeypatch):
    """Let no step be recorded."""
    monkeypatch.setattr(replay, "CALLS_BEFORE", np.inf)


def curve_and_weights(model):
    return model.loss_curve_, [w.tobytes() for w in (*model.coefs_, *model.intercepts_)]


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
    ],
    ids=["mlp", "float64", "every chance", "stops", "torch's", "cnn", "norm", "amp"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_replayed_steps_have_the_bits_of_others(model, replays, monkeypatch):
    model.set_params(batch_size=20, max_iter=4, random_state=0, device="cuda")
    replayed = curve_and_weights(model.fit(X, Y))
    assert len(replays) > 4 * 9  # all but the first ones, and at most the last
    with monkeypatch.context() as patch:
        never(patch)
        assert curve_and_weights(model.fit(X, Y)) == replayed


@pytest.mark.parametrize(
    "params",
    [{}, {"dropout": 0.5, "batch_norm": True}, {"dtype": "float64", "solver": "sgd"}],
    ids=["plain", "every chance", "float64"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_packs_are_replayed(params, replays, monkeypatch):
    model = MLPClassifier(
        10, batch_size=20, max_iter=4, random_state=0, device="cuda", **params
    )
    grid = {"alpha": [0.0, 0.1], "learning_rate_init": [0.001, 0.01]}
    search = PackedGridSearchCV(model, grid, cv=3, refit=False)

    def scores():
        return search.fit(X, Y).cv_results_["mean_test_score"].tolist()

    replayed = scores()
    assert len(replays) > 4 * 5
    with monkeypatch.context() as patch:
        never(patch)
        assert scores() == replayed


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_callbacks_may_change_what_a_step_does(replays):
    model = MLPClassifier(10, batch_size=20, max_iter=4, device="cuda")
    model.set_params(callbacks=[Callback()]).fit(X, Y)
    assert not replays


def test_a_value_is_that_of_its_inputs():
    factor = torch.full((3,), 2.0, device="cuda")
    recordings, calls = Recordings([]), []

    def scaled(x):
        calls.append(x)
        return (x * factor,)

    for i in range(CALLS_BEFORE + 4):
        x = torch.full((3,), float(i), device="cuda")
        (found,) = recordings.call(scaled, x)
        assert found.tolist() == [2.0 * i] * 3
    assert len(calls) == CALLS_BEFORE + 1
    factor.fill_(3.0)  # read where it is, not as it was
    assert recordings.call(scaled, x)[0].tolist() == (3.0 * x).tolist()
    assert recordings.call(scaled, x.repeat(2, 1))[0].shape == (2, 3)
    recordings.call(scaled, x, key="another")
    assert len(calls) == CALLS_BEFORE + 3


def test_global_generators_are_left_alone():
    network = nn.Sequential(Dropout(0.5))
    network[0].generator = torch.Generator("cuda").manual_seed(0)
    recordings = Recordings([network])
    before = torch.cuda.get_rng_state()
    x = torch.ones(1000, device="cuda")
    drawn = [
        recordings.call(lambda x: (network(x),), x)[0].clone()
        for _ in range(CALLS_BEFORE + 3)
    ]
    network[0].generator.manual_seed(0)
    assert all(torch.equal(network(x), mask) for mask in drawn)
    assert torch.equal(torch.cuda.get_rng_state(), before)
