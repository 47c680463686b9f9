"""Every callback class of skorch, and Optuna's, in skorch and in our estimators.

Both train the same network from the same weights, on the same batches in the same
order. Their histories, the calls that a logger receives, and the files that a callback
writes then agree.
"""

import json
import pickle
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import cross_val_score
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from skmlp.neural_network import MLPClassifier, MLPRegressor

# Classes that skorch has and that no case below tries, with the reason.
NOT_COMPARED = {
    "Callback": "the base class; it does nothing",
    "InputShapeSetter": "fit builds the network for the features of X",
    "WarmRestartLR": "a schedule of torch; the case 'LRScheduler' uses it",
}
# Seconds differ from run to run.
NOT_EQUAL = {"dur", "batches"}


class Recorder:
    """Stands for a run or a writer of a logger, and records what it gets.

    It has a lock, as such objects have, so that it can neither be pickled nor be copied
    deeply.
    """

    def __init__(self, folder):
        self.lock = threading.Lock()
        self.dir = str(folder)
        self.calls = []
        self.info = self
        self.run_id = "1"

    def record(self, *values):
        if "dur" not in str(values[0]):
            self.calls.append(values)

    def add_scalar(self, tag, scalar_value, global_step):
        self.record(tag, scalar_value, global_step)

    def log_scalar(self, name, value, step=None):
        self.record(name, value, step)

    def log(self, values):
        self.calls += [(k, v) for k, v in sorted(values.items()) if k != "dur"]

    def watch(self, network):
        self.record("watch", isinstance(network, nn.Module))

    def log_metric(self, run_id, key, value, step):
        self.record(key, value, step)

    def log_artifact(self, run_id, path):
        self.record(Path(path).name, Path(path).stat().st_size > 0)

    def set_terminated(self, run_id):
        self.record("end")

    def close(self):
        self.record("close")


class NeptuneRun(Recorder):
    """A run of Neptune: a tree of names whose leaves are series."""

    def __init__(self, folder, path="run", calls=None):
        super().__init__(folder)
        self.path, self.calls = path, [] if calls is None else calls

    def __getitem__(self, name):
        return NeptuneRun(self.dir, f"{self.path}/{name}", self.calls)

    def __setitem__(self, name, value):
        if "config/" in name and "criterion" not in name and "optimizer" not in name:
            self.record(f"{self.path}/{name}", value)

    def append(self, value):
        if "duration" not in self.path:
            self.record(self.path, value)

    def stop(self):
        self.record("stop")


class ListFiller(Callback):
    """Fills a list that it was given, and has a constructor with free keywords."""

    def __init__(self, losses, **options):
        self.losses = losses
        vars(self).update(options)

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "valid_loss"])


class Case(NamedTuple):
    """Callbacks of one fit, and what they have left behind.

    `make` takes a folder and returns the callbacks. `observe` takes the folder and the
    callbacks of the fit by their names.
    """

    make: Any
    observe: Any = lambda folder, callbacks: None
    n_epochs: int = 4
    atol: float = 1e-9


def logged_by(attribute):
    """Return a function that reads the calls of a logger's run or writer."""
    return lambda folder, callbacks: getattr(callbacks["log"], attribute).calls


