"""`hidden-units`: every model is a candidate of one search."""

import json

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from benchmarks.command_line.main import OK, main
from benchmarks.data.datasets import load
from benchmarks.definitions.request import Request
from benchmarks.experiments.fashion_mnist.hidden_units import HIDDEN_UNITS
from benchmarks.running import packed_candidates
from skmlp.preprocessing import PixelScaler

CHOSEN = ("5", "20", "5-5", "20-20")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden-units")
    argv = ["hidden-units", "--quick", "--models", ",".join(CHOSEN)]
    assert main([*argv, "--out", str(folder)]) == OK
    return folder


def read(folder):
    text = (folder / "hidden-units-digits-all-quick.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_each_candidate_gives_a_record(ran):
    records = read(ran)
    assert tuple(record["model"] for record in records) == CHOSEN
    for record in records:
        folds = record["train_scores"], record["validation_scores_of_folds"]
        assert list(map(len, folds)) == [3, 3]
        assert record["train_accuracy"] == pytest.approx(np.mean(folds[0]))
        assert record["validation_accuracy"] == pytest.approx(np.mean(folds[1]))


def test_packed_scores_equal_those_of_single_fits():
    request = Request(HIDDEN_UNITS, "digits", quick=True, models=("5", "20"))
    data = load("digits").take_evenly(200, 10)
    models = HIDDEN_UNITS.select(request.models)
    found = packed_candidates.run_search(models, data, request, seed=1)
    for model, record in zip(models, found, strict=True):
        network = model.estimator.build(random_state=1).set_params(max_iter=2)
        pipeline = make_pipeline(PixelScaler(pixel_max=16.0), network)
        folds = StratifiedKFold(3, shuffle=True, random_state=1)
        with pytest.warns(match="hasn't converged"):
            alone = cross_validate(pipeline, data.X_train, data.y_train, cv=folds)
        np.testing.assert_allclose(
            record["validation_scores_of_folds"], alone["test_score"], atol=1e-3
        )


def test_validation_curve_is_drawn(ran):
    picture = ran / "hidden-units-digits-all-quick-validation-curve.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_best_candidate_is_named(ran, capsys):
    assert main(["hidden-units", "--tables", "--out", str(ran)]) == OK
    printed = capsys.readouterr().out
    scores = {r["model"]: r["validation_accuracy"] for r in read(ran)}
    best = max(scores, key=scores.get)
    last = printed.partition("The best candidate")[2].split()[3:]
    assert last[-2:] == [best, f"{scores[best]:.4f}"]
