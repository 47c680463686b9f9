"""Dask, Ray and joblib's backends compute searches and hold the data."""

import os
import signal

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skmlp.model_selection import PackedGridSearchCV
from skmlp.neural_network import MLPClassifier

FAST = {"hidden_layer_sizes": 8, "max_iter": 4, "random_state": 0}
GRID = {"alpha": [1e-4, 0.1], "learning_rate_init": [0.003, 0.03]}


def score_table(search, data, n_jobs):
    """Return the mean scores of a search."""
    fitted = search(MLPClassifier(**FAST), GRID, cv=2, n_jobs=n_jobs).fit(*data)
    return fitted.cv_results_["mean_test_score"]


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("search", [GridSearchCV, PackedGridSearchCV])
def test_backends_of_joblib_give_equal_scores(backend, search):
    data = load_iris(return_X_y=True)
    expected = score_table(search, data, n_jobs=1)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        np.testing.assert_allclose(score_table(search, data, None), expected)


@pytest.fixture
def frame():
    """Dask's frame of 150 irises in three partitions of unknown lengths."""
    dask = pytest.importorskip("dask.dataframe", reason="dask is not installed")
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    table = pd.DataFrame(X[order], columns=list("abcd")).assign(y=y[order])
    return dask.from_pandas(table, npartitions=3)


def test_dask_arrays_of_unknown_chunks_train_as_arrays_in_memory(frame):
    X, y = frame[["a", "b", "c", "d"]].values, frame["y"].values
    assert np.isnan(X.shape[0])
    model = MLPClassifier(**FAST).fit(X, y)
    expected = MLPClassifier(**FAST).fit(X.compute(), y.compute())
    assert np.isnan(X.shape[0])  # the user's array is as it was
    np.testing.assert_array_equal(
        model.predict_proba(X), expected.predict_proba(X.compute())
    )


def test_dask_ml_trains_block_by_block(frame):
    wrappers = pytest.importorskip(
        "dask_ml.wrappers", reason="dask-ml is not installed"
    )
    X = frame[["a", "b", "c", "d"]].to_dask_array(lengths=True)
    y = frame["y"].to_dask_array(lengths=True)
    network = MLPClassifier(
        16, learning_rate_init=0.05, batch_size=10, random_state=0, shuffle=False
    )
    model = wrappers.Incremental(network, shuffle_blocks=False, random_state=0)
    for _ in range(20):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert model.estimator_.t_ == 20 * 150
    assert (model.predict(X).compute() == y.compute()).mean() > 0.9


@pytest.fixture(scope="module")
def ray():
    """A cluster of two workers on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    # Ray gives up its start after half a minute, which cannot be changed. A small
    # object store and a known address save time on a busy machine.
    options = {"object_store_memory": 100_000_000, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, **options)
    except Exception as error:  # noqa: BLE001
        ray.shutdown()
        pytest.skip(f"Ray does not start on this machine: {error}")
    from ray.util.joblib import register_ray

    register_ray()
    yield ray
    ray.shutdown()


@pytest.mark.parametrize("search", [GridSearchCV, PackedGridSearchCV])
def test_ray_gives_equal_scores(ray, search):
    data = load_iris(return_X_y=True)
    expected = score_table(search, data, n_jobs=1)
    with joblib.parallel_config(backend="ray", n_jobs=2):
        np.testing.assert_allclose(score_table(search, data, None), expected)


def test_ray_repeats_the_work_of_a_killed_worker(ray, tmp_path):
    data = load_iris(return_X_y=True)
    expected = score_table(GridSearchCV, data, n_jobs=1)
    marker = tmp_path / "killed"

    @ray.remote(max_retries=3)
    def fit_or_die(alpha):
        if not marker.exists():
            marker.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        model = MLPClassifier(**FAST, alpha=alpha).fit(*data)
        return model.predict_proba(data[0])

    with_death = ray.get(fit_or_die.remote(0.1))
    assert marker.exists()
    alone = MLPClassifier(**FAST, alpha=0.1).fit(*data).predict_proba(data[0])
    np.testing.assert_array_equal(with_death, alone)
    with joblib.parallel_config(backend="ray", n_jobs=2):
        np.testing.assert_allclose(score_table(GridSearchCV, data, None), expected)