def files_of(folder, callbacks):
    """Return the names of the files in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


def lines_of(folder, callbacks):
    """Return the lines that were printed into a list, without durations."""
    return [line.split()[:-1] for line in callbacks["log"].sink.__self__]


def sum_of_frozen(folder, callbacks):
    """Return whether parameters require a gradient at the end."""
    return callbacks["see"].trained


class SeeTrained(Callback):
    """Records which parameters are trained in each epoch."""

    def initialize(self):
        self.trained = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        parameters = net.module_.parameters()
        self.trained.append([p.requires_grad for p in parameters])


def fill_with_hundredth(parameter):
    """Set all values of a parameter."""
    with torch.no_grad():
        parameter.fill_(0.01)


CASES = {
    "BatchScoring": Case(
        lambda folder: [
            BatchScoring("accuracy", lower_is_better=False, name="of_batches"),
            ("t", BatchScoring("accuracy", False, on_train=True, name="on_train")),
        ]
    ),
    "Checkpoint": Case(
        lambda folder: [
            (
                "cp",
                Checkpoint(dirname=Path(folder), f_pickle="net.pkl", load_best=True),
            ),
            Checkpoint("valid_acc_best", fn_prefix="acc_", dirname=str(folder)),
        ],
        files_of,
    ),
    "EarlyStopping": Case(
        lambda folder: [
            EarlyStopping("train_loss", patience=2, threshold=0.2, sink=str)
        ],
        n_epochs=20,
    ),
    "EpochScoring": Case(
        lambda folder: [
            EpochScoring("roc_auc_ovr", lower_is_better=False, name="auc"),
            EpochScoring("f1_macro", False, use_caching=False),
            EpochScoring("accuracy", False, on_train=True, name="train_acc"),
            EpochScoring(
                "neg_log_loss", False, on_train=True, use_caching=False, name="nll"
            ),
        ]
    ),
    "EpochTimer": Case(lambda folder: [("timer", EpochTimer())]),
    "Freezer": Case(
        lambda folder: [("freeze", Freezer("dense1*")), ("see", SeeTrained)],
        sum_of_frozen,
    ),
    "GradientNormClipping": Case(lambda folder: [GradientNormClipping(0.05)]),
    "Initializer": Case(
        lambda folder: [Initializer("output.weight", fn=fill_with_hundredth)]
    ),
    "LRScheduler": Case(
        lambda folder: [LRScheduler(WarmRestartLR, min_lr=0.01, base_period=2)]
    ),
    "LRScheduler of torch": Case(
        lambda folder: [LRScheduler("StepLR", step_size=3, step_every="batch")]
    ),
    "LoadInitState": Case(
        lambda folder: [
            ("cp", end := TrainEndCheckpoint(dirname=folder)),
            LoadInitState(end),
        ],
        files_of,
    ),
    "MlflowLogger": Case(
        lambda folder: [
            (
                "log",
                MlflowLogger(Recorder(folder), Recorder(folder), log_on_batch_end=True),
            )
        ],
        logged_by("client"),
    ),
    "NeptuneLogger": Case(
        lambda folder: [("log", NeptuneLogger(NeptuneRun(folder)))], logged_by("run")
    ),
    "ParamMapper": Case(
        lambda folder: [
            ParamMapper("*bias", fn=fill_with_hundredth, at=lambda net: True)
        ]
    ),
    "PassthroughScoring": Case(
        lambda folder: [
            ("rows", RecordRows()),
            PassthroughScoring("valid_rows", lower_is_better=False),
            PassthroughScoring("train_loss", lower_is_better=None, on_train=True),
        ]
    ),
    "PrintLog": Case(
        lambda folder: [
            ("log", PrintLog(["valid_score", "valid_score_best"], sink=[].append))
        ],
        lines_of,
    ),
    "ProgressBar": Case(
        lambda folder: [("bar", ProgressBar(detect_notebook=False))],
        lambda folder, callbacks: (
            callbacks["bar"].pbar_.total,
            callbacks["bar"].pbar_.n,
        ),
    ),
    "SacredLogger": Case(
        lambda folder: [("log", SacredLogger(Recorder(folder), log_on_batch_end=True))],
        logged_by("experiment"),
    ),
    "TensorBoard": Case(
        lambda folder: [("log", TensorBoard(Recorder(folder), keys_ignored=["dur"]))],
        logged_by("writer"),
    ),
    "TrainEndCheckpoint": Case(
        lambda folder: [TrainEndCheckpoint(dirname=folder, f_pickle="net.pkl")],
        files_of,
    ),
    "Unfreezer": Case(
        lambda folder: [
            ("freeze", Freezer("dense1*")),
            ("melt", Unfreezer("dense1*", at=3)),
            ("see", SeeTrained),
        ],
        sum_of_frozen,
    ),
    "WandbLogger": Case(
        lambda folder: [("log", WandbLogger(Recorder(folder)))], logged_by("wandb_run")
    ),
    "a list to fill": Case(
        lambda folder: [("list", ListFiller([], color="red"))],
        lambda folder, callbacks: callbacks["list"].losses,
    ),
}


class RecordRows(Callback):
    """Records a value of every batch."""

    def on_batch_end(self, net, batch, training, **kwargs):
        if not training:
            net.history.record_batch("valid_rows", float(batch[0].sum()))


class Perceptron(nn.Module):
    """From 64 pixels to the logits of ten digits, in float64."""

    def __init__(self, n_outputs=10):
        super().__init__()
        self.dense1 = nn.Linear(64, 8, dtype=torch.float64)
        self.output = nn.Linear(8, n_outputs, dtype=torch.float64)

    def forward(self, x):
        return self.output(self.dense1(x).relu())


@pytest.fixture(scope="module")
def start(digits, fit_quietly):
    """Fitted network, from whose weights both sides start."""
    return fit_quietly(MLPClassifier(8, random_state=0, max_iter=1), *digits)


@pytest.fixture(scope="module")
def valid():
    """X and y of 40 other digits: a batch of 30 and one of 10."""
    X, y = load_digits(return_X_y=True)
    return X[200:240] / 16, y[200:240]


@pytest.fixture
def fit_skorch(start, digits, valid):
    """Function that trains a net of skorch with callbacks."""

    def fit(callbacks, n_epochs):
        net = NeuralNetClassifier(
            Perceptron,
            criterion=nn.CrossEntropyLoss,
            train_split=predefined_split(Dataset(*valid)),
            batch_size=30,
            max_epochs=n_epochs,
            lr=0.1,
            verbose=0,
            callbacks=callbacks,
        ).initialize()
        net.module_.load_state_dict(start.net_.module_.state_dict())
        return net.partial_fit(*digits)

    return fit


@pytest.fixture
def fit_skmlp(start, digits, valid, fit_quietly):
    """Function that trains our estimator with callbacks."""

    def fit(callbacks, n_epochs, **params):
        model = MLPClassifier(
            8,
            solver="sgd",
            learning_rate_init=0.1,
            momentum=0,
            alpha=0,
            batch_size=30,
            shuffle=False,
            max_iter=n_epochs,
            n_iter_no_change=n_epochs,
            restore_best_weights=False,
            init_from=start,
            callbacks=callbacks,
            random_state=0,
        )
        model.set_params(**params)
        return fit_quietly(model, *digits, X_val=valid[0], y_val=valid[1])

    return fit


def assert_equal_values(actual, expected, atol):
    """Compare values of a history or calls of a logger; numbers up to rounding."""
    if isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, two in zip(actual, expected, strict=True):
            assert_equal_values(one, two, atol)
    elif isinstance(expected, (float, np.floating)):
        assert actual == pytest.approx(expected, rel=1e-7, abs=atol)
    else:
        assert actual == expected


def assert_equal_histories(actual, expected, atol):
    """Check that a history has all values of skorch's history."""
    assert len(actual) == len(expected)
    for row, peer in zip(actual, expected, strict=True):
        watched = "train_batch_size" in row["batches"][0]
        # Without a callback that watches batches, the validation set is one batch.
        ignored = NOT_EQUAL if watched else NOT_EQUAL | {"valid_batch_count"}
        for name in peer.keys() - ignored:
            assert_equal_values(row[name], peer[name], atol)
        if watched:
            for batch, of_peer in zip(row["batches"], peer["batches"], strict=True):
                for name, value in of_peer.items():
                    assert_equal_values(batch[name], value, atol)


