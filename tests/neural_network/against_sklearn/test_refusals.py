"""Invalid parameters and data raise the errors of scikit-learn."""

import numpy as np
import pytest

from skmlp.neural_network import MLPClassifier


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": -1},
        {"hidden_layer_sizes": (4, 0)},
        {"activation": "cosine"},
        {"solver": "newton"},
        {"alpha": -1.0},
        {"batch_size": 0},
        {"batch_size": "all"},
        {"learning_rate": "falling"},
        {"learning_rate_init": 0.0},
        {"power_t": -1.0},
        {"max_iter": 0},
        {"max_iter": 2.5},
        {"shuffle": "yes"},
        {"random_state": "seed"},
        {"tol": -1.0},
        {"warm_start": "yes"},
        {"momentum": 1.5},
        {"nesterovs_momentum": "yes"},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0},
        {"beta_1": 1.0},
        {"beta_2": -0.1},
        {"epsilon": 0.0},
        {"n_iter_no_change": 0},
        {"max_fun": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_invalid_parameters_are_refused_as_in_sklearn(data, params, load, make_models):
    X, y = load(data)
    errors = []
    for model in make_models(data, **params):
        with pytest.raises((ValueError, TypeError)) as raised:
            model.fit(X, y)
        errors.append(raised.type)
        assert not hasattr(model, "net_")
    assert errors[0] is errors[1]


FEATURES = np.arange(24.0).reshape(8, 3)
TARGETS = np.array([0, 1] * 4)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (FEATURES[:7], TARGETS),
        (np.where(FEATURES == 4, np.nan, FEATURES), TARGETS),
        (np.where(FEATURES == 4, np.inf, FEATURES), TARGETS),
        (FEATURES, np.where(TARGETS == 1, np.nan, 0.0)),
        (FEATURES, None),
        (FEATURES[0], TARGETS),
        (FEATURES[:0], TARGETS[:0]),
        (FEATURES[:, :0], TARGETS),
        (FEATURES + 1j, TARGETS),
    ],
    ids=[
        "fewer samples than targets",
        "NaN",
        "infinity",
        "NaN in y",
        "no y",
        "one dimension",
        "no samples",
        "no features",
        "complex",
    ],
)
@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_invalid_data_are_refused_as_in_sklearn(data, X, y, make_models):
    errors = []
    for model in make_models(data):
        with pytest.raises((ValueError, TypeError)) as raised:
            model.fit(X, y)
        errors.append(raised.type)
    assert errors[0] is errors[1]


def test_continuous_targets_are_refused_for_classification(load, make_models):
    X, y = load("diabetes")
    for model in make_models("iris"):
        with pytest.raises(ValueError, match="Unknown label type"):
            model.fit(X, y)


@pytest.mark.parametrize("weight", [np.ones(3), -np.ones(150), np.full(150, np.nan)])
def test_invalid_sample_weights_are_refused(weight, load):
    X, y = load("iris")
    with pytest.raises(ValueError, match=r"[wW]eight"):
        MLPClassifier().fit(X, y, weight)
