"""One seed gives one network, wherever it is trained; global generators stay."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from skmlp.augmentation import Compose, GaussianNoise, RandomAffine
from skmlp.neural_network import (
    CNNClassifier,
    MLPClassifier,
    MLPRegressor,
    SoftmaxRegression,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:(Stochastic Optimizer|lbfgs failed):sklearn.exceptions.ConvergenceWarning"
)

AUGMENTATION = Compose([RandomAffine(degrees=10), GaussianNoise(0.1)])
FEW = {"max_iter": 3, "random_state": 0}
ESTIMATORS = {
    "softmax": SoftmaxRegression(**FEW),
    "mlp": MLPClassifier(8, **FEW),
    "regressor": MLPRegressor(
        hidden_layer_sizes=8, dropout=0.3, early_stopping=True, **FEW
    ),
    "cnn": CNNClassifier(4, hidden_layer_sizes=8, **FEW),
    "lbfgs": MLPClassifier(8, solver="lbfgs", max_iter=3, max_fun=6, random_state=0),
    "every chance": CNNClassifier(
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


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:120] / 16, y[:120]


def bits(fitted):
    """Everything that training made, as bytes."""
    arrays = [p.detach().numpy() for p in fitted.net_.module_.parameters()]
    arrays += [b.numpy() for b in fitted.net_.module_.buffers()]
    curves = (getattr(fitted, "loss_curve_", None), fitted.loss_, fitted.n_iter_)
    return [a.tobytes() for a in arrays], curves


def global_state():
    """The whole state of NumPy's and torch's global generators."""
    name, keys, *rest = np.random.get_state()
    return name, keys.tobytes(), rest, torch.get_rng_state().numpy().tobytes()


def test_two_fits_are_bitwise_equal(estimator, digits):
    first = bits(clone(estimator).fit(*digits))
    np.random.seed(1)
    torch.manual_seed(1)
    assert bits(clone(estimator).fit(*digits)) == first


def test_second_fit_forgets_first_fit(estimator, digits):
    X, y = digits
    first = bits(clone(estimator).fit(X, y))
    estimator.fit(X[:60, :16], y[:60])
    assert bits(estimator.fit(X, y)) == first


def test_concurrent_fits_equal_single_fits(estimator, digits):
    alone = [
        bits(clone(estimator).set_params(random_state=i).fit(*digits)) for i in range(2)
    ]
    seeds = [0, 1] * 3
    with ThreadPoolExecutor(len(seeds)) as pool:
        together = pool.map(
            lambda i: bits(clone(estimator).set_params(random_state=i).fit(*digits)),
            seeds,
        )
        assert list(together) == [alone[i] for i in seeds]


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
    estimator = clone(ESTIMATORS["every chance"])
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((estimator, X, y)),
        capture_output=True,
        check=True,
    )
    assert pickle.loads(child.stdout) == bits(estimator.fit(X, y))[0]


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
    found = []
    for seed in range(2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append(bits(clone(ESTIMATORS["every chance"]).fit(*digits)))
    assert found[0] == found[1]


def test_random_state_none_gives_different_fits(digits):
    estimator = MLPClassifier(8, max_iter=2)
    first = bits(estimator.fit(*digits))
    np.random.seed(0)
    second = bits(estimator.fit(*digits))
    np.random.seed(0)
    assert len({str(b) for b in (first, second, bits(estimator.fit(*digits)))}) == 3


def test_random_state_instance_is_used_and_advances(digits):
    estimator = MLPClassifier(8, max_iter=2, random_state=np.random.RandomState(0))
    seeded = MLPClassifier(8, max_iter=2, random_state=0)
    first = bits(estimator.fit(*digits))
    assert first == bits(seeded.fit(*digits))
    assert bits(estimator.fit(*digits)) != first


def test_different_seeds_give_different_fits(estimator, digits):
    other = clone(estimator).set_params(random_state=1).fit(*digits)
    assert bits(estimator.fit(*digits)) != bits(other)


@pytest.mark.parametrize("name", ["mlp", "every chance"])
def test_predictions_are_deterministic(name, digits):
    X, y = digits
    fitted = clone(ESTIMATORS[name]).fit(X, y)
    first = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict_proba(X), first)