def stand_in_for_neptune(monkeypatch):
    """Give the names that skorch's logger imports from Neptune."""
    modules = {name: ModuleType(name) for name in ("neptune.types", "neptune.handler")}
    modules["neptune.types"].File = type(
        "File", (), {"from_content": staticmethod(lambda text, extension: text)}
    )
    modules["neptune.handler"].Handler = type("Handler", (), {})
    for name, module in {"neptune": ModuleType("neptune"), **modules}.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_every_callback_class_of_skorch_has_a_case():
    tried = {name.split(" ")[0] for name in CASES}
    missing = {"ParamMapper", *skorch.callbacks.__all__} - tried
    assert missing == set(NOT_COMPARED)


@pytest.mark.parametrize("name", CASES)
def test_callback_does_the_same_as_in_skorch(
    name, tmp_path, fit_skorch, fit_skmlp, monkeypatch
):
    if name == "NeptuneLogger":
        stand_in_for_neptune(monkeypatch)
    case = CASES[name]
    folders = tmp_path / "skorch", tmp_path / "skmlp"
    for folder in folders:
        folder.mkdir()
    net = fit_skorch(case.make(folders[0]), case.n_epochs)
    model = fit_skmlp(case.make(folders[1]), case.n_epochs)
    assert_equal_histories(model.history_, net.history, case.atol)
    ours = case.observe(folders[1], dict(model.net_.callbacks_))
    theirs = case.observe(folders[0], dict(net.callbacks_))
    if name.endswith("Logger") or name == "TensorBoard":
        # The history has `valid_score` too, which skorch does not know.
        ours = [call for call in ours if "valid_score" not in str(call[0])]
        ours = [c for c in ours if "score" not in str(c[0]).rpartition("/")[2]]
        ours, theirs = (sorted(calls, key=repr) for calls in (ours, theirs))
        assert len(theirs) > case.n_epochs
    assert_equal_values(ours, theirs, case.atol)
    for one, two in zip(
        model.net_.module_.parameters(), net.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-9)


