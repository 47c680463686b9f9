"""Jobs of a packed fit end as their own `fit` would end."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmlp.neural_network import MLPClassifier
from skmlp.neural_network._packs import pack_size, packed_fit
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.neural_network._packs.packed_fit import fit_jobs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NETWORK = MLPClassifier(4, max_iter=3, random_state=0, device="cpu")


def make_jobs(n=3):
    return [FitJob(clone(NETWORK).set_params(alpha=i), X, Y, {}, 0) for i in range(n)]


@pytest.fixture
def broken_packs(monkeypatch):
    """Let every pack fail."""

    def fail(*args):
        raise MemoryError("no room for 3 networks")

    monkeypatch.setattr(packed_fit, "train_pack", fail)


def test_failed_pack_warns_once_with_cause(broken_packs):
    with pytest.warns(RuntimeWarning) as warned:
        list(fit_jobs(make_jobs()))
    (warning,) = [w for w in warned if w.category is RuntimeWarning]
    text = str(warning.message)
    assert "3 networks failed with MemoryError: no room for 3 networks" in text
    assert "one by one" in text


@pytest.mark.on_cuda_too
@pytest.mark.filterwarnings("ignore:A pack of 3 networks failed")
def test_networks_of_failed_pack_are_fitted_alone(broken_packs):
    epochs, jobs = [], make_jobs()
    assert list(fit_jobs(jobs, epochs.append)) == jobs
    assert sum(epochs) == 3 * NETWORK.max_iter
    for i, job in enumerate(jobs):
        assert job.error is None
        assert job.pack_size == 1
        alone = clone(NETWORK).set_params(alpha=i).fit(X, Y)
        np.testing.assert_array_equal(job.estimator.coefs_[0], alone.coefs_[0])


@pytest.mark.on_cuda_too
def test_pack_that_trains_does_not_warn(recwarn):
    jobs = make_jobs()
    list(fit_jobs(jobs))
    assert [job.pack_size for job in jobs] == [3, 3, 3]
    assert not [w for w in recwarn if w.category is RuntimeWarning]


def test_large_pack_is_divided_among_threads(three_threads, monkeypatch):
    counts = []

    def train(runs, progress_callback, n_threads):
        counts.append(n_threads)
        return train_pack(runs, progress_callback, n_threads)

    train_pack = packed_fit.train_pack
    monkeypatch.setattr(packed_fit, "train_pack", train)
    monkeypatch.setattr(pack_size, "_MULTIPLICATIONS_PER_THREAD", 100)
    jobs, alone = make_jobs(6), clone(NETWORK).set_params(alpha=5).fit(X, Y)
    list(fit_jobs(jobs))
    assert counts == [3]
    np.testing.assert_allclose(jobs[5].estimator.coefs_[0], alone.coefs_[0], atol=1e-5)


@pytest.mark.parametrize("max_iter", [3, np.int64(3)])
def test_pipelines_that_are_fitted_alone_report_their_epochs(max_iter):
    network = clone(NETWORK).set_params(max_iter=max_iter)
    epochs, job = [], FitJob(make_pipeline(StandardScaler(), network), X, Y, {}, 0)
    assert list(fit_jobs([job], epochs.append)) == [job]
    assert sum(epochs) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_weights_of_constant_feature_become_zero(packed):
    """The penalty decreases them without end, and tiny numbers are slow."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(100, 2)), np.zeros(100)]).astype(np.float32)
    network = clone(NETWORK).set_params(
        alpha=3e-5, batch_size=10, max_iter=320, n_iter_no_change=320
    )
    networks = [clone(network) for _ in range(2 if packed else 1)]
    jobs = list(fit_jobs([FitJob(n, X, X[:, 0] > 0, {}, 0) for n in networks]))
    assert {job.pack_size for job in jobs} == {len(jobs)}
    for fitted in networks:
        sizes = np.abs(fitted.coefs_[0][2])
        assert (sizes == 0).any()
        assert ((sizes == 0) | (sizes > 1e-26)).all()
