import os
import signal
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from benchmarks.definitions.model import Component, Model
from benchmarks.running import fitting
from benchmarks.running.fitting import run_all


def test_validation_set_is_the_same_for_every_seed(spy, records):
    first, second = (call["X_val"][:, 0] for call in spy.calls[:2])
    expected = train_test_split(np.arange(100.0), test_size=0.1, random_state=4487)[1]
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(first, second)
    assert {r["seed"] for r in records if r["model"] == "drawn"} == {0, 1}


def test_no_test_sample_reaches_fit(spy, records):
    assert len(spy.calls) == 4
    for call in spy.calls + spy.warm_ups:
        assert (call["X"][:, 0] >= 0).all()
        assert call["X_val"] is None or (call["X_val"][:, 0] >= 0).all()


def test_each_model_is_warmed_up_once_without_a_record(spy, records):
    assert len(spy.warm_ups) == 2
    assert len(records) == 4


def test_record_holds_request_circumstances_and_outcome(records):
    record = records[0]
    assert record["model"] == "drawn"
    assert record["parameters"] == {"max_iter": 200, "random_state": 0}
    assert (record["epochs"], record["best_epoch"], record["layers"]) == (3, 2, 1)
    assert record["n_parameters"] == 5
    assert np.sum(record["confusion_matrix"]) == 40
    trace = np.trace(record["confusion_matrix"])
    assert record["test_accuracy"] == trace / 40
    assert record["reported"] == [0.8, 0.9]
    assert list(record["classes"]) == [0, 1]
    assert set(record["versions"]) >= {"python", "skmlp", "torch", "numpy"}
    assert record["command"].startswith("python -m benchmarks spied")


def test_first_layer_is_stored_for_seed_zero_only(records):
    stored = {r["seed"]: r.get("first_layer") for r in records if r["model"] == "drawn"}
    assert stored[0]["shape"] == [1, 2, 2, 1]
    assert stored[1] is None


def test_reported_figures_are_stored_for_their_protocol_only(request_, data):
    for change in ({"train_size": 50}, {"quick": True}, {"dataset": "other"}):
        request = replace(request_, **change, models=("drawn",))
        assert [r["reported"] for r in run_all(request, data)] == [[], []]


def test_failed_training_is_recorded_and_the_next_run_starts(
    spy, request_, data, monkeypatch
):
    monkeypatch.setattr(spy, "fails", "loss became non-finite")
    records = list(run_all(request_, data))
    assert len(records) == 4
    assert records[0]["error"] == "ValueError: loss became non-finite"
    assert "test_accuracy" not in records[0]


def test_all_warnings_are_recorded_and_unexpected_ones_shown():
    def warn_twice():
        with fitting._recorded_warnings() as messages:
            warnings.warn("100 epochs", ConvergenceWarning, stacklevel=1)
            warnings.warn("shown", UserWarning, stacklevel=1)
        return messages

    with pytest.warns(UserWarning, match="shown") as shown:
        messages = warn_twice()
    assert messages == ["ConvergenceWarning: 100 epochs", "UserWarning: shown"]
    assert len(shown) == 1


def test_fit_that_catches_ctrl_c_gives_no_record(spy, request_, data, monkeypatch):
    fit = spy.fit

    def interrupted(self, *args, **kwargs):
        fit(self, *args, **kwargs)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            return self

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(spy, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(run_all(request_, data))
    assert signal.getsignal(signal.SIGINT) is before


def test_record_of_an_ensemble_has_its_member_accuracies(data, request_):
    member = Component("skmlp.neural_network.MLPClassifier", {"hidden_layer_sizes": 3})
    ensemble = Component(
        "skmlp.neural_network.EnsembleClassifier",
        {"estimator": member, "n_estimators": 2},
    )
    experiment = replace(
        request_.experiment, models=(Model("two", ensemble), Model("one", member))
    )
    request = replace(request_, experiment=experiment, seeds=1, quick=True)
    two, one = run_all(request, data)
    assert len(two["member_accuracies"]) == 2
    assert one["member_accuracies"] is None
    assert two["n_parameters"] == 2 * one["n_parameters"]
    assert (two["epochs"], two["layers"]) == (2, one["layers"])
    assert two["architecture"] == "2 of dense 3"


def test_quick_limits_samples_and_epochs(request_, data, spy):
    many = replace(
        data,
        X_train=np.repeat(data.X_train, 10, axis=0),
        y_train=np.repeat(data.y_train, 10),
    )
    record = next(run_all(replace(request_, quick=True), many))
    assert record["rows"]["train"] + record["rows"]["validation"] == 400
    assert record["parameters"]["max_iter"] == 2