def test_scorers_accept_a_regressor(digits, fit_quietly):
    X, y = digits[0], digits[1].astype(float)
    scoring = EpochScoring("r2", lower_is_better=False, on_train=True)
    model = MLPRegressor(
        hidden_layer_sizes=8, batch_size=30, max_iter=2, random_state=0
    )
    fit_quietly(model.set_params(callbacks=[scoring]), X, y)
    assert model.history_[-1, "r2"] < 1
    assert np.isfinite(model.history_[:, "r2"]).all()


def test_two_classes_have_two_columns_of_probabilities_for_scorers(fit_quietly):
    X, y = load_iris(return_X_y=True)
    X, y = X[50:], y[50:]
    scoring = EpochScoring("roc_auc", lower_is_better=False, on_train=True)
    model = MLPClassifier(5, max_iter=3, batch_size=50, shuffle=False, random_state=0)
    fit_quietly(model.set_params(callbacks=[scoring, EpochScoring("f1", False)]), X, y)
    assert 0 <= model.history_[-1, "roc_auc"] <= 1
    assert model.net_.predict_proba(X.astype(np.float32)).shape == (100, 2)


def test_arguments_of_callbacks_are_not_copied(digits, fit_quietly, tmp_path):
    losses = []
    writer = TensorBoard(Recorder(tmp_path))
    model = MLPClassifier(4, max_iter=3, early_stopping=True, random_state=0)
    model.set_params(callbacks=[ListFiller(losses), writer])
    fit_quietly(clone(model), *digits)
    assert len(losses) == 3
    assert writer.writer.calls
    assert not hasattr(writer, "keys_ignored_")  # the parameter is not changed


def test_a_callback_class_and_a_named_pair_are_called(digits, fit_quietly):
    model = MLPClassifier(4, max_iter=3, random_state=0)
    model.set_params(callbacks=[SeeTrained, ("again", SeeTrained())])
    fit_quietly(model, *digits)
    assert [len(callback.trained) for callback in model.callbacks_] == [3, 3]
    assert "again" in dict(model.net_.callbacks_)


