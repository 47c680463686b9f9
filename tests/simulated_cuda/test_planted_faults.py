"""Eight faults that only a GPU would show are seen on the simulated device."""

import numpy as np
import pytest
import torch

from simulated_cuda import MixedDevicesError, SimulatedCuda
from simulated_cuda.workloads import STEPS, WORKLOADS, X, Y, count
from skmlp.neural_network import MLPClassifier
from skmlp.neural_network._base import building
from skmlp.training import segments
from skmlp.training.compute import cuda_graphs
from skmlp.training.compute.cuda_graphs import GraphRecorder
from skmlp.training.epoch_loss import EpochLoss
from skmlp.training.losses.classification import WeightedSoftmaxCrossEntropy
from skmlp.training.net import Net
from skmlp.training.packs import optimizer
from skmlp.training.packs.optimizer import PackOptimizer

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def fit():
    model = MLPClassifier(8, dropout=0.3, batch_size=20, max_iter=8, random_state=0)
    with SimulatedCuda():
        return model.fit(X[:240], Y[:240])


def plain_loss_curve(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(cuda_graphs, "CALLS_BEFORE_RECORDING", np.inf)
        return fit().loss_curve_


def test_fit_without_a_fault_passes(monkeypatch):
    assert fit().loss_curve_ == plain_loss_curve(monkeypatch)


def test_factors_on_the_host_are_seen(monkeypatch):
    monkeypatch.setattr(optimizer, "upload", lambda tensor, device: tensor)
    with (
        SimulatedCuda(),
        pytest.warns(RuntimeWarning, match="A pack .* MixedDevicesError"),
    ):
        WORKLOADS["pack"](1, STEPS)


def test_dropout_generator_of_the_host_is_seen(monkeypatch):
    monkeypatch.setattr(
        building, "torch_generator", lambda random_state, device: torch.Generator()
    )
    with pytest.raises(MixedDevicesError, match="generator"):
        fit()


def test_value_read_in_a_step_is_seen(monkeypatch):
    compute = WeightedSoftmaxCrossEntropy.loss_terms_and_gradient

    def reading(*args):
        loss_terms, grad = compute(*args)
        return loss_terms, grad * float(loss_terms.isfinite().all())

    monkeypatch.setattr(WeightedSoftmaxCrossEntropy, "loss_terms_and_gradient", reading)
    with pytest.warns(RuntimeWarning, match="device to host"):
        fit()


def test_unregistered_generator_is_seen(monkeypatch):
    monkeypatch.setattr(segments, "dropout_generators", lambda networks: set())
    with pytest.warns(RuntimeWarning, match="unregistered generator"):
        fit()


def test_stale_inputs_of_a_graph_are_seen(monkeypatch):
    def replay_without_copy(self, function, *inputs, repeats, **options):
        if not self._recorded:
            self._recorded[None] = self._record(function, inputs)
        for _ in range(repeats):
            self._recorded[None].graph.replay()
        return self._recorded[None].outputs

    expected = plain_loss_curve(monkeypatch)
    monkeypatch.setattr(GraphRecorder, "call", replay_without_copy)
    assert fit().loss_curve_ != expected


def test_value_read_after_every_step_is_seen(monkeypatch):
    add, expected = EpochLoss.add, count("MLP").waits

    def reading(self, batch, factor):
        add(self, batch, factor * float(batch.loss_terms.isfinite().all()))

    monkeypatch.setattr(EpochLoss, "add", reading)
    with pytest.warns(RuntimeWarning, match="device to host"):
        waits = count("MLP").waits
    assert waits >= expected + STEPS


def test_weights_that_stay_on_the_device_are_seen(monkeypatch):
    monkeypatch.setattr(Net, "_move_to_cpu", lambda self: None)
    with SimulatedCuda():
        model = WORKLOADS["MLP"](2, STEPS)
        model.coefs_[0][:] = 7.0
        assert not (model.coefs_[0] == 7.0).any()  # the edit is lost


def test_upload_in_every_step_of_a_pack_is_seen(monkeypatch):
    update, expected = PackOptimizer.planned_update, count("pack").waits

    def uploading(self, *args):
        self.parameters.alpha.new_tensor([0.0])
        update(self, *args)

    monkeypatch.setattr(PackOptimizer, "planned_update", uploading)
    with pytest.warns(RuntimeWarning, match="host to device"):
        waits = count("pack").waits
    assert waits >= expected + STEPS
