"""Weight averaging, and the choice between the best and the last weights."""

import numpy as np
import pytest

from skmlp.neural_network import MLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs, on purpose
)


@pytest.fixture
def fit(digits32):
    """Function that fits a network for six epochs."""

    def fit_mlp(**params):
        defaults = {"hidden_layer_sizes": 16, "max_iter": 6, "random_state": 0}
        return MLPClassifier(**defaults | params).fit(*digits32)

    return fit_mlp


def test_zero_decay_disables_weight_averaging(fit):
    plain, averaged = fit(), fit(weight_averaging=0.0)
    np.testing.assert_array_equal(plain.coefs_[0], averaged.coefs_[0])


def test_averaged_weights_lag_behind_last_weights_and_predict(fit):
    plain, averaged = fit(), fit(weight_averaging=0.99)
    assert plain.loss_curve_ == averaged.loss_curve_
    assert not np.array_equal(plain.coefs_[0], averaged.coefs_[0])
    start = fit(max_iter=1, learning_rate_init=1e-30).coefs_[0]
    assert np.abs(averaged.coefs_[0] - start).sum() < (
        np.abs(plain.coefs_[0] - start).sum()
    )


def test_validation_scores_use_averaged_weights(digits32, fit):
    X, y = digits32
    model = fit(weight_averaging=0.9, early_stopping=True, restore_best_weights=False)
    train, valid = X[:200], X[200:]
    model.fit(train, y[:200], X_val=valid, y_val=y[200:])
    assert model.validation_scores_[-1] == model.score(valid, y[200:])


@pytest.mark.parametrize("restore", [True, False])
def test_restore_best_weights_chooses_best_or_last_epoch(restore, digits32):
    X, y = digits32
    model = MLPClassifier(
        8, learning_rate_init=0.3, max_iter=12, random_state=0,
        restore_best_weights=restore,
    )  # fmt: skip
    model.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    scores = model.validation_scores_
    # With this learning rate the last epoch is not the best.
    assert scores[-1] != max(scores)
    expected = max(scores) if restore else scores[-1]
    assert model.score(X[200:], y[200:]) == expected
    assert model.best_epoch_ == 1 + int(np.argmax(scores))


@pytest.mark.parametrize("params", [{"solver": "lbfgs"}, {}])
def test_weight_averaging_is_refused_without_stochastic_fit(params, digits32):
    X, y = digits32
    model = MLPClassifier(weight_averaging=0.9, **params)
    train = model.fit if params else model.partial_fit
    with pytest.raises(ValueError, match="weight_averaging needs fit and a stochastic"):
        train(X, y, **({} if params else {"classes": range(10)}))
