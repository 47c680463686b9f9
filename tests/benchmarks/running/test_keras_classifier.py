"""Keras's networks get the protocol's parameters, and Keras trains if installed."""

import numpy as np
import pytest

import benchmarks.definitions.experiment as definition_module
from benchmarks.command_line import main
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.keras_networks import (
    COMPARE_IN_KERAS,
    KERAS_EXPERIMENTS,
    KERAS_PARAMETERS,
)
from benchmarks.experiments.mnist.compare import COMPARE
from benchmarks.running.keras_classifier import (
    KerasClassifier,
    _import_keras,
    _make_shuffled_batches,
)

HERE = {model.name: model for model in COMPARE_IN_KERAS.models}
OURS = {model.name: model for model in COMPARE.models}


@pytest.mark.parametrize("name", HERE)
def test_keras_networks_have_the_parameters_of_the_protocol(name):
    theirs, ours = HERE[name], OURS[f"{name}-last"]
    assert (theirs.preprocessing, theirs.validation, theirs.reported) == (
        ours.preprocessing,
        ours.validation,
        ours.reported,
    )
    told, known = theirs.estimator.params, ours.estimator.params
    assert told == {k: v for k, v in known.items() if k in KERAS_PARAMETERS}
    untold = {k for k in known if k not in told}
    assert untold <= {
        "scoring",  # accuracy
        "restore_best_weights",  # not
        "weight_averaging",  # none
        "padding",  # 'same'
    }


@pytest.mark.parametrize("experiment", KERAS_EXPERIMENTS, ids=lambda e: e.name)
def test_missing_keras_is_reported_with_the_extra_to_install(
    experiment, monkeypatch, capsys
):
    monkeypatch.setattr(definition_module, "find_spec", lambda name: None)
    assert main.main([experiment.name]) == main.USAGE
    told = f"{experiment.name} needs keras and tensorflow; pip install skmlp[peers]"
    assert capsys.readouterr().err.strip() == told


def test_other_experiments_need_no_peer_packages():
    assert {e.name for e in EXPERIMENTS.values() if e.needs} == {
        e.name for e in KERAS_EXPERIMENTS
    }
    assert not any(e.missing_packages for e in EXPERIMENTS.values() if not e.needs)


@pytest.mark.filterwarnings("ignore")  # TensorFlow's own
def test_keras_classifier_learns_digits():
    pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 16)).astype(np.float32)
    y = np.array(["a", "b"])[(X[:, 0] > 0).astype(int)]
    network = KerasClassifier(
        conv_channels=(3,),
        hidden_layer_sizes=(8,),
        alpha=(0.1, 0.0, 0.0),
        image_shape=(4, 4),
        learning_rate_init=0.01,
        max_iter=30,
        early_stopping=True,
        n_iter_no_change=3,
        random_state=0,
    ).fit(X, y, X[:40], y[:40])
    assert network.score(X, y) > 0.9
    assert network.n_iter_ == len(network.loss_curve_) <= 30
    assert [w.shape for w in network.coefs_] == [(3, 3, 1, 3), (48, 8), (8, 2)]
    np.testing.assert_allclose(network.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")  # TensorFlow's own
def test_shuffled_batches_have_a_new_order_every_epoch():
    pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    X = np.arange(9.0)[:, np.newaxis]
    batches = _make_shuffled_batches(_import_keras(), X, np.arange(9), 2, 0)
    epochs = []
    for _ in range(3):
        rows, labels = zip(*(batches[i] for i in range(len(batches))), strict=True)
        assert [len(part) for part in rows] == [2, 2, 2, 2, 1]
        np.testing.assert_array_equal(
            np.concatenate(rows)[:, 0], np.concatenate(labels)
        )
        epochs.append(tuple(np.concatenate(labels)))
        assert sorted(epochs[-1]) == list(range(9))
        batches.on_epoch_end()
    assert len(set(epochs)) == 3
