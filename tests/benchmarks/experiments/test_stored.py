"""Committed runs match their definitions."""

import json

import pytest

from benchmarks.experiments import EXPERIMENTS
from benchmarks.result_store.result_files import COMMITTED_FOLDER, latest_runs, read

EXPERIMENTS_OF_FITS = {
    name: {model.name: model for model in experiment.models}
    for name, experiment in EXPERIMENTS.items()
    if experiment.runner == "benchmarks.running.fitting"
}
FILES = [
    path
    for path in sorted(COMMITTED_FOLDER.glob("*.jsonl"))
    if path.stem.startswith(tuple(EXPERIMENTS_OF_FITS))
]


def as_stored(value):
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return repr(value)


def test_committed_files_exist():
    assert len(FILES) >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_stored_parameters_and_order_match_the_definition(path):
    for run in latest_runs(read([path])):
        models = EXPERIMENTS_OF_FITS[run["experiment"]]
        model = models[run["model"]]
        built = model.estimator.build().get_params(deep=False)
        # An ensemble's member is stored as text, with its seed and device.
        names = set(model.estimator.params) - {"estimator"}
        assert {k: run["parameters"][k] for k in names} == {
            k: as_stored(built[k]) for k in names
        }
        assert run["order"] == list(models).index(run["model"])
