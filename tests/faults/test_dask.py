"""Searches on a dask.distributed cluster of processes, also when one is killed."""

import os
import signal
import warnings

import joblib
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skmlp.model_selection import PackedGridSearchCV, PackedHalvingGridSearchCV
from skmlp.neural_network import MLPClassifier

REASON = "dask.distributed is not installed (skmlp[distributed])"
dask = pytest.importorskip("dask", reason=REASON)
distributed = pytest.importorskip("distributed", reason=REASON)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Warnings of dask about ports, its own deprecations and its shutdown.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Port 8787 is already in use:UserWarning"),
]

GRID = {"alpha": [1e-4, 0.1], "learning_rate_init": [0.003, 0.03]}


@pytest.fixture(scope="module")
def client():
    config = {
        # The default waits half a minute for an answer of the killed worker.
        "distributed.comm.timeouts.connect": "5s",
        # The memory manager would remove the copies on other workers.
        "distributed.scheduler.active-memory-manager.start": False,
    }
    with (
        dask.config.set(config),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def search_scores(Search, data, max_iter=4, **options):
    network = MLPClassifier(6, batch_size=30, max_iter=max_iter, random_state=0)
    search = Search(network, GRID, cv=3, refit=False, **options)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return search.fit(*data).cv_results_["mean_test_score"]


@pytest.mark.parametrize("Search", [GridSearchCV, PackedGridSearchCV])
def test_search_on_a_cluster_gives_the_local_scores(Search, iris, client):
    local = search_scores(Search, iris)
    with joblib.parallel_config(backend="dask"):
        distributed_scores = search_scores(Search, iris, n_jobs=2)
    assert_allclose(distributed_scores, local, rtol=0, atol=1e-8)


def test_survivors_continue_on_a_cluster(iris, client):
    options = {"resource": "max_iter", "max_resources": 8, "factor": 2}
    local = search_scores(PackedHalvingGridSearchCV, iris, **options)
    with joblib.parallel_config(backend="dask"):
        distributed_scores = search_scores(
            PackedHalvingGridSearchCV, iris, n_jobs=2, warm_start=True, **options
        )
    assert_allclose(distributed_scores, local, rtol=0, atol=1e-8)


def test_workers_use_their_number_of_threads(client):
    def count():
        import torch

        return torch.get_num_threads()

    assert set(client.run(count).values()) == {1}


@pytest.mark.parametrize("Search", [GridSearchCV, PackedGridSearchCV])
def test_search_survives_a_killed_worker(Search, iris, client, tmp_path):
    folder, caller = tmp_path / "died", os.getpid()
    client.wait_for_workers(2)

    # A local function, because the workers may not be able to import this module.
    def kill_the_first_that_scores(estimator, X, y):
        if os.getpid() != caller and not folder.exists():
            folder.mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        return estimator.score(X, y)

    local = search_scores(Search, iris)
    before = set(client.run(os.getpid).values())
    # The data are on all workers. Data on one worker would be lost with it.
    with joblib.parallel_config(backend="dask", scatter=list(iris)):
        distributed_scores = search_scores(
            Search, iris, scoring=kill_the_first_that_scores, n_jobs=2
        )
    assert folder.exists()
    assert_allclose(distributed_scores, local, rtol=0, atol=1e-8)
    client.wait_for_workers(2)
    assert len(before & set(client.run(os.getpid).values())) == 1
