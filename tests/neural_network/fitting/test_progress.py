"""`verbose` prints lines, one line or a live progress bar, and changes no result."""

import io
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress
from sklearn.base import clone
from skorch.callbacks import Callback

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)
from skmlp.neural_network._fit import progress as _progress
from skmlp.neural_network._packs import packed_fit as _packed_fit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def mlp(mlp):
    defaults = {"max_iter": 4, "early_stopping": True}
    return lambda **params: mlp(**defaults | params)


class Terminal(io.StringIO):
    """A terminal of 80 columns that records all output."""

    def isatty(self):
        return True

    @property
    def frames(self):
        """All lines in the order of drawing, without colors."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue())
        lines = re.split(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]", plain)
        return [line for line in lines if line]

    @property
    def cursor_is_shown(self):
        *_, last = re.findall(r"\x1b\[\?25([lh])", self.getvalue())
        return last == "h"


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(_progress, "Console", lambda stderr: Console(file=terminal))
    monkeypatch.setattr(_progress, "Progress", UndelayedProgress)
    return terminal


class UndelayedProgress(Progress):
    """A progress display that draws every change at once."""

    def add_task(self, *args, **kwargs):
        task = super().add_task(*args, **kwargs)
        self.refresh()
        return task

    def update(self, *args, **kwargs):
        super().update(*args, **kwargs)
        self.refresh()


# Lines


@pytest.mark.parametrize("verbose", [True, np.True_, 2, np.int64(3)])
def test_verbose_true_or_above_one_prints_every_epoch(verbose, capsys, mlp, digits):
    model = mlp(verbose=verbose).fit(*digits)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"Iteration 1, loss = {model.loss_curve_[0]:.8f}",
        f"Validation score: {model.validation_scores_[0]:f}",
    ]
    assert len(lines) == 2 * model.n_iter_


@pytest.mark.parametrize("verbose", [False, 0, np.False_, "bar"])
def test_other_verbose_values_print_nothing_without_terminal(
    verbose, capfd, monkeypatch, mlp, digits
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich write colors to pipes
    mlp(verbose=verbose).fit(*digits)
    PackedGridSearchCV(mlp(verbose=verbose), {"alpha": [0, 1]}, cv=2).fit(*digits)
    assert capfd.readouterr() == ("", "")


def test_verbose_one_prints_one_line(capsys, mlp, digits):
    model = mlp(verbose=1).fit(*digits)
    groups = re.fullmatch(
        r"MLPClassifier: 4 epochs in [\d.e-]+ s on (\w+), loss (\S+), "
        r"validation score (\S+)\n",
        capsys.readouterr().out,
    )
    assert groups[1] == str(model.device_)
    assert groups[2] == f"{model.loss_:.4g}"
    assert groups[3] == f"{model.best_validation_score_:.4f}"


@pytest.mark.parametrize(
    ("model", "begin"),
    [
        (SoftmaxRegression(solver="lbfgs", tol=1), r"SoftmaxRegression: \d+ iteration"),
        (CNNClassifier((2,), max_iter=1), "CNNClassifier: 1 epoch in "),
        (MLPRegressor(hidden_layer_sizes=3, max_iter=2), "MLPRegressor: 2 epochs in "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_estimator_prints_its_line(model, begin, capsys, digits):
    model.set_params(verbose=1).fit(*digits)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.match(begin, line)
    assert "score" not in line


def test_partial_fit_and_refit_print_one_line_per_call(capsys, mlp, digits):
    model = MLPClassifier(3, verbose=1, random_state=0)
    model.partial_fit(*digits, classes=range(10)).partial_fit(*digits)
    assert capsys.readouterr().out.count("MLPClassifier: 1 epoch in ") == 2
    mlp(verbose=1, refit_full=True).fit(*digits)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("verbose", [1, "bar"])
def test_verbose_does_not_split_packs(
    verbose, monkeypatch, capsys, terminal, mlp, digits
):
    packs = []
    train = _packed_fit.train_pack
    monkeypatch.setattr(
        _packed_fit,
        "train_pack",
        lambda members, *rest: packs.append(len(members)) or train(members, *rest),
    )
    model = EnsembleClassifier(mlp(verbose=verbose), 3, random_state=0).fit(*digits)
    assert packs == [3]
    lines = capsys.readouterr().out.splitlines()
    if verbose == 1:
        losses = [line.split("loss ")[1].split(",")[0] for line in lines]
        assert losses == [f"{member.loss_:.4g}" for member in model.estimators_]
    else:
        assert lines == []
        assert any("3 networks" in frame for frame in terminal.frames)


# The bar


def test_progress_bar_fits_eighty_columns(terminal, mlp, digits):
    model = mlp(verbose="bar", max_iter=12, tol=1, n_iter_no_change=99)
    X, y = digits
    model.fit(X * 1000, y)
    frames = [frame for frame in terminal.frames if "loss" in frame]
    assert len(model.history_) == 12
    for epoch, record in enumerate(model.history_, start=1):
        (frame,) = {frame for frame in frames if f" {epoch}/12 " in frame}
        assert len(frame) <= 80
        assert frame.startswith("MLPClassifier ━")
        assert f"loss {record['train_loss']:.4g} " in frame
        assert f"score {record['valid_score']:.4f} " in frame
        assert re.search(r" (--|\d\d):(--|\d\d)$", frame.rstrip())
    assert not any("…" in frame for frame in terminal.frames)


def test_progress_bar_with_long_numbers_fits_eighty_columns(terminal):
    with _progress.SCREEN.row("SoftmaxRegression", 10_000) as update:
        update(9_999, "loss 1.234e-05 score -0.1234")
    frame = terminal.frames[-1]
    assert re.fullmatch(
        r"SoftmaxRegression ━+[╸╺]? 9999/10000 loss 1.234e-05 score -0.1234 \S+", frame
    )
    assert len(frame) <= 80


def test_progress_bar_is_erased_after_fit(terminal, mlp, digits):
    out, err = sys.stdout, sys.stderr
    mlp(verbose="bar").fit(*digits)
    assert terminal.frames
    assert terminal.cursor_is_shown
    # After the line is erased, only the cursor is switched on.
    after = terminal.getvalue().rpartition("\x1b[2K")[2]
    assert after.replace("\x1b[?25h", "").strip() == ""
    assert (sys.stdout, sys.stderr) == (out, err)
    assert _progress.SCREEN._display is None


def test_redirected_output_bypasses_progress_bar(terminal, capsys, mlp, digits):
    class Printer(Callback):
        def on_epoch_end(self, net, **kwargs):
            print("epoch", len(net.history))

    mlp(verbose="bar", max_iter=2, callbacks=[Printer()]).fit(*digits)
    assert capsys.readouterr().out == "epoch 1\nepoch 2\n"


def test_stderr_output_is_shown_above_progress_bar(terminal, mlp, digits):
    class StderrWriter(Callback):
        def on_epoch_end(self, net, **kwargs):
            sys.stderr.write("look out\n")

    mlp(verbose="bar", max_iter=1, callbacks=[StderrWriter()]).fit(*digits)
    assert "look out\n" in terminal.getvalue()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_restores_terminal(error, terminal, mlp, digits):
    class FailingCallback(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                raise error

    model = mlp(verbose="bar", callbacks=[FailingCallback()])
    if error is ValueError:
        with pytest.raises(ValueError, match=r"^$"):
            model.fit(*digits)
    else:
        with pytest.warns(match="interrupted by user"):
            model.fit(*digits)
    assert terminal.cursor_is_shown
    assert _progress.SCREEN._display is None


def test_progress_bars_of_threads_share_screen(terminal, mlp, digits):
    expected = mlp().fit(*digits).coefs_[0]
    barrier = threading.Barrier(3)
    n_bars, coefs = [], []

    class WaitForOthers(Callback):
        def on_epoch_begin(self, net, **kwargs):
            barrier.wait(60)
            if len(net.history) < net.max_epochs:  # no thread has ended its fit
                n_bars.append(len(_progress.SCREEN._display.tasks))

    def fit():
        model = mlp(verbose="bar", callbacks=[wait]).fit(*digits)
        coefs.append(model.coefs_[0])

    wait = WaitForOthers()
    wait.__sklearn_clone__ = lambda: wait
    with warnings.catch_warnings(action="ignore"):
        threads = [threading.Thread(target=fit) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert n_bars == [3] * 9
    assert all(np.array_equal(coef, expected) for coef in coefs)
    assert terminal.cursor_is_shown
    assert _progress.SCREEN._display is None


def test_progress_bars_of_search_and_fits_share_screen(terminal, mlp, digits):
    search = PackedGridSearchCV(
        mlp(verbose="bar"), {"alpha": [0, 1], "activation": ["gelu", "relu"]}, cv=2
    )
    search.set_params(verbose=1, refit=False).fit(*digits)
    titles = {re.sub(r" +[━╸╺].*", "", frame) for frame in terminal.frames}
    assert titles == {"8 fits", "4 networks", "MLPClassifier"}
    lines = [frame for frame in terminal.frames if frame.startswith("8 fits")]
    done = [int(re.search(r" (\d+)/32 ", line)[1]) for line in lines]
    assert done == sorted(done)
    # Single networks end one epoch at a time, a pack of four ends four at a time.
    assert set(done) == {*range(17), 20, 24, 28, 32}
    assert terminal.getvalue().count("\x1b[?25h") == 1


def test_worker_processes_show_no_progress_bar(terminal, monkeypatch, mlp, digits):
    class Worker:
        name = "LokyProcess-1"

    monkeypatch.setattr(_progress, "current_process", Worker)
    mlp(verbose="bar").fit(*digits)
    assert terminal.getvalue() == ""


def test_lbfgs_progress_bar_counts_iterations(terminal, digits):
    model = SoftmaxRegression(solver="lbfgs", tol=0.1, verbose="bar", max_iter=50)
    model.fit(*digits)
    for iteration in range(model.n_iter_ + 1):
        assert any(f" {iteration}/50 " in frame for frame in terminal.frames)


PROGRAM = """
import os, signal
from skorch.callbacks import Callback
from sklearn.datasets import load_iris
from skmlp.neural_network import MLPClassifier

