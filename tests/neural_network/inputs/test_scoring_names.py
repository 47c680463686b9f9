"""A misspelt name of a scorer is refused before training, validated or not."""

import pytest
from sklearn.datasets import load_iris

from skmlp.model_selection import packed_cross_validate
from skmlp.neural_network import (
    CNNClassifier,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

X, Y = load_iris(return_X_y=True)
NETWORKS = [MLPClassifier, MLPRegressor, CNNClassifier, SoftmaxRegression]
match = "'acuracy' is not a valid scoring value"


@pytest.mark.parametrize("Network", NETWORKS)
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_fit_refuses_unknown_names(Network, params):
    model = Network(scoring="acuracy", max_iter=1, **params)
    with pytest.raises(ValueError, match=match):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("Network", NETWORKS)
def test_partial_fit_refuses_unknown_names(Network):
    classes = {} if Network is MLPRegressor else {"classes": [0, 1, 2]}
    with pytest.raises(ValueError, match=match):
        Network(scoring="acuracy").partial_fit(X, Y, **classes)


def test_ensembles_and_packs_refuse_unknown_names():
    network = MLPClassifier(3, scoring="acuracy", max_iter=1)
    with pytest.raises(ValueError, match=match):
        EnsembleClassifier(network, 2).fit(X, Y)
    with pytest.raises(ValueError, match=match):
        packed_cross_validate(network, X, Y, cv=2, error_score="raise")
