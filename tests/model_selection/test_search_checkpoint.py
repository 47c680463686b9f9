"""An interrupted search continues from its checkpoint, or the checkpoint is refused."""

import os

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skmlp.model_selection import (
    PackedGridSearchCV,
    PackedHalvingGridSearchCV,
    PackedHalvingRandomSearchCV,
    PackedRandomizedSearchCV,
    _search_checkpoint,
    packed_cross_validate,
)
from skmlp.neural_network import MLPClassifier
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._packs import pack_size as _pack_size
from skmlp.neural_network._packs import packed_fit as _packed_fit
from skmlp.persistence import ModelFileError
from skmlp.storage import atomic_files
from skmlp.storage.atomic_files import remove_part_files
from skmlp.training.packs import pack

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NETWORK = MLPClassifier(6, max_iter=4, batch_size=10, random_state=0)
# The candidates make three packs, and one candidate cannot be packed.
GRID = [
    {"hidden_layer_sizes": [4, 6], "learning_rate_init": [0.001, 0.01]},
    {"dropout": [0.0, 0.2], "activation": ["tanh"], "alpha": [0.1, 0.2]},
    {"solver": ["rmsprop"]},
]
FITS = 9 * 3


class Killed(Exception):
    """Replaces the end of a process."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.checkpoint"


def packed(**params):
    given = {"estimator": NETWORK, "param_grid": GRID, "cv": 3}
    return PackedGridSearchCV(**(given | params))


def scores_of(search):
    results = search.cv_results_
    return {k: v for k, v in results.items() if "score" in k and "time" not in k}


def assert_equal_bits(expected, actual):
    assert scores_of(actual).keys() == scores_of(expected).keys()
    for name, values in scores_of(expected).items():
        np.testing.assert_array_equal(scores_of(actual)[name], values)
    assert actual.best_params_ == expected.best_params_
    for actual_weights, expected_weights in zip(
        actual.best_estimator_.coefs_, expected.best_estimator_.coefs_, strict=True
    ):
        np.testing.assert_array_equal(actual_weights, expected_weights)


def kill(monkeypatch, search, after, **fit_params):
    """Kill a search before it stores pack number `after`; return the stored sizes."""
    write = _search_checkpoint.OutcomeStore.write
    sizes = []

    def write_or_die(self, outcomes):
        if len(sizes) == after:
            raise Killed
        sizes.append(len(outcomes))
        write(self, outcomes)

    with monkeypatch.context() as patch:
        patch.setattr(_search_checkpoint.OutcomeStore, "write", write_or_die)
        with pytest.raises(Killed):
            clone(search).fit(X, Y, **fit_params)
    return sizes


@pytest.fixture
def fits(monkeypatch):
    """List with the number of networks of every training."""
    counted = []
    together, alone = _packed_fit.train_pack, BaseNetwork._train

    def count_together(members, *args):
        counted.append(len(members))
        return together(members, *args)

    def count_alone(self, run, *args):
        counted.append(1)
        return alone(self, run, *args)

    monkeypatch.setattr(_packed_fit, "train_pack", count_together)
    monkeypatch.setattr(BaseNetwork, "_train", count_alone)
    return counted


@pytest.mark.parametrize("after", [0, 2, 5])
def test_resumed_search_equals_the_uninterrupted_search(after, path, monkeypatch, fits):
    whole = packed().fit(X, Y)
    packs = fits.copy()
    assert sum(packs) == FITS + 1
    stored = kill(monkeypatch, packed(checkpoint=path), after)
    fits.clear()
    resumed = packed(checkpoint=path).fit(X, Y)
    assert sum(fits) == FITS + 1 - sum(stored)
    assert set(fits) <= set(packs)  # packs have the same sizes
    assert_equal_bits(whole, resumed)
    fits.clear()
    again = packed(checkpoint=path).fit(X, Y)
    assert fits == [1]  # the refit, which has nothing to train
    assert_equal_bits(whole, again)
    assert again.best_estimator_.n_iter_ == whole.best_estimator_.n_iter_


def test_resumed_search_trains_equal_packs_when_memory_is_short(
    path, monkeypatch, fits
):
    """Finished networks count when memory bounds the number of waiting networks."""
    monkeypatch.setattr(_pack_size, "_MAX_PACK_BYTES_ON_CPU", 20_000)
    here = {"estimator": clone(NETWORK).set_params(device="cpu")}
    whole = packed(**here).fit(X, Y)
    packs = fits.copy()
    assert len(packs) > 12
    for after in (1, 2, 3):
        kill(monkeypatch, packed(**here, checkpoint=path), after)
    fits.clear()
    assert_equal_bits(whole, packed(**here, checkpoint=path).fit(X, Y))
    assert fits == packs[-len(fits) :]


def test_interrupted_refit_continues(path, monkeypatch):
    whole = packed().fit(X, Y)

    def die(self, *args, **kwargs):
        raise Killed

    stages = "skmlp.neural_network._fit.checkpoint.StageCheckpoint.save"
    with monkeypatch.context() as patch:
        patch.setattr(stages, die)
        with pytest.raises(Killed):
            packed(checkpoint=path).fit(X, Y)
    resumed = packed(checkpoint=path).fit(X, Y)
    assert_equal_bits(whole, resumed)
    assert resumed.best_estimator_.checkpoint is None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_store_and_skip_their_packs(n_jobs, path):
    with parallel_config("threading"):
        whole = packed(n_jobs=n_jobs).fit(X, Y)
        packed(n_jobs=n_jobs, checkpoint=path).fit(X, Y)
        stored = sorted(path.glob("round-*"))
        for file in stored[::2]:
            file.unlink()
        assert_equal_bits(whole, packed(n_jobs=n_jobs, checkpoint=path).fit(X, Y))


SEARCHES = {
    "randomized": lambda **params: PackedRandomizedSearchCV(
        NETWORK,
        {"learning_rate_init": [0.001, 0.01, 0.1], "activation": ["tanh", "relu"]},
        n_iter=4,
        cv=3,
        **params,
    ),
    "halving grid": lambda **params: PackedHalvingGridSearchCV(
        NETWORK,
        {"learning_rate_init": [0.001, 0.01, 0.1], "activation": ["tanh", "relu"]},
        cv=3,
        **params,
    ),
    "halving with warm start": lambda **params: PackedHalvingGridSearchCV(
        NETWORK,
        {"learning_rate_init": [0.001, 0.01, 0.1], "activation": ["tanh", "relu"]},
        resource="max_iter",
        max_resources=9,
        warm_start=True,
        cv=3,
        **params,
    ),
    "halving random": lambda **params: PackedHalvingRandomSearchCV(
        NETWORK,
        {"learning_rate_init": [0.001, 0.01, 0.1], "activation": ["tanh", "relu"]},
        n_candidates=4,
        cv=3,
        **params,
    ),
}


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_every_kind_of_search_resumes(make, path, monkeypatch):
    whole = make(random_state=0).fit(X, Y)
    for after in (1, 0):
        kill(monkeypatch, make(random_state=0, checkpoint=path), after)
    resumed = make(random_state=0, checkpoint=path).fit(X, Y)
    assert_equal_bits(whole, resumed)
    assert_equal_bits(whole, make(random_state=0, checkpoint=path).fit(X, Y))
    assert clone(resumed).get_params().keys() == resumed.get_params().keys()


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_search_without_a_seed_is_refused(make, path):
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        make(checkpoint=path).fit(X, Y)
    assert not path.exists()


def test_unseeded_splits_are_refused(path):
    with pytest.raises(ValueError, match=r"cv=KFold\(.* makes others in every call"):
        packed(cv=KFold(3, shuffle=True), checkpoint=path).fit(X, Y)
    packed(cv=KFold(3, shuffle=True, random_state=0), checkpoint=path).fit(X, Y)
    splits = list(KFold(3).split(X))
    with pytest.raises(ValueError, match="of another fit: cv was "):
        packed(cv=splits, checkpoint=path).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("param_grid", {"param_grid": {"alpha": [0.1]}}),
        ("estimator__alpha", {"estimator": clone(NETWORK).set_params(alpha=0.5)}),
        ("estimator", {"estimator": make_pipeline(StandardScaler(), NETWORK)}),
        ("scoring", {"scoring": "f1_macro"}),
        ("return_train_score", {"return_train_score": True}),
    ],
)
def test_other_parameters_are_refused_by_name(name, params, path):
    packed(checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match=f"is of another fit: {name} was "):
        packed(checkpoint=path, **params).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "data", "params"),
    [
        ("X", (X * 2, Y), {}),
        ("X", (pd.DataFrame(X), Y), {}),
        ("y", (X, Y[::-1]), {}),
        ("sample_weight", (X, Y), {"sample_weight": np.ones(len(Y))}),
    ],
)
def test_other_data_are_refused_by_name(name, data, params, path):
    packed(checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match=f"is of another fit: {name} was "):
        packed(checkpoint=path).fit(*data, **params)


def test_parameters_without_effect_may_change(path, capsys):
    whole = packed(checkpoint=path).fit(X, Y)
    other = clone(NETWORK).set_params(verbose=True)
    again = packed(estimator=other, checkpoint=path, verbose=1, pre_dispatch=1)
    assert_equal_bits(whole, again.fit(X, Y))


def test_damaged_file_is_refused(path):
    packed(checkpoint=path).fit(X, Y)
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        for damaged in (content[:-1], content[: len(content) // 2], b""):
            file.write_bytes(damaged)
            with pytest.raises(ModelFileError, match=file.name):
                packed(checkpoint=path).fit(X, Y)
        file.write_bytes(content)


def test_part_files_of_killed_processes_are_removed(path):
    packed(checkpoint=path).fit(X, Y)
    part = path / ".skmlp-00000000-0000.part"
    part.touch()
    packed(checkpoint=path).fit(X, Y)
    assert not part.exists()


def test_outcomes_of_another_search_are_refused(path, tmp_path):
    packed(checkpoint=path).fit(X, Y)
    packed(checkpoint=tmp_path / "other", scoring="f1_macro").fit(X, Y)
    (path / "round-0-fit-0").replace(tmp_path / "other" / "round-0-fit-0")
    with pytest.raises(ValueError, match="is of another fit: search was "):
        packed(checkpoint=tmp_path / "other", scoring="f1_macro").fit(X, Y)


def test_checkpoint_of_the_network_is_refused(path):
    shared = packed(estimator=clone(NETWORK).set_params(checkpoint=path))
    with pytest.raises(ValueError, match="of MLPClassifier is one file, but several"):
        shared.fit(X, Y)
    with pytest.raises(ValueError, match="of MLPClassifier is one file, but several"):
        packed_cross_validate(shared.estimator, X, Y)
    with pytest.raises(ValueError, match="of MLPClassifier serves one fit, but"):
        GridSearchCV(
            shared.estimator, {"alpha": [0.1, 0.2]}, cv=2, error_score="raise"
        ).fit(X, Y)
    assert not path.exists()


def test_pipelines_and_other_estimators_resume(path, monkeypatch):
    pipeline = make_pipeline(StandardScaler(), NETWORK)
    grid = [
        {"mlpclassifier__alpha": [0.1, 0.2]},
        {"mlpclassifier": [LogisticRegression()]},
    ]
    whole = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    search = PackedGridSearchCV(pipeline, grid, cv=3, checkpoint=path)
    kill(monkeypatch, search, 2)
    search.fit(X, Y)
    for name, values in scores_of(whole).items():
        np.testing.assert_allclose(scores_of(search)[name], values, atol=1e-8)
    assert len(list(path.glob("round-0-*"))) == 4  # one pack and three single fits


def test_pack_interrupted_by_ctrl_c_is_not_stored(path, monkeypatch):
    run_epoch = pack._Pack.run_epoch
    calls = []

    def interrupted(self):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        run_epoch(self)

    with monkeypatch.context() as patch:
        patch.setattr(pack._Pack, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            packed(checkpoint=path, refit=False).fit(X, Y)
    without = packed(refit=False).fit(X, Y)
    resumed = packed(checkpoint=path, refit=False).fit(X, Y)
    for name, values in scores_of(without).items():
        np.testing.assert_array_equal(scores_of(resumed)[name], values)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_failed_fits_are_not_repeated(path, fits):
    class Fails(Callback):
        def on_train_begin(self, net, **kwargs):
            raise RuntimeError("no training")

    grid = {"callbacks": [[Fails()], None]}
    for _ in range(2):
        with pytest.warns(FitFailedWarning, match="3 fits failed"):
            packed(param_grid=grid, checkpoint=path).fit(X, Y)
    assert len(fits) == 3 + 1 + 1 + 1


def test_search_that_begins_does_not_disturb_another_one(path, monkeypatch):
    """A search that begins removes all part files in its folder."""
    sync, begun = os.fsync, []

    def begin_another_search(descriptor):
        sync(descriptor)
        if not begun and (path / "search").exists():
            begun.extend(path.glob("*.part"))
            remove_part_files(path)

    whole = packed().fit(X, Y)
    monkeypatch.setattr(atomic_files.os, "fsync", begin_another_search)
    search = packed(checkpoint=path).fit(X, Y)
    assert begun
    assert_array_equal(
        search.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"]
    )


def test_outcomes_of_other_estimators_are_read_once(path, monkeypatch):
    grid = {"C": [0.1, 1.0, 10.0]}
    expected = GridSearchCV(LogisticRegression(), grid, cv=3).fit(X, Y)
    packed(estimator=LogisticRegression(), param_grid=grid, checkpoint=path).fit(X, Y)
    read, calls = _search_checkpoint.OutcomeStore.read, []

    def count_and_read(self):
        calls.append(self.round)
        return read(self)

    monkeypatch.setattr(_search_checkpoint.OutcomeStore, "read", count_and_read)
    again = packed(estimator=LogisticRegression(), param_grid=grid, checkpoint=path)
    again.fit(X, Y)
    assert calls == [0]
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