def test_train_begin_gets_features_and_targets(digits, fit_quietly):
    seen = []

    class Look(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            seen.append((X, y))

    labels = np.array(list("abcdefghij"))[digits[1]]
    model = MLPClassifier(4, max_iter=2, early_stopping=True, callbacks=[Look()])
    fit_quietly(model, digits[0], labels)
    np.testing.assert_array_equal(seen[0][0], digits[0])
    np.testing.assert_array_equal(seen[0][1], labels)


def is_second_epoch(net):
    """Tell whether two epochs are in the history."""
    return len(net.history) == 2


def test_checkpoint_loads_after_fit(tmp_path, fit_skmlp, digits):
    checkpoint = Checkpoint(monitor=is_second_epoch, dirname=str(tmp_path))
    model = fit_skmlp([checkpoint], 4)
    last = model.predict_proba(digits[0])
    model.net_.load_params(checkpoint=model.callbacks_[0])
    assert len(model.history_) == 2
    assert model.history_ is model.net_.history
    shorter = fit_skmlp(None, 2)
    np.testing.assert_array_equal(
        model.predict_proba(digits[0]), shorter.predict_proba(digits[0])
    )
    assert np.abs(last - shorter.predict_proba(digits[0])).max() > 1e-6
    pickle.loads(pickle.dumps(model))


def test_second_fit_starts_from_the_end_of_the_first(tmp_path, fit_skmlp, digits):
    def callbacks():
        end = TrainEndCheckpoint(dirname=str(tmp_path))
        return [end, LoadInitState(end)]

    fit_skmlp(callbacks(), 2)
    second = fit_skmlp(callbacks(), 3)
    assert len(second.history_) == 5
    whole = fit_skmlp(None, 5)
    np.testing.assert_allclose(
        second.predict_proba(digits[0]), whole.predict_proba(digits[0]), atol=1e-12
    )
    assert len(json.loads((tmp_path / "train_end_history.json").read_text())) == 5


@pytest.mark.parametrize(
    ("callbacks", "error", "message"),
    [
        ([5], TypeError, r"callbacks\[0\] is 5, which is no skorch callback"),
        ([EpochTimer(), ("a", "b")], TypeError, r"callbacks\[1\] is 'b'"),
        ([InputShapeSetter()], ValueError, "remove it"),
        ([InputShapeSetter], ValueError, "InputShapeSetter"),
    ],
)
def test_other_objects_are_refused_before_training(callbacks, error, message, digits):
    with pytest.raises(error, match=message):
        MLPClassifier(4, callbacks=callbacks).fit(*digits)


def test_trial_of_optuna_is_pruned_as_in_skorch(fit_skorch, fit_skmlp):
    optuna = pytest.importorskip("optuna")
    integration = pytest.importorskip("optuna_integration.skorch")

    def study(fit):
        def objective(trial):
            callback = integration.SkorchPruningCallback(trial, "valid_acc")
            fit([callback], 4)
            return 1.0

        pruner = optuna.pruners.ThresholdPruner(lower=2.0, n_warmup_steps=1)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        study.optimize(objective, n_trials=1)
        return study.trials[0]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ours, theirs = study(fit_skmlp), study(fit_skorch)
    assert ours.state == theirs.state == optuna.trial.TrialState.PRUNED
    assert len(ours.intermediate_values) == 2
    assert ours.intermediate_values == pytest.approx(theirs.intermediate_values)


def test_trial_of_optuna_sees_the_folds_of_a_cross_validation(digits, fit_quietly):
    optuna = pytest.importorskip("optuna")
    integration = pytest.importorskip("optuna_integration.skorch")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study().ask()
    callback = integration.SkorchPruningCallback(trial, "train_loss")
    model = MLPClassifier(4, max_iter=2, tol=10.0, callbacks=[callback])
    with pytest.warns(UserWarning, match="Maximum iterations|already reported"):
        cross_val_score(model, *digits, cv=2)
    assert len(trial.storage.get_trial(trial._trial_id).intermediate_values) == 2
