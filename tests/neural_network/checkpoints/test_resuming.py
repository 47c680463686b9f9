"""A killed fit resumes from its checkpoint and ends as the uninterrupted fit."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping

from skmlp.augmentation import GaussianNoise
from skmlp.neural_network import (
    CNNClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import ModelFileError

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training goes on after epoch"),
]


SOLVERS = ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta"]
CASES = {
    **{f"solver {name}": {"solver": name} for name in SOLVERS},
    "momentum, invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.3,
        "tol": 10.0,
        "n_iter_no_change": 1,
    },
    "cosine": {"learning_rate": "cosine", "warmup_epochs": 1.5},
    "onecycle": {"learning_rate": "onecycle", "solver": "sgd"},
    "step": {"learning_rate": "step", "step_size": 2},
    "dropout": {"dropout": 0.3},
    "batch norm": {"batch_norm": True},
    "augmentation": {"augmentation": GaussianNoise(0.1)},
    "early stopping": {
        "early_stopping": True,
        "n_iter_no_change": 2,
        "learning_rate_init": 0.1,
        "max_iter": 30,
    },
    "weight averaging": {"weight_averaging": 0.9, "batch_norm": True},
    "weight averaging, early stopping": {
        "weight_averaging": 0.9,
        "early_stopping": True,
    },
    "refit_full": {"early_stopping": True, "refit_full": True, "dropout": 0.1},
    "train_size": {"train_size": 0.5, "early_stopping": True},
    "no shuffling": {"shuffle": False, "dropout": 0.2},
    "scorer": {"early_stopping": True, "scoring": "f1_macro"},
    "class weights": {"class_weight": "balanced", "label_smoothing": 0.1},
    "clipping, amp": {"max_grad_norm": 0.1, "dtype": "float32", "amp": True},
    "frozen layer": {"frozen_layers": [0], "hidden_layer_sizes": (8, 4)},
    "many at once": {
        "solver": "sgd",
        "learning_rate": "cosine",
        "dropout": 0.2,
        "batch_norm": True,
        "augmentation": GaussianNoise(0.1),
        "early_stopping": True,
        "weight_averaging": 0.8,
        "refit_full": True,
        "train_size": 0.8,
    },
}


@pytest.mark.parametrize("params", CASES.values(), ids=CASES)
def test_resumed_fit_equals_uninterrupted_fit(params, path, mlp, assert_resumes):
    assert_resumes(mlp(**params), path)


def test_fit_killed_many_times_equals_uninterrupted_fit(path, mlp, assert_resumes):
    model = mlp(dropout=0.3, weight_averaging=0.5, max_iter=9, early_stopping=True)
    assert_resumes(model, path, epochs=[1, 2, 2, 5, 8, 9])


@pytest.mark.on_cuda_too
@pytest.mark.parametrize("epoch", [1, 7, 9])
def test_refit_full_resumes_from_either_stage(
    epoch, path, digits, mlp, kill_at, assert_same_fit
):
    """The first stage has six epochs; the second starts another history."""
    model = mlp(early_stopping=True, refit_full=True, dropout=0.2)
    whole = clone(model).fit(*digits)

    class KillLater(Callback):
        seen = 0

        def on_epoch_end(self, net, **kwargs):
            KillLater.seen += 1
            if KillLater.seen == epoch:
                raise kill_at.Killed

    killed = clone(model).set_params(checkpoint=path, callbacks=[KillLater()])
    with pytest.raises(kill_at.Killed):
        killed.fit(*digits)
    assert_same_fit(whole, model.set_params(checkpoint=path).fit(*digits))


@pytest.mark.on_cuda_too
@pytest.mark.parametrize(
    ("model", "target"),
    [
        (SoftmaxRegression(max_iter=6, random_state=0), lambda X, y: y.astype(str)),
        (SoftmaxRegression(max_iter=6, random_state=0), lambda X, y: y > 0),
        (
            MLPRegressor(hidden_layer_sizes=5, max_iter=6, random_state=0),
            lambda X, y: X[:, 20:22],
        ),
        (
            CNNClassifier(
                conv_channels=(3,),
                hidden_layer_sizes=(4,),
                conv_dropout=0.1,
                max_iter=4,
                random_state=0,
            ),
            lambda X, y: y,
        ),
    ],
    ids=["strings", "two classes", "regressor", "convolutions"],
)
def test_every_estimator_resumes(model, target, path, digits, assert_resumes):
    assert_resumes(model, path, y=target(*digits))


def test_fit_resumes_with_sparse_data_weights_and_validation_set(
    path, digits, mlp, assert_resumes
):
    X, y = digits
    weight = np.random.default_rng(0).random(150)
    given = {"sample_weight": weight, "X_val": X[150:], "y_val": y[150:]}
    sparse = scipy.sparse.csr_matrix(X[:150])
    assert_resumes(mlp(early_stopping=True), path, X=sparse, y=y[:150], **given)


def test_fit_resumes_with_memory_mapped_data(
    path, tmp_path, monkeypatch, digits, mlp, assert_resumes
):
    monkeypatch.setattr("skmlp.training.data.sources.WINDOW_BYTES", 20_000)
    X, _ = digits
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
    assert_resumes(mlp(early_stopping=True, dropout=0.1), path, X=mapped)
    with pytest.raises(ValueError, match="another fit: X was source float64"):
        mlp(early_stopping=True, dropout=0.1, checkpoint=path).fit(*digits)


def test_unseeded_fit_resumes_its_own_random_sequence(path, digits, mlp, kill):
    model = mlp(random_state=None, early_stopping=True, refit_full=True)
    kill(model, 3, path)
    before = path.read_bytes()
    one = clone(model).set_params(checkpoint=path).fit(*digits)
    path.write_bytes(before)
    two = clone(model).set_params(checkpoint=path).fit(*digits)
    assert one.best_epoch_ == two.best_epoch_
    np.testing.assert_array_equal(one.loss_curve_, two.loss_curve_)


def test_random_state_instance_advances_as_in_uninterrupted_fit(
    path, digits, mlp, kill
):
    whole, resumed = np.random.RandomState(3), np.random.RandomState(3)
    mlp(random_state=whole).fit(*digits)
    kill(mlp(random_state=np.random.RandomState(3)), 3, path)
    mlp(random_state=resumed, checkpoint=path).fit(*digits)
    assert whole.randint(10**6) == resumed.randint(10**6)
    with pytest.raises(ValueError, match="another fit: random_state was RandomState #"):
        mlp(random_state=resumed, checkpoint=path).fit(*digits)


def test_fit_resumes_after_ctrl_c(path, digits, mlp, assert_same_fit, interrupt_at):
    whole = mlp().fit(*digits)
    interrupted = mlp(checkpoint=path, callbacks=[interrupt_at(4)])
    with pytest.warns(UserWarning, match="interrupted by user"):
        interrupted.fit(*digits)
    assert interrupted.n_iter_ == 3
    assert_same_fit(whole, interrupted.set_params(callbacks=None).fit(*digits))


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_refit_after_ctrl_c_is_not_resumed(
    path, digits, mlp, assert_same_fit, interrupt_at
):
    """The refit began with another state of the random generator."""
    shared = np.random.RandomState(0)
    model = mlp(early_stopping=True, refit_full=True, random_state=shared)
    whole = clone(model).fit(*digits)
    clone(model).set_params(checkpoint=path, callbacks=[interrupt_at(4)]).fit(*digits)
    assert_same_fit(whole, model.set_params(checkpoint=path).fit(*digits))


def test_random_state_shared_with_callback_refuses_to_resume(
    path, digits, mlp, kill_at
):
    class DrawingCallback(kill_at):
        def on_epoch_end(self, net, **kwargs):
            shared.rand()
            super().on_epoch_end(net, **kwargs)

    shared = np.random.RandomState(0)
    model = mlp(random_state=shared, checkpoint=path, callbacks=[DrawingCallback(3)])
    with pytest.raises(kill_at.Killed):
        model.fit(*digits)
    model.set_params(random_state=np.random.RandomState(0), callbacks=None)
    with pytest.raises(ModelFileError, match="something else than fit drew from"):
        model.fit(*digits)


def test_resumed_fit_repeats_convergence_warning(path, digits, mlp, kill):
    kill(mlp(), 3, path)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            mlp(checkpoint=path).fit(*digits)


class Counter(Callback):
    """Count epochs and record the count in the history."""

    def on_train_begin(self, net, **kwargs):
        self.count = 0

    def on_epoch_end(self, net, **kwargs):
        self.count += 1
        net.history.record("count", self.count)

    def state_dict(self):
        return {"count": self.count, "array": np.arange(3)}

    def load_state_dict(self, state):
        self.count = state["count"]
        assert state["array"].tolist() == [0, 1, 2]


def test_callback_with_state_dict_resumes(path, digits, mlp, kill_at, assert_same_fit):
    whole = mlp(callbacks=[Counter()]).fit(*digits)
    killed = mlp(callbacks=[Counter(), kill_at(4)], checkpoint=path)
    with pytest.raises(kill_at.Killed):
        killed.fit(*digits)
    resumed = mlp(callbacks=[Counter()], checkpoint=path).fit(*digits)
    assert resumed.callbacks_[0].count == 6
    assert_same_fit(whole, resumed)


@pytest.mark.filterwarnings("default:Training goes on after epoch")
def test_callback_without_state_dict_restarts_with_warning(path, digits, mlp, kill):
    kill(mlp(), 4, path)
    model = mlp(callbacks=[EarlyStopping("train_loss")], checkpoint=path)
    with pytest.warns(UserWarning, match="epoch 3, where EarlyStopping starts again"):
        model.fit(*digits)


def test_clone_copy_and_pickle_preserve_checkpoint_path(path, digits, mlp):
    model = mlp(checkpoint=path, checkpoint_interval=2.5).fit(*digits)
    assert clone(model).get_params() == model.get_params()
    assert copy.deepcopy(model).checkpoint == path
    assert pickle.loads(pickle.dumps(model)).checkpoint == path
