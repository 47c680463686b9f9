"""Both sides of every row of the guide's table for users of skorch are run.

Both networks start from the same weights and train in float64. Batches come in the same
order, and their size divides the number of samples. The weights then differ by rounding
and by skorch, which adds 2e-16 to a probability before its logarithm.
"""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn

from skmlp.neural_network import MLPClassifier, TorchClassifier
from skmlp.persistence import to_torch

NAMES = {
    "Dataset": Dataset,
    "EarlyStopping": EarlyStopping,
    "GradientNormClipping": GradientNormClipping,
    "LRScheduler": LRScheduler,
    "ValidSplit": ValidSplit,
    "predefined_split": predefined_split,
    "to_torch": to_torch,
    "torch": torch,
}
DECAY = (
    "`optimizer__weight_decay=wd, "
    'optimizer__param_groups=[("*bias", {"weight_decay": 0})]`'
)


def of_row(cell):
    """Give a test the row of the guide with this left cell."""
    return pytest.mark.parametrize("row", [cell], indirect=True, ids=[cell])


def test_every_row_has_a_test(migration_tables, tested_rows):
    assert tested_rows == sorted(migration_tables["skorch"])


class Perceptron(nn.Module):
    """From 64 pixels to the probabilities of ten digits, in float64."""

    def __init__(self, hidden=100):
        super().__init__()
        self.dense1 = nn.Linear(64, hidden, dtype=torch.float64)
        self.output = nn.Linear(hidden, 10, dtype=torch.float64)

    def forward(self, x):
        return self.output(self.dense1(x).relu()).softmax(-1)


class Logits(Perceptron):
    """The same without the softmax, which `TorchClassifier` adds."""

    def forward(self, x):
        return self.output(self.dense1(x).relu())


@pytest.fixture(scope="module")
def start(digits, fit_quietly):
    """Fitted network, from whose weights both sides start."""
    return fit_quietly(MLPClassifier(random_state=0, max_iter=1), *digits)


@pytest.fixture
def fit_skorch(start, digits):
    """Function that trains a net of skorch, by default for 3 epochs of 4 batches."""

    def fit(*data, **params):
        base = {"train_split": None, "batch_size": 30, "max_epochs": 3, "verbose": 0}
        net = NeuralNetClassifier(Perceptron, **{**base, **params}).initialize()
        net.module_.load_state_dict(start.net_.module_.state_dict())
        return net.partial_fit(*(data or digits))

    return fit


@pytest.fixture
def fit_skmlp(start, digits, migration_tables, arguments, fit_quietly):
    """Function that trains skmlp's network, by default as `fit_skorch` does."""
    defaults = migration_tables["skorch"]["`train_split=None` and the other defaults"]
    base = arguments(defaults.skmlp[0])
    base |= {"batch_size": 30, "max_iter": 3, "n_iter_no_change": 3}

    def fit(*data, X_val=None, y_val=None, **params):
        model = MLPClassifier(random_state=0, init_from=start, **{**base, **params})
        return fit_quietly(model, *(data or digits), X_val=X_val, y_val=y_val)

    return fit


