"""One seed gives one network; global random generators stay unchanged."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skmlp.augmentation import Compose, GaussianNoise, RandomAffine
from skmlp.neural_network import (
    CNNClassifier,
    CNNRegressor,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:(Stochastic Optimizer|lbfgs failed)"
        ":sklearn.exceptions.ConvergenceWarning"
    ),
    # Convolutions are fitted to the first 16 columns of the digits.
    pytest.mark.filterwarnings("ignore::skmlp.exceptions.DataShapeWarning"),
]

AUGMENTATION = Compose([RandomAffine(degrees=10), GaussianNoise(0.1)])
FEW = {"max_iter": 3, "random_state": 0}
ESTIMATORS = {
    "softmax": SoftmaxRegression(**FEW),
    "mlp": MLPClassifier(8, **FEW),
    "regressor": MLPRegressor(
        hidden_layer_sizes=8, dropout=0.3, early_stopping=True, **FEW
    ),
    "cnn": CNNClassifier(4, hidden_layer_sizes=8, **FEW),
    "signals": CNNRegressor(
        4, hidden_layer_sizes=8, conv_dropout=0.2, conv_dims=1, **FEW
    ),
    "lbfgs": MLPClassifier(8, solver="lbfgs", max_iter=3, max_fun=6, random_state=0),
    "all random parts": CNNClassifier(
        (4, 4),
        hidden_layer_sizes=8,
        conv_dropout=0.2,
        channel_dropout=True,
        dropout=0.5,
        batch_norm=True,
        activation="prelu",
        augmentation=AUGMENTATION,
        early_stopping=True,
        train_size=0.8,
        refit_full=True,
        **FEW,
    ),
}


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return clone(ESTIMATORS[request.param])


def result_bytes(fitted):
    """Return the bytes of all weights and buffers, and the losses."""
    arrays = [p.detach().numpy() for p in fitted.net_.module_.parameters()]
    arrays += [b.numpy() for b in fitted.net_.module_.buffers()]
    losses = (getattr(fitted, "loss_curve_", None), fitted.loss_, fitted.n_iter_)
    return [a.tobytes() for a in arrays], losses


def global_state():
    """Return the whole state of NumPy's and torch's global generators."""
    name, keys, *rest = np.random.get_state()
    return name, keys.tobytes(), rest, torch.get_rng_state().numpy().tobytes()


def test_two_fits_are_bitwise_equal(estimator, digits):
    first = result_bytes(clone(estimator).fit(*digits))
    np.random.seed(1)
    torch.manual_seed(1)
    assert result_bytes(clone(estimator).fit(*digits)) == first


def test_second_fit_forgets_first_fit(estimator, digits):
    X, y = digits
    first = result_bytes(clone(estimator).fit(X, y))
    estimator.fit(X[:60, :16], y[:60])
    assert result_bytes(estimator.fit(X, y)) == first


def test_concurrent_fits_equal_single_fits(estimator, digits):
    def fit(seed):
        model = clone(estimator).set_params(random_state=seed)
        return result_bytes(model.fit(*digits))

    alone = [fit(seed) for seed in range(2)]
    seeds = [0, 1] * 3
    with ThreadPoolExecutor(len(seeds)) as pool:
        assert list(pool.map(fit, seeds)) == [alone[seed] for seed in seeds]


CHILD = """
import pickle, sys, warnings
import torch
torch.set_num_threads(1)
warnings.simplefilter("ignore")
estimator, X, y = pickle.load(sys.stdin.buffer)
fitted = estimator.fit(X, y)
arrays = [p.detach().numpy() for p in fitted.net_.module_.parameters()]
arrays += [b.numpy() for b in fitted.net_.module_.buffers()]
sys.stdout.buffer.write(pickle.dumps([a.tobytes() for a in arrays]))
"""


def test_fit_in_another_process_is_bitwise_equal(digits):
    X, y = digits
    estimator = clone(ESTIMATORS["all random parts"])
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((estimator, X, y)),
        capture_output=True,
        check=True,
    )
    assert pickle.loads(child.stdout) == result_bytes(estimator.fit(X, y))[0]


def test_fit_and_predict_leave_global_generators_unchanged(estimator, digits):
    X, y = digits
    before = global_state()
    estimator.fit(X, y)
    assert global_state() == before
    estimator.predict(X)
    estimator.score(X, y)
    if hasattr(estimator, "predict_proba"):
        estimator.predict_proba(X)
    assert global_state() == before
    if hasattr(estimator, "partial_fit"):
        estimator.set_params(early_stopping=False, refit_full=False).partial_fit(X, y)
        assert global_state() == before


@pytest.mark.parametrize("random_state", [None, 3])
def test_fit_leaves_global_generators_unchanged_for_any_random_state(
    random_state, digits
):
    before = global_state()
    MLPClassifier(8, max_iter=2, dropout=0.5, random_state=random_state).fit(*digits)
    assert global_state() == before


def test_fit_ignores_global_generators(digits):
    results = []
    for seed in range(2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        model = clone(ESTIMATORS["all random parts"]).fit(*digits)
        results.append(result_bytes(model))
    assert results[0] == results[1]


def test_random_state_none_gives_different_fits(digits):
    estimator = MLPClassifier(8, max_iter=2)
    first = result_bytes(estimator.fit(*digits))
    np.random.seed(0)
    second = result_bytes(estimator.fit(*digits))
    np.random.seed(0)
    third = result_bytes(estimator.fit(*digits))
    assert len({str(result) for result in (first, second, third)}) == 3


def test_random_state_instance_is_used_and_advances(digits):
    estimator = MLPClassifier(8, max_iter=2, random_state=np.random.RandomState(0))
    seeded = MLPClassifier(8, max_iter=2, random_state=0)
    first = result_bytes(estimator.fit(*digits))
    assert first == result_bytes(seeded.fit(*digits))
    assert result_bytes(estimator.fit(*digits)) != first


def test_different_seeds_give_different_fits(estimator, digits):
    other = clone(estimator).set_params(random_state=1).fit(*digits)
    assert result_bytes(estimator.fit(*digits)) != result_bytes(other)


@pytest.mark.parametrize("name", ["mlp", "all random parts"])
def test_predictions_are_deterministic(name, digits):
    X, y = digits
    fitted = clone(ESTIMATORS[name]).fit(X, y)
    first = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict_proba(X), first)
