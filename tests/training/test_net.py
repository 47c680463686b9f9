"""Training of a net: callbacks of skorch, history, interruption, best weights."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    PrintLog,
    TrainEndCheckpoint,
    Unfreezer,
)

from skmlp.training import losses, trainer
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.modules.layers import build_mlp, initialize
from skmlp.training.net import Net
from skmlp.training.optimizers.factory import make_optimizer
from skmlp.training.run import TrainingRun
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor

N_ROWS, N_CLASSES, BATCH_SIZE = 30, 3, 8
N_BATCHES = 4


def make_data(seed=0, weight=None, n_rows=N_ROWS):
    random_state = np.random.RandomState(seed)
    y = np.arange(n_rows) % N_CLASSES
    X = random_state.normal(size=(n_rows, 4)) + np.eye(N_CLASSES, 4)[y]
    return DeviceData(
        X, torch.from_numpy(y), weight, torch.float64, torch.device("cpu")
    )


def make_net(callbacks=(), lr=0.1, solver="sgd", schedule="constant", **params):
    network = build_mlp(4, [6], N_CLASSES, batch_norm=params.pop("batch_norm", False))
    network = network.double()
    initialize(network, "auto", "relu", np.random.RandomState(0))

    def optimizer(values):
        return make_optimizer(
            solver,
            values,
            lr=lr,
            momentum=0.9,
            nesterov=True,
            betas=(0.9, 0.999),
            eps=1e-8,
            params=None,
        )

    monitor = Monitor()
    monitor.configure(0.0, math.inf, params.pop("early_stopping", False))
    return Net(
        network,
        losses.SoftmaxCrossEntropy(),
        solver=solver,
        make_optimizer=optimizer,
        schedule=Schedule(schedule, lr),
        monitor=monitor,
        callbacks=list(callbacks),
        **params,
    ).initialize()


def accuracy(y):
    return lambda logits: float((logits.argmax(1) == y).double().mean())


def run(net, epochs=5, train=None, valid=None):
    """Train with a validation set, in an order drawn from one seed."""
    train = train or make_data()
    valid = valid or make_data(1)
    batches = BatchLoader(train, BATCH_SIZE, np.random.RandomState(0))
    valid_batches = BatchLoader(valid, 100)
    score = accuracy(valid.y)
    trainer.train(TrainingRun(net, batches, valid_batches, epochs, score=score))
    return net


def train_without_validation(net, epochs, data=None):
    """Train in the order of the data."""
    batches = BatchLoader(data or make_data(), BATCH_SIZE)
    trainer.train(TrainingRun(net, batches, None, epochs))


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


class Counter(Callback):
    """Counts the calls of one hook."""

    def __init__(self):
        self.calls = []


class Epochs(Counter):
    def on_epoch_end(self, net, **kwargs):
        self.calls.append(dict(net.history[-1]))


class BatchEnds(Counter):
    def on_batch_end(self, net, batch, training, loss, y_pred, **kwargs):
        assert y_pred.is_contiguous()
        self.calls.append((training, len(batch[0]), float(loss), y_pred.shape))


class Gradients(Counter):
    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.calls.append({name: p.grad.clone() for name, p in named_parameters})


class Order(Counter):
    def notify(self, name):
        self.calls.append(name)

    def on_train_begin(self, net, **kwargs):
        self.notify("train begins")

    def on_epoch_begin(self, net, **kwargs):
        self.notify("epoch begins")

    def on_epoch_end(self, net, **kwargs):
        self.notify("epoch ends")

    def on_train_end(self, net, **kwargs):
        self.notify("train ends")


def test_history_records_every_epoch():
    net = run(make_net())
    assert len(net.history) == 5
    for number, row in enumerate(net.history, start=1):
        assert row["epoch"] == number
        assert row["train_batch_count"] == N_BATCHES
        assert row["valid_batch_count"] == 1
        assert {"dur", "train_loss", "valid_loss", "valid_score"} <= set(row)
    losses_ = net.history[:, "train_loss"]
    assert losses_[-1] < losses_[0]
    bests = [
        loss < min(losses_[:i], default=math.inf) for i, loss in enumerate(losses_)
    ]
    assert net.history[:, "train_loss_best"] == bests


def test_hooks_are_called_in_the_order_of_skorch():
    callback = Order()
    run(make_net([callback]), epochs=2)
    assert callback.calls == [
        "train begins",
        *["epoch begins", "epoch ends"] * 2,
        "train ends",
    ]


def test_batches_are_not_notified_without_batch_hooks(monkeypatch):
    notified = []
    notify = Net.notify
    monkeypatch.setattr(
        Net,
        "notify",
        lambda net, name, **kw: notified.append(name) or notify(net, name, **kw),
    )
    run(make_net([Epochs()]), epochs=2)
    assert set(notified) == {
        "on_train_begin",
        "on_epoch_begin",
        "on_epoch_end",
        "on_train_end",
    }


def test_batch_hooks_see_every_batch():
    callback = BatchEnds()
    net = run(make_net([callback]), epochs=2)
    sizes = [8, 8, 8, 6]
    seen = [(training, size) for training, size, *_ in callback.calls]
    assert seen == [(training, n) for training in (True, False) for n in sizes] * 2
    assert callback.calls[0][3] == (8, N_CLASSES)
    of_epoch = [loss for _, _, loss, _ in callback.calls[:N_BATCHES]]
    mean = np.average(of_epoch, weights=sizes)
    assert net.history[0, "train_loss"] == pytest.approx(mean)
    assert net.history[0, "batches", 0, "train_loss"] == of_epoch[0]


@pytest.mark.parametrize(
    "callback", [BatchEnds(), Gradients(), Epochs(), PrintLog(sink=str)]
)
def test_watching_callbacks_do_not_change_training(callback):
    assert torch.equal(weights(run(make_net([callback]))), weights(run(make_net())))


def test_gradient_hook_gets_every_parameter():
    callback = Gradients()
    net = run(make_net([callback]), epochs=1)
    assert len(callback.calls) == N_BATCHES
    assert set(callback.calls[0]) == {
        name for name, _ in net.module_.named_parameters()
    }
    assert all(g.abs().max() > 0 for g in callback.calls[0].values())


def test_gradient_norm_clipping_limits_the_gradient():
    seen = Gradients()
    run(make_net([GradientNormClipping(1e-3), seen]), epochs=1)
    for gradients in seen.calls:
        norm = torch.cat([g.flatten() for g in gradients.values()]).norm()
        assert norm <= 1e-3 * (1 + 1e-6)


def test_max_grad_norm_equals_gradient_norm_clipping():
    by_callback = run(make_net([GradientNormClipping(0.05)]))
    by_parameter = run(make_net(max_grad_norm=0.05))
    torch.testing.assert_close(weights(by_parameter), weights(by_callback))
    assert not torch.allclose(weights(by_parameter), weights(run(make_net())))


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [False, True])
def test_epoch_scoring_accepts_scorer_names(on_train, use_caching):
    callback = EpochScoring(
        "accuracy",
        lower_is_better=False,
        on_train=on_train,
        use_caching=use_caching,
        name="acc",
    )
    net = run(make_net([callback]))
    if not on_train:
        assert net.history[:, "acc"] == pytest.approx(net.history[:, "valid_score"])
    assert net.history[-1, "acc"] > 0.4


def test_epoch_scoring_accepts_functions():
    callback = EpochScoring(lambda net, X, y: 7.0, name="seven")
    assert run(make_net([callback])).history[:, "seven"] == [7.0] * 5


def test_batch_scoring_scores_every_epoch():
    callback = BatchScoring("accuracy", lower_is_better=False, name="acc")
    net = run(make_net([callback]))
    assert net.history[:, "acc"] == pytest.approx(net.history[:, "valid_score"])


def test_early_stopping_callback_ends_training():
    callback = EarlyStopping("train_loss", patience=2, threshold=1e9, sink=str)
    net = run(make_net([callback]), epochs=50)
    assert len(net.history) < 50
    assert net.converged_
    assert net.epochs_ == len(net.history)


@pytest.mark.parametrize("monitor", ["valid_loss_best", "valid_score_best", None])
def test_checkpoint_callback_stores_parameters(tmp_path, monitor):
    callback = Checkpoint(monitor=monitor, dirname=tmp_path)
    net = make_net([callback])
    valid = make_data(1)
    batches = BatchLoader(make_data(), BATCH_SIZE)
    valid_batches = None if monitor is None else BatchLoader(valid, 100)
    score = accuracy(valid.y)
    trainer.train(TrainingRun(net, batches, valid_batches, 4, score=score))
    assert (tmp_path / "params.pt").exists()
    if monitor is None:
        saved = torch.load(tmp_path / "params.pt", weights_only=True)
        for name, value in net.module_.state_dict().items():
            assert torch.equal(value, saved[name]), name
    else:
        assert net.history[0, "event_cp"]


def test_load_init_state_starts_from_a_checkpoint(tmp_path):
    checkpoint = TrainEndCheckpoint(dirname=tmp_path)
    first = run(make_net([checkpoint]), epochs=3)
    checkpoint = TrainEndCheckpoint(dirname=tmp_path)
    second = make_net([checkpoint, LoadInitState(checkpoint)])
    train_without_validation(second, 0)
    assert torch.equal(weights(second), weights(first))
    assert len(second.history) == 3


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_lr_scheduler_changes_the_learning_rate(solver):
    callback = LRScheduler("StepLR", step_size=1, gamma=0.5)
    seen = Epochs()
    net = run(make_net([callback, seen], lr=0.08, solver=solver), epochs=4)
    assert net.history[:, "event_lr"] == pytest.approx([0.08, 0.04, 0.02, 0.01])
    constant = run(make_net(lr=0.08, solver=solver), epochs=4)
    assert not torch.equal(weights(net), weights(constant))


def test_lr_scheduler_by_batch_matches_the_schedule():
    callback = LRScheduler("CosineAnnealingLR", T_max=3 * N_BATCHES, step_every="batch")
    by_callback = run(make_net([callback]), epochs=3)
    by_schedule = make_net(schedule="cosine")
    by_schedule.schedule.total_epochs = 3
    run(by_schedule, epochs=3)
    torch.testing.assert_close(weights(by_schedule), weights(by_callback))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_freezer_and_unfreezer_stop_and_resume_updates(solver):
    start = make_net().module_
    net = make_net([Freezer("dense1*")], solver=solver, alpha=0.1)
    train_without_validation(net, 2)
    assert torch.equal(net.module_.dense1.weight, start.dense1.weight)
    assert not torch.equal(net.module_.output.weight, start.output.weight)
    callbacks = [("freeze", Freezer("dense1*")), ("go", Unfreezer("dense1*", at=2))]
    net = make_net(callbacks, solver=solver)
    train_without_validation(net, 2)
    assert not torch.equal(net.module_.dense1.weight, start.dense1.weight)


class Interrupt(Callback):
    """Presses Ctrl-C during the third epoch."""

    def on_batch_begin(self, net, training, **kwargs):
        if net.epochs_ == 2 and training:
            raise KeyboardInterrupt


def test_ctrl_c_warns_as_scikit_learn_and_keeps_the_best_weights():
    interrupted = make_net([Interrupt()], early_stopping=True)
    with pytest.warns(UserWarning, match="^Training interrupted by user.$"):
        run(interrupted, epochs=9)
    assert (interrupted.epochs_, interrupted.converged_) == (2, True)
    best = interrupted.monitor.best_epoch
    whole = run(make_net(early_stopping=True), epochs=2)
    assert whole.monitor.best_epoch == best
    assert torch.equal(weights(interrupted), weights(whole))
    assert not interrupted.module_.training


def test_ctrl_c_in_the_first_epoch_is_raised_and_keeps_the_initial_weights():
    class AtOnce(Callback):
        def on_epoch_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    net = make_net([AtOnce()])
    before = weights(net)
    with pytest.raises(KeyboardInterrupt):
        run(net)
    assert net.epochs_ == 0
    assert torch.equal(weights(net), before)


def test_best_weights_are_those_of_the_best_epoch():
    snapshots = []

    class Snapshot(Callback):
        def on_epoch_end(self, net, **kwargs):
            snapshots.append(copy.deepcopy(net.module_.state_dict()))

    net = run(make_net([Snapshot()], lr=2.0, early_stopping=True, batch_norm=True), 12)
    scores = net.history[:, "valid_score"]
    best = int(np.argmax(scores))
    assert best < 11  # otherwise the last weights would be the best ones
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, snapshots[best][name]), name


@pytest.mark.parametrize("scorer", [None, lambda logits: 1 / 0])
def test_divergence_is_reported_with_its_epoch_before_scoring(scorer):
    rows = make_data()
    rows.X[3, 0] = 1e300
    rows.X[4, 0] = math.inf
    batches = BatchLoader(rows, BATCH_SIZE), BatchLoader(make_data(1), 100)
    run = TrainingRun(make_net(), *batches, 5, score=scorer)
    with pytest.raises(FloatingPointError) as raised:
        trainer.train(run)
    assert raised.value.args == (1,)


def test_batches_without_weight_do_not_change_parameters():
    weight = np.r_[np.ones(16), np.zeros(8), np.ones(6)]
    rows = make_data(weight=weight)
    net, alone = make_net(), make_net()
    train_without_validation(net, 2, rows)
    kept = np.r_[0:16, 24:30]
    fewer = DeviceData(
        rows.X.numpy()[kept], rows.y[kept], weight[kept], rows.dtype, rows.device
    )
    train_without_validation(alone, 2, fewer)
    assert torch.equal(weights(net), weights(alone))


def test_validation_samples_without_weight_are_predicted():
    seen = []
    valid = make_data(1, weight=np.r_[np.zeros(20), np.ones(10)])
    net = make_net()
    batches = BatchLoader(make_data(), BATCH_SIZE), BatchLoader(valid, 10)
    score = lambda logits: seen.append(len(logits)) or 0.5  # noqa: E731
    trainer.train(TrainingRun(net, *batches, 1, score=score))
    assert seen == [N_ROWS]
    assert math.isfinite(net.history[0, "valid_loss"])


@pytest.mark.parametrize("solver", ["sgd", "adam", "nadam", "rmsprop"])
@pytest.mark.parametrize(
    "between",
    [
        lambda net: net.release() or net,
        lambda net: pickle.loads(pickle.dumps(net)),
        copy.deepcopy,
    ],
    ids=["release", "pickle", "deepcopy"],
)
def test_training_continues_from_a_released_net(solver, between):
    def part(net, seed):
        batches = BatchLoader(make_data(), BATCH_SIZE, np.random.RandomState(seed))
        trainer.train(TrainingRun(net, batches, None, 2))

    with_make = make_net(solver=solver)
    with_make.make_optimizer = _Picklable(solver)
    at_once = copy.deepcopy(with_make).resume()
    resumed = with_make
    part(at_once, 0)
    part(at_once, 1)
    part(resumed, 0)
    resumed = between(resumed).resume()
    part(resumed, 1)
    assert torch.equal(weights(resumed), weights(at_once))


class _Picklable:
    """Make an optimizer; a function of the module can be pickled."""

    def __init__(self, solver):
        self.solver = solver

    def __call__(self, values):
        return make_optimizer(
            self.solver,
            values,
            lr=0.05,
            momentum=0.9,
            nesterov=True,
            betas=(0.9, 0.999),
            eps=1e-8,
            params=None,
        )


def test_released_nets_hold_no_gradients():
    net = run(make_net())
    net.release()
    assert not hasattr(net, "flat_")
    assert all(p.grad is None for p in net.module_.parameters())


def test_predictions_are_encoded_like_targets():
    net = run(make_net(), epochs=20)
    X = make_data().X
    probabilities = net.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(net.predict(X), probabilities.argmax(1))


@pytest.mark.parametrize("verbose", [False, True])
def test_verbose_prints_the_lines_of_scikit_learn(verbose, capsys):
    net = run(make_net(verbose=verbose), epochs=2)
    lines = capsys.readouterr().out.splitlines()
    expected = []
    for row in net.history:
        expected.append(f"Iteration {row['epoch']}, loss = {row['train_loss']:.8f}")
        expected.append(f"Validation score: {row['valid_score']:f}")
    assert lines == (expected if verbose else [])