class Interrupt(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest may ignore it
model = MLPClassifier(3, verbose="bar", callbacks=[Interrupt()])
model.fit(*load_iris(return_X_y=True))
print("epochs", model.n_iter_)
"""


def test_ctrl_c_restores_terminal_and_keeps_finished_epochs(tmp_path):
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX's")
    leader, follower = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    env |= {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=env,
    ) as process:
        os.close(follower)
        written = b""
        try:
            while data := os.read(leader, 4096):
                written += data
        except OSError:  # Linux raises it when the other side is closed
            pass
    os.close(leader)
    assert process.returncode == 0
    terminal = Terminal()
    terminal.write(written.decode())
    text = " ".join(written.decode().split())  # a long path may break the line anywhere
    assert "epochs 2" in text
    assert "interrupted by user" in text
    assert terminal.cursor_is_shown


# The parameter


@pytest.mark.parametrize("verbose", [True, 1, 2, "bar"])
def test_verbose_does_not_change_results(
    verbose, terminal, mlp, assert_equal_weights, digits
):
    quiet = mlp(dropout=0.2).fit(*digits)
    shown = mlp(dropout=0.2, verbose=verbose).fit(*digits)
    assert_equal_weights(shown, quiet)
    assert quiet.loss_curve_ == shown.loss_curve_


@pytest.mark.parametrize("verbose", ["bars", -1, None, 0.5])
def test_invalid_verbose_is_refused(verbose, mlp, digits):
    with pytest.raises(ValueError, match="The 'verbose' parameter of MLPClassifier"):
        mlp(verbose=verbose).fit(*digits)


def test_verbose_survives_clone_and_pickle(terminal, mlp, digits):
    model = clone(mlp(verbose="bar")).fit(*digits)
    unpickled = pickle.loads(pickle.dumps(model))
    assert unpickled.verbose == "bar"
    np.testing.assert_array_equal(
        unpickled.predict(digits[0]), model.predict(digits[0])
    )
    unpickled.set_params(early_stopping=False).partial_fit(*digits)
