"""A killed ensemble resumes from the checkpoints of its members."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skmlp.neural_network import (
    EnsembleClassifier,
    MLPClassifier,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)


def ensemble_of(network=None, **params):
    """Return an ensemble of three networks."""
    network = network or MLPClassifier(8, max_iter=5, dropout=0.1, batch_size=50)
    return EnsembleClassifier(network, 3, **({"random_state": 0} | params))


class Killed(BaseException):
    """The process ends here."""


class KillLater(Callback):
    """End the fit after `left` further epochs of all members together."""

    left = 0

    def on_epoch_end(self, net, **kwargs):
        KillLater.left -= 1
        if KillLater.left == 0:
            raise Killed


@pytest.mark.filterwarnings("ignore:Training goes on after")
@pytest.mark.parametrize(
    ("in_pipeline", "bootstrap"), [(False, False), (False, True), (True, False)]
)
def test_killed_ensemble_resumes_from_checkpoint(in_pipeline, bootstrap, tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    network = MLPClassifier(
        8, max_iter=5, dropout=0.1, batch_size=50, callbacks=[KillLater()]
    )
    network = make_pipeline(StandardScaler(), network) if in_pipeline else network
    KillLater.left = 0
    whole = ensemble_of(network, bootstrap=bootstrap).fit(X, y)
    for epochs in (2, 7):
        KillLater.left = epochs
        with pytest.raises(Killed):
            ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    KillLater.left = 0
    resumed = ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), resumed.predict_proba(X))
    KillLater.left = 1  # a single further epoch would end the fit
    again = ensemble_of(network, bootstrap=bootstrap, checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), again.predict_proba(X))
    last = [m[-1] if in_pipeline else m for m in again.estimators_]
    assert [member.checkpoint for member in last] == [None] * 3


def test_checkpointed_ensemble_may_grow_but_not_change(tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    three = ensemble_of(checkpoint=tmp_path / "a").fit(X, y)
    four = clone(three).set_params(n_estimators=4).fit(X, y)
    for one, two in zip(three.estimators_, four.estimators_, strict=False):
        np.testing.assert_array_equal(one.coefs_[0], two.coefs_[0])
    with pytest.raises(ValueError, match="is of another fit: random_state was "):
        clone(three).set_params(random_state=1).fit(X, y)


def test_unusable_ensemble_checkpoints_are_refused(tmp_path):
    X, y = load_digits(n_class=3, return_X_y=True)
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        ensemble_of(random_state=None, checkpoint=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match="of MLPClassifier is one file, but several"):
        ensemble_of(MLPClassifier(checkpoint=tmp_path / "a")).fit(X, y)
    with pytest.raises(TypeError, match="LogisticRegression is not; set it to None"):
        ensemble_of(LogisticRegression(), checkpoint=tmp_path).fit(X, y)
    assert list(tmp_path.iterdir()) == []
