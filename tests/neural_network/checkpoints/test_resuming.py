"""A fit that was interrupted ends as if it had not been, or is refused."""

import copy
import io
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, EarlyStopping

from skmlp.augmentation import GaussianNoise
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.persistence import ModelFileError, load_model, save_model
from skmlp.storage import container
from skmlp.storage.atomic_files import _part_file_name

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training goes on after epoch"),
]

X, Y = load_digits(n_class=3, return_X_y=True)
X, Y = X[:200] / 16, Y[:200]

LAST = ["coefs_", "intercepts_", "loss_curve_", "validation_scores_", "n_iter_", "t_"]
LAST += ["best_epoch_", "best_validation_score_", "loss_", "best_loss_"]


class Killed(Exception):
    """Stands for the end of a process."""


class KillAt(Callback):
    """Ends the fit when an epoch has ended, before it is kept."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Killed


def without_durations(history):
    return [{k: v for k, v in row.items() if k != "dur"} for row in history]


def assert_same_fit(one, two):
    for name in LAST:
        a, b = getattr(one, name), getattr(two, name)
        if isinstance(a, list) and isinstance(a[0], np.ndarray):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)
        else:
            assert a == b, name
    assert without_durations(one.history_) == without_durations(two.history_)
    for a, b in zip(
        one.net_.module_.state_dict().values(),
        two.net_.module_.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(a, b)


def kill(model, epoch, path, X=X, y=Y, **fit_params):
    """Fit until an epoch; what is left is the checkpoint."""
    killed = clone(model).set_params(checkpoint=path, callbacks=[KillAt(epoch)])
    with pytest.raises(Killed):
        killed.fit(X, y, **fit_params)


def assert_resumes(model, path, epochs=(3,), X=X, y=Y, **fit_params):
    whole = clone(model).fit(X, y, **fit_params)
    for epoch in epochs:
        kill(model, epoch, path, X, y, **fit_params)
    resumed = clone(model).set_params(checkpoint=path).fit(X, y, **fit_params)
    assert_same_fit(whole, resumed)
    again = clone(model).set_params(checkpoint=path, callbacks=[KillAt(1)])
    assert_same_fit(whole, again.fit(X, y, **fit_params))  # nothing is trained


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


def mlp(**params):
    given = {"hidden_layer_sizes": (8,), "max_iter": 6, "batch_size": 32}
    return MLPClassifier(**(given | {"random_state": 0} | params))


SOLVERS = ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta"]
CASES = {
    **{f"solver {name}": {"solver": name} for name in SOLVERS},
    "momentum and a falling rate": {"solver": "sgd", "learning_rate": "invscaling"},
    "an adaptive rate": {
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
    "averaging": {"weight_averaging": 0.9, "batch_norm": True},
    "averaging, validated": {"weight_averaging": 0.9, "early_stopping": True},
    "all rows again": {"early_stopping": True, "refit_full": True, "dropout": 0.1},
    "a share of the rows": {"train_size": 0.5, "early_stopping": True},
    "no shuffling": {"shuffle": False, "dropout": 0.2},
    "a scorer": {"early_stopping": True, "scoring": "f1_macro"},
    "class weights": {"class_weight": "balanced", "label_smoothing": 0.1},
    "clipped": {"max_grad_norm": 0.1, "dtype": "float32", "amp": True},
    "frozen": {"frozen_layers": [0], "hidden_layer_sizes": (8, 4)},
    "all at once": {
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
def test_resumed_fit_equals_uninterrupted_fit(params, path):
    assert_resumes(mlp(**params), path)


def test_fit_killed_many_times_equals_uninterrupted_fit(path):
    model = mlp(dropout=0.3, weight_averaging=0.5, max_iter=9, early_stopping=True)
    assert_resumes(model, path, epochs=[1, 2, 2, 5, 8, 9])


@pytest.mark.parametrize("epoch", [1, 7, 9])
def test_refit_full_resumes_from_either_stage(epoch, path):
    """The first stage has six epochs; the callback counts anew in the second."""
    model = mlp(early_stopping=True, refit_full=True, dropout=0.2)
    whole = clone(model).fit(X, Y)

    class KillLater(Callback):
        seen = 0

        def on_epoch_end(self, net, **kwargs):
            KillLater.seen += 1
            if KillLater.seen == epoch:
                raise Killed

    killed = clone(model).set_params(checkpoint=path, callbacks=[KillLater()])
    with pytest.raises(Killed):
        killed.fit(X, Y)
    assert_same_fit(whole, model.set_params(checkpoint=path).fit(X, Y))


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (SoftmaxRegression(max_iter=6, random_state=0), Y.astype(str)),
        (SoftmaxRegression(max_iter=6, random_state=0), Y > 0),
        (MLPRegressor(hidden_layer_sizes=5, max_iter=6, random_state=0), X[:, 20:22]),
        (
            CNNClassifier(
                conv_channels=(3,),
                hidden_layer_sizes=(4,),
                conv_dropout=0.1,
                max_iter=4,
                random_state=0,
            ),
            Y,
        ),
    ],
    ids=["strings", "two classes", "regressor", "convolutions"],
)
def test_every_estimator_resumes(model, y, path):
    assert_resumes(model, path, X=X, y=y)


def test_fit_resumes_with_sparse_data_weights_and_validation_set(path):
    weight = np.random.default_rng(0).random(150)
    given = {"sample_weight": weight, "X_val": X[150:], "y_val": Y[150:]}
    sparse = scipy.sparse.csr_matrix(X[:150])
    assert_resumes(mlp(early_stopping=True), path, X=sparse, y=Y[:150], **given)


def test_fit_resumes_with_memory_mapped_data(path, tmp_path, monkeypatch):
    monkeypatch.setattr("skmlp.training.data.sources.WINDOW", 20_000)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
    assert_resumes(mlp(early_stopping=True, dropout=0.1), path, X=mapped)
    with pytest.raises(ValueError, match="another fit: X was source float64"):
        mlp(early_stopping=True, dropout=0.1, checkpoint=path).fit(X, Y)


def test_unseeded_fit_resumes_its_own_random_sequence(path):
    model = mlp(random_state=None, early_stopping=True, refit_full=True)
    kill(model, 3, path)
    before = path.read_bytes()
    one = clone(model).set_params(checkpoint=path).fit(X, Y)
    path.write_bytes(before)
    two = clone(model).set_params(checkpoint=path).fit(X, Y)
    assert one.best_epoch_ == two.best_epoch_
    np.testing.assert_array_equal(one.loss_curve_, two.loss_curve_)


def test_random_state_instance_advances_as_in_uninterrupted_fit(path):
    whole, resumed = np.random.RandomState(3), np.random.RandomState(3)
    mlp(random_state=whole).fit(X, Y)
    kill(mlp(random_state=np.random.RandomState(3)), 3, path)
    mlp(random_state=resumed, checkpoint=path).fit(X, Y)
    assert whole.randint(10**6) == resumed.randint(10**6)
    with pytest.raises(ValueError, match="another fit: random_state was RandomState #"):
        mlp(random_state=resumed, checkpoint=path).fit(X, Y)


class Interrupt(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4:
            raise KeyboardInterrupt


def test_fit_resumes_after_ctrl_c(path):
    whole = mlp().fit(X, Y)
    interrupted = mlp(checkpoint=path, callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match="interrupted by user"):
        interrupted.fit(X, Y)
    assert interrupted.n_iter_ == 3
    assert_same_fit(whole, interrupted.set_params(callbacks=None).fit(X, Y))


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_refit_after_ctrl_c_is_not_resumed(path):
    """It began from where the generator was then."""
    shared = np.random.RandomState(0)
    model = mlp(early_stopping=True, refit_full=True, random_state=shared)
    whole = clone(model).fit(X, Y)
    clone(model).set_params(checkpoint=path, callbacks=[Interrupt()]).fit(X, Y)
    assert_same_fit(whole, model.set_params(checkpoint=path).fit(X, Y))


def test_random_state_shared_with_callback_refuses_to_resume(path):
    class Draws(KillAt):
        def on_epoch_end(self, net, **kwargs):
            shared.rand()
            super().on_epoch_end(net, **kwargs)

    shared = np.random.RandomState(0)
    model = mlp(random_state=shared, checkpoint=path, callbacks=[Draws(3)])
    with pytest.raises(Killed):
        model.fit(X, Y)
    model.set_params(random_state=np.random.RandomState(0), callbacks=None)
    with pytest.raises(ModelFileError, match="something else than fit drew from"):
        model.fit(X, Y)


def test_resumed_fit_repeats_convergence_warning(path):
    kill(mlp(), 3, path)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            mlp(checkpoint=path).fit(X, Y)


# Refusals

OTHER_PARAMETERS = {
    "alpha": 0.3,
    "solver": "sgd",
    "hidden_layer_sizes": (9,),
    "max_iter": 7,
    "random_state": 1,
    "batch_size": 31,
    "augmentation": GaussianNoise(0.2),
    "scoring": "f1_macro",
    "early_stopping": True,
    "dtype": "float32",
    "class_weight": {0: 1.0, 1: 2.0, 2: 1.0},
    "frozen_layers": [0],
}


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_changed_parameter_is_refused_by_name(name, path):
    kill(mlp(), 2, path)
    before = path.read_bytes()
    other = mlp(checkpoint=path, **{name: OTHER_PARAMETERS[name]})
    with pytest.raises(ValueError, match=f"is of another fit: {name} was .* and is "):
        other.fit(X, Y)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("X", lambda X, y: (X + 1e-12, y)),
        ("X", lambda X, y: (X[:-1], y[:-1])),
        ("X", lambda X, y: (X.astype(np.float32), y)),
        ("X", lambda X, y: (scipy.sparse.csr_matrix(X), y)),
        ("y", lambda X, y: (X, np.roll(y, 1))),
        ("y", lambda X, y: (X, y + 1)),
        ("sample_weight", lambda X, y: (X, y, np.ones(len(y)))),
        ("X_val", lambda X, y: (X, y, None, X, y)),
    ],
)
def test_changed_data_are_refused_by_name(name, change, path):
    kill(mlp(), 2, path)
    with pytest.raises(ValueError, match=f"is of another fit: {name} was "):
        mlp(checkpoint=path).fit(*change(X, Y))


def test_checkpoint_of_another_estimator_is_refused(path):
    kill(mlp(), 2, path)
    with pytest.raises(ValueError, match="estimator was MLPClassifier and is Soft"):
        SoftmaxRegression(checkpoint=path).fit(X, Y)


def test_changed_init_from_is_refused(path):
    first, second = mlp().fit(X, Y), mlp(random_state=1).fit(X, Y)
    kill(mlp(init_from=FrozenEstimator(first)), 2, path)
    with pytest.raises(ValueError, match="another fit: init_from was "):
        mlp(init_from=FrozenEstimator(second), checkpoint=path).fit(X, Y)


@pytest.mark.parametrize("params", [{"verbose": True}, {"checkpoint_interval": 60.0}])
def test_parameters_without_effect_on_results_may_change(params, path, capsys):
    whole = mlp().fit(X, Y)
    kill(mlp(), 3, path)
    assert_same_fit(whole, mlp(checkpoint=path, **params).fit(X, Y))


def test_fit_that_failed_before_training_does_not_block_next_fit(path):
    with pytest.raises(ValueError, match="train_size=500"):
        mlp(checkpoint=path, train_size=500).fit(X, Y)
    mlp(checkpoint=path).fit(X, Y)


def test_checkpoint_refuses_lbfgs_and_warm_start(path):
    with pytest.raises(ValueError, match="checkpoint is written after epochs"):
        mlp(checkpoint=path, solver="lbfgs").fit(X, Y)
    with pytest.raises(ValueError, match="checkpoint is of one fit from its beginning"):
        mlp(checkpoint=path, warm_start=True).fit(X, Y)
    assert not path.exists()


def test_partial_fit_ignores_checkpoint(path):
    model = mlp(checkpoint=path)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    assert not path.exists()
    model.fit(X, Y)
    before = path.read_bytes()
    model.partial_fit(X, Y)
    assert path.read_bytes() == before


# The file


def test_damaged_file_is_refused_and_left_unchanged(path):
    kill(mlp(dropout=0.1), 3, path)
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 40, dtype=int).tolist():
        flipped = bytearray(whole)
        flipped[at] ^= 4
        for content in (whole[:at], bytes(flipped)):
            path.write_bytes(content)
            model = mlp(dropout=0.1, checkpoint=path)
            with pytest.raises(ModelFileError, match=r"fit\.checkpoint"):
                model.fit(X, Y)
            assert not hasattr(model, "net_")
            assert path.read_bytes() == content


def test_model_and_checkpoint_files_are_distinguished(path, tmp_path):
    model = mlp(checkpoint=path).fit(X, Y)
    with pytest.raises(ModelFileError, match="holds a checkpoint, but no model"):
        load_model(path)
    save_model(model, tmp_path / "model")
    with pytest.raises(ModelFileError, match="holds a model, but no checkpoint"):
        mlp(checkpoint=tmp_path / "model").fit(X, Y)
    assert load_model(tmp_path / "model").checkpoint == path


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"facts":{"dict":{}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":1}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":{"dict":{"state":1}}}}}',
        '{"facts":{"dict":{}},"stages":{"dict":{"fit":{"dict":'
        '{"state":1,"start":"x"}}}}}',
    ],
)
def test_intact_file_with_invalid_content_is_refused(content, path):
    path.write_bytes(container.serialize_container(content, {}, "checkpoint"))
    with pytest.raises(ModelFileError, match="is no checkpoint of a fit"):
        mlp(checkpoint=path).fit(X, Y)


def test_checkpoint_is_not_a_pickle(path):
    mlp(checkpoint=path, dropout=0.1).fit(X, Y)
    with pytest.raises(pickle.UnpicklingError):
        pickle.load(io.BytesIO(path.read_bytes()))


def test_checkpoint_is_written_before_training_without_leftovers(path):
    kill(mlp(), 1, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    (left,) = path.parent.iterdir()
    assert left.stat().st_size > 1000


def test_partial_file_of_killed_process_is_removed(path, tmp_path):
    kill(mlp(), 2, path)
    part = tmp_path / _part_file_name(path, "0" * 16)
    other = tmp_path / _part_file_name(tmp_path / "other", "0" * 16)
    part.touch()
    other.touch()
    mlp(checkpoint=path).fit(X, Y)
    assert not part.exists()
    assert other.exists()


def test_missing_folder_is_an_error_before_training(tmp_path):
    path = tmp_path / "missing" / "fit"
    with pytest.raises(FileNotFoundError, match=r"the checkpoint of .* was not saved"):
        mlp(checkpoint=path, callbacks=[KillAt(1)]).fit(X, Y)


def test_checkpoint_interval_skips_writes_except_last(path):
    model = mlp(checkpoint=path, checkpoint_interval=1e6)
    kill(model, 5, path)
    model.fit(X, Y)
    assert_same_fit(mlp().fit(X, Y), model)
    again = clone(model).set_params(callbacks=[KillAt(1)])
    assert_same_fit(model, again.fit(X, Y))


# Callbacks, clones, copies


class Counter(Callback):
    """Counts epochs, and says how many there were."""

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


def test_callback_with_state_dict_resumes(path):
    whole = mlp(callbacks=[Counter()]).fit(X, Y)
    killed = mlp(callbacks=[Counter(), KillAt(4)], checkpoint=path)
    with pytest.raises(Killed):
        killed.fit(X, Y)
    resumed = mlp(callbacks=[Counter()], checkpoint=path).fit(X, Y)
    assert resumed.callbacks_[0].count == 6
    assert_same_fit(whole, resumed)


@pytest.mark.filterwarnings("default:Training goes on after epoch")
def test_callback_without_state_dict_restarts_with_warning(path):
    kill(mlp(), 4, path)
    model = mlp(callbacks=[EarlyStopping("train_loss")], checkpoint=path)
    with pytest.warns(UserWarning, match="epoch 3, where EarlyStopping begins anew"):
        model.fit(X, Y)


def test_clone_copy_and_pickle_preserve_checkpoint_path(path):
    model = mlp(checkpoint=path, checkpoint_interval=2.5).fit(X, Y)
    assert clone(model).get_params() == model.get_params()
    assert copy.deepcopy(model).checkpoint == path
    assert pickle.loads(pickle.dumps(model)).checkpoint == path
