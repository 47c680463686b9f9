"""Fits that are killed at an epoch, and the comparison with uninterrupted fits."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback


@pytest.fixture(scope="session")
def digits():
    """200 digits of three classes, in [0, 1], and their labels."""
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:200] / 16, y[:200]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


class KillAt(Callback):
    """End the fit when an epoch has ended, before the checkpoint holds it."""

    class Killed(Exception):
        """The process ends here."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.Killed


@pytest.fixture(scope="session")
def kill_at():
    """Class of a callback that ends the fit at an epoch."""
    return KillAt


@pytest.fixture(scope="session")
def kill(digits):
    """Function that fits until an epoch and leaves the checkpoint."""

    def fit_until(model, epoch, path, X=None, y=None, **fit_params):
        X, y = (digits[0] if X is None else X), (digits[1] if y is None else y)
        killed = clone(model).set_params(checkpoint=path, callbacks=[KillAt(epoch)])
        with pytest.raises(KillAt.Killed):
            killed.fit(X, y, **fit_params)

    return fit_until


RESULTS = [
    "coefs_",
    "intercepts_",
    "loss_curve_",
    "validation_scores_",
    "n_iter_",
    "t_",
]
RESULTS += ["best_epoch_", "best_validation_score_", "loss_", "best_loss_"]


@pytest.fixture(scope="session")
def assert_same_fit():
    """Comparison of all results of two fits, to the bit."""

    def assert_same(one, two):
        for name in RESULTS:
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

    return assert_same


def without_durations(history):
    """Return the records of the history without the seconds that an epoch took."""
    return [{k: v for k, v in record.items() if k != "dur"} for record in history]


@pytest.fixture(scope="session")
def assert_resumes(kill, assert_same_fit, digits):
    """Comparison of an uninterrupted fit with one that is killed at `epochs`."""

    def check(model, path, epochs=(3,), X=None, y=None, **fit_params):
        X, y = (digits[0] if X is None else X), (digits[1] if y is None else y)
        whole = clone(model).fit(X, y, **fit_params)
        for epoch in epochs:
            kill(model, epoch, path, X, y, **fit_params)
        resumed = clone(model).set_params(checkpoint=path).fit(X, y, **fit_params)
        assert_same_fit(whole, resumed)
        # The checkpoint holds the end of the fit: no epoch is left to be killed.
        ended = clone(model).set_params(checkpoint=path, callbacks=[KillAt(1)])
        assert_same_fit(whole, ended.fit(X, y, **fit_params))

    return check
