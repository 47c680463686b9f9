"""The estimators of the tasks of a search."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone

from skmlp.model_selection._tasks import make_tasks
from skmlp.neural_network import MLPClassifier

SPLITS = [(np.arange(4), np.arange(4, 6)), (np.arange(2, 6), np.arange(2))]


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": [3, 4], "class_weight": {0: 1.0, 1: 2.0}},
        {"random_state": np.random.RandomState(0)},
    ],
    ids=["containers", "RandomState"],
)
def test_networks_of_tasks_are_clones_with_own_parameters(params):
    with config_context(enable_metadata_routing=True):
        network = MLPClassifier(**params).set_fit_request(sample_weight=True)
    candidates = [{"alpha": 0.1}, {"activation": "tanh"}]
    tasks = list(make_tasks(network, candidates, SPLITS))
    assert [task.fold for task in tasks] == [0, 1, 0, 1]
    for task in tasks:
        expected = clone(network).set_params(**task.parameters)
        names = ("alpha", "activation", "hidden_layer_sizes", "class_weight")
        for name in names:
            assert getattr(task.estimator, name) == getattr(expected, name)
        assert vars(task.estimator).keys() == vars(expected).keys()
    for name in (*params, "_metadata_request"):
        values = [vars(estimator)[name] for estimator, *_ in tasks]
        assert len({*map(id, values), id(vars(network)[name])}) == len(tasks) + 1


def test_unknown_parameter_of_a_candidate_raises_the_error_of_scikit_learn():
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        list(make_tasks(MLPClassifier(), [{"alhpa": 0.1}], SPLITS))
