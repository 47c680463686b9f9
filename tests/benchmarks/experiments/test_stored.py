"""Committed runs match their definitions."""

import json
from statistics import mean, stdev

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


@pytest.mark.parametrize("name", ["mlp", "cnn", "row-7"])
def test_mixed_precision_is_as_accurate_as_float32(name):
    runs = latest_runs(read(sorted(COMMITTED_FOLDER.glob("precision-*.jsonl"))))
    float32, mixed = (
        [run["test_accuracy"] for run in runs if run["model"] == model]
        for model in (name, f"{name}-amp")
    )
    assert len(float32) == len(mixed) == 10
    standard_error = stdev(float32) / len(float32) ** 0.5
    assert abs(mean(mixed) - mean(float32)) <= standard_error