def difference(net, model):
    """Return the largest difference between the weights of two networks."""
    pairs = zip(net.module_.parameters(), model.net_.module_.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def assert_trained_equally(net, model, start, atol=1e-12):
    """Check that both networks have moved to the same weights."""
    assert difference(net, model) <= atol
    assert difference(net, start) > 1e-3


@of_row("`NeuralNetClassifier(module, module__hidden=100)`")
@pytest.mark.parametrize("side", [0, 1], ids=["module", "no module"])
def test_module_with_hidden_layer_has_its_twins(
    row, side, digits, evaluate, fit_quietly
):
    names = {"MLPClassifier": MLPClassifier, "TorchClassifier": TorchClassifier}
    model = evaluate(row.skmlp[side], module=Logits, **names)
    fit_quietly(model.set_params(max_iter=2), *digits)
    names = {"NeuralNetClassifier": NeuralNetClassifier, "module": Perceptron}
    net = evaluate(row.peer[0], **names).initialize()
    net.module_.load_state_dict(model.net_.module_.state_dict())
    np.testing.assert_allclose(
        model.predict_proba(digits[0]), net.predict_proba(digits[0]), rtol=0, atol=1e-12
    )


@of_row("`train_split=None` and the other defaults")
def test_defaults_of_skorch_have_names_in_skmlp(
    row, start, arguments, fit_skorch, fit_skmlp
):
    X, y = load_digits(return_X_y=True)
    data = X[:256] / 16, y[:256]  # two batches
    params = arguments(row.skmlp[0])
    peer = arguments(row.peer[0])
    defaults = NeuralNetClassifier(Perceptron)
    peer |= {name: getattr(defaults, name) for name in ("batch_size", "max_epochs")}
    net = fit_skorch(*data, **peer)
    assert_trained_equally(net, fit_skmlp(*data, **params), start)


@of_row("`optimizer=torch.optim.SGD, lr=0.1, optimizer__momentum=0.9`")
def test_sgd_has_classical_momentum(row, start, arguments, fit_skorch, fit_skmlp):
    net = fit_skorch(**arguments(row.peer[0], **NAMES))
    assert_trained_equally(net, fit_skmlp(**arguments(row.skmlp[0])), start)


@of_row("`optimizer=torch.optim.Adam, lr=0.001`")
def test_adam_differs_by_its_epsilon_only(row, start, arguments, fit_skorch, fit_skmlp):
    peer, params = arguments(row.peer[0], **NAMES), arguments(row.skmlp[0])
    net, model = fit_skorch(**peer), fit_skmlp(**params)
    # Steps differ where gradients are as small as epsilon. In these 12 steps the sum is
    # less than the learning rate.
    assert difference(net, model) < 0.001
    net = fit_skorch(**peer, optimizer__eps=1e-30)
    assert_trained_equally(net, fit_skmlp(**params, epsilon=1e-30), start, atol=1e-10)


@of_row(DECAY)
def test_alpha_is_weight_decay_times_batch_size(
    row, start, arguments, fit_skorch, fit_skmlp
):
    names = {"wd": 0.01, "batch_size": 30}
    net = fit_skorch(lr=0.1, **arguments(row.peer[0], **names))
    model = fit_skmlp(learning_rate_init=0.1, **arguments(row.skmlp[0], **names))
    assert_trained_equally(net, model, start)


@of_row("`optimizer=torch.optim.AdamW`, with the same decay")
def test_alpha_of_adamw_is_weight_decay(
    row, start, arguments, migration_tables, fit_skorch, fit_skmlp
):
    decay = migration_tables["skorch"][DECAY].peer[0]
    peer = arguments(f"{row.peer[0]}, {decay}", wd=0.1, **NAMES)
    net = fit_skorch(lr=0.01, **peer, optimizer__eps=1e-30)
    params = arguments(row.skmlp[0], wd=0.1)
    model = fit_skmlp(learning_rate_init=0.01, **params, epsilon=1e-30)
    assert_trained_equally(net, model, start, atol=1e-10)


def test_weight_decay_of_torch_includes_biases(start, fit_skorch, fit_skmlp):
    net = fit_skorch(lr=0.1, optimizer__weight_decay=0.1)
    model = fit_skmlp(learning_rate_init=0.1, alpha=0.1 * 30)
    assert difference(net, model) > 1e-5


def test_smaller_last_batch_has_larger_penalty(start, fit_skorch, fit_skmlp, digits):
    data = [array[:45] for array in digits]
    groups = [("*weight", {"weight_decay": 0.1})]
    peer = {"lr": 0.1, "optimizer__param_groups": groups}
    model = fit_skmlp(*data, learning_rate_init=0.1, alpha=0.1 * 30)
    assert difference(fit_skorch(*data, **peer), model) > 1e-5
    net = fit_skorch(*data, callbacks=[_DivideDecay()], **peer)
    assert_trained_equally(net, model, start)


class _DivideDecay(Callback):
    """Divides torch's weight decay by the number of samples in the batch."""

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        net.optimizer_.param_groups[0]["weight_decay"] = 0.1 * 30 / len(batch[0])


@of_row("`max_epochs=20`")
def test_max_iter_is_the_number_of_epochs(row, start, arguments, fit_skorch, fit_skmlp):
    # This learning rate raises the loss, so that more epochs than 10 do not improve it.
    net = fit_skorch(lr=0.1, **arguments(row.peer[0]))
    params = arguments(row.skmlp[0])
    model = fit_skmlp(learning_rate_init=0.1, tol=10.0, **params)
    assert len(net.history) == model.n_iter_ == 20
    assert_trained_equally(net, model, start)


class Recorder(Callback):
    """Records sizes of data sets, and the order of samples by their sums of pixels."""

    def initialize(self):
        self.sizes, self.orders = [], []
        return self

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.sizes.append((len(dataset_train), len(dataset_valid or ())))
        self.orders.append([])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.orders[-1] += batch[0].sum(1).tolist()


@of_row("`iterator_train__shuffle=True`")
def test_shuffled_epochs_have_different_orders_of_all_samples(
    row, digits, arguments, fit_skorch, fit_skmlp
):
    net = fit_skorch(callbacks=[("recorder", Recorder())], **arguments(row.peer[0]))
    model = fit_skmlp(callbacks=[Recorder()], **arguments(row.skmlp[0]))
    assert MLPClassifier().shuffle
    for recorder in (dict(net.callbacks_)["recorder"], model.callbacks_[0]):
        first, second, _ = recorder.orders
        assert first != second
        assert sorted(first) == sorted(second) == sorted(digits[0].sum(1))


@of_row("`train_split=ValidSplit(0.1)`")
def test_validation_fraction_holds_out_as_many_samples(
    row, arguments, fit_skorch, fit_skmlp
):
    recorder = ("recorder", Recorder())
    net = fit_skorch(callbacks=[recorder], **arguments(row.peer[0], **NAMES))
    params = arguments(row.skmlp[0])
    # This score falls, so that the best epoch is the first.
    model = fit_skmlp(callbacks=[Recorder()], scoring=count_epochs_down(), **params)
    sizes = dict(net.callbacks_)["recorder"].sizes
    assert sizes == model.callbacks_[0].sizes == [(108, 12)] * 3
    assert model.best_epoch_ == 1
    assert model.validation_scores_ == [-1, -2, -3]
    # The last weights stay, as with skorch.
    first = fit_skmlp(**params, max_iter=1)
    assert np.abs(model.coefs_[0] - first.coefs_[0]).max() > 1e-3


def count_epochs_down():
    """Return a scorer that is worse at every call."""
    calls = []

    def score(estimator, X, y):
        calls.append(len(X))
        return -len(calls)

    return score


@pytest.fixture(scope="module")
def validation_set():
    """X and y of 40 digits. Half of the labels are wrong."""
    X, y = load_digits(return_X_y=True)
    wrong = np.arange(40) % 2 == 0
    return X[200:240] / 16, np.where(wrong, (y[200:240] + 1) % 10, y[200:240])


@of_row("`train_split=predefined_split(Dataset(X_val, y_val))`")
def test_own_validation_set_gives_losses_and_last_weights(
    row, start, digits, validation_set, arguments, evaluate, fit_skorch, fit_skmlp
):
    X_val, y_val = validation_set
    names = {"X_val": X_val, "y_val": y_val}
    net = fit_skorch(lr=0.1, max_epochs=20, **arguments(row.peer[0], **NAMES, **names))
    params = {"learning_rate_init": 0.1, "max_iter": 20, "n_iter_no_change": 20}
    fit = partial(fit_skmlp, **params, **arguments(row.skmlp[0]))
    model = evaluate(row.skmlp[1], fit=fit, X=digits[0], y=digits[1], **names)
    assert model.best_epoch_ < 20
    assert_trained_equally(net, model, start)
    np.testing.assert_allclose(
        model.history_[:, "valid_loss"], net.history[:, "valid_loss"], rtol=1e-12
    )


@of_row("`callbacks=[EarlyStopping(patience=3)]`")
def test_early_stopping_of_skorch_ends_training_at_the_same_epoch(
    row, start, validation_set, arguments, fit_skorch, fit_skmlp
):
    X_val, y_val = validation_set
    split = predefined_split(Dataset(X_val, y_val))
    peer = arguments(row.peer[0], **NAMES)
    net = fit_skorch(lr=0.5, max_epochs=100, train_split=split, **peer)
    params = arguments(row.skmlp[0], **NAMES)
    params |= {"learning_rate_init": 0.5, "max_iter": 100}
    model = fit_skmlp(X_val=X_val, y_val=y_val, restore_best_weights=False, **params)
    assert 4 < model.n_iter_ == len(net.history) < 100
    assert_trained_equally(net, model, start)


@of_row('`callbacks=[LRScheduler("StepLR", step_size=2, gamma=0.5)]`')
def test_scheduler_of_skorch_and_own_schedule_train_equally(
    row, start, arguments, fit_skorch, fit_skmlp
):
    net = fit_skorch(lr=0.1, max_epochs=5, **arguments(row.peer[0], **NAMES))
    assert len(row.skmlp) == 2
    for code in row.skmlp:
        params = {"max_iter": 5, "learning_rate_init": 0.1, **arguments(code, **NAMES)}
        assert_trained_equally(net, fit_skmlp(**params), start)


def test_momentum_keeps_earlier_learning_rates(start, fit_skorch, fit_skmlp):
    schedule = LRScheduler("StepLR", step_size=2, gamma=0.5)
    peer = {"lr": 0.1, "max_epochs": 5, "optimizer__momentum": 0.9}
    model = fit_skmlp(
        learning_rate_init=0.1,
        max_iter=5,
        momentum=0.9,
        nesterovs_momentum=False,
        callbacks=[schedule],
    )
    assert difference(fit_skorch(callbacks=[schedule], **peer), model) > 1e-3
    net = fit_skorch(callbacks=[schedule, _KeepMomentum()], **peer)
    assert_trained_equally(net, model, start)


class _KeepMomentum(Callback):
    """Lets torch's momentum keep the learning rates of earlier steps."""

    def on_train_begin(self, net, **kwargs):
        self.learning_rate = net.optimizer_.param_groups[0]["lr"]

    def on_batch_begin(self, net, **kwargs):
        learning_rate = net.optimizer_.param_groups[0]["lr"]
        for state in net.optimizer_.state.values():
            state["momentum_buffer"] *= self.learning_rate / learning_rate
        self.learning_rate = learning_rate


@of_row('`callbacks=[("clip", GradientNormClipping(0.1))]`')
def test_callbacks_have_no_names(row, start, arguments, fit_skorch, fit_skmlp):
    net = fit_skorch(lr=0.5, **arguments(row.peer[0], **NAMES))
    assert difference(net, fit_skmlp(learning_rate_init=0.5)) > 1e-3
    assert len(row.skmlp) == 2
    for code in row.skmlp:
        model = fit_skmlp(learning_rate_init=0.5, **arguments(code, **NAMES))
        assert_trained_equally(net, model, start)


@of_row('`net.history[:, "valid_acc"]`')
def test_history_has_validation_scores(
    row, validation_set, evaluate, fit_skorch, fit_skmlp
):
    X_val, y_val = validation_set
    net = fit_skorch(train_split=predefined_split(Dataset(X_val, y_val)))
    model = fit_skmlp(X_val=X_val, y_val=y_val)
    scores = evaluate(row.skmlp[0], model=model)
    assert len(scores) == 3
    assert scores == evaluate(row.peer[0], net=net)
    with pytest.raises(KeyError, match="valid_score"):
        evaluate(row.skmlp[0], model=fit_skmlp())


@of_row("`net.module_`")
def test_modules_give_the_same_probabilities(
    row, digits, evaluate, fit_skorch, fit_skmlp
):
    X = torch.from_numpy(digits[0])
    expected = evaluate(row.peer[0], net=fit_skorch())(X)
    model = fit_skmlp()
    assert len(row.skmlp) == 2
    for code in row.skmlp:
        logits = evaluate(code, model=model, **NAMES)(X)
        torch.testing.assert_close(logits.softmax(-1), expected, rtol=0, atol=1e-12)


@of_row('`X.astype("float32"), y.astype("int64")`')
def test_any_dtype_and_labels_train(row, start, digits, evaluate, fit_skmlp):
    X, y = (digits[0] > 0.5).astype(np.uint8), digits[1].astype(str)
    net = NeuralNetClassifier(
        Perceptron, train_split=None, batch_size=30, max_epochs=3, verbose=0
    ).initialize()
    net.module_.load_state_dict(start.net_.module_.state_dict())
    net.module_.float()
    net.partial_fit(*evaluate(row.peer[0], X=X, y=y))
    model = fit_skmlp(*evaluate(row.skmlp[0], X=X, y=y))
    assert set(model.predict(X)) <= set(y)
    # Both train in float32, where skorch adds 1.2e-7 to a probability before its
    # logarithm. This changes the gradient of a probability of 1e-4 by a thousandth.
    assert_trained_equally(net, model, start, atol=1e-4)
