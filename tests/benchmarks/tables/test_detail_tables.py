import math

import pytest

from benchmarks.definitions.experiment import Experiment
from benchmarks.experiments import EXPERIMENTS, PROGRAMS
from benchmarks.result_store.result_files import COMMITTED_FOLDER, group_by_table, read
from benchmarks.tables import detail_tables, model_table, results_page
from benchmarks.tables.model_table import (
    explanatory_notes,
    markdown,
    unexplained_shortfalls,
)
from benchmarks.tables.results_page import table_module


def blocks(*records, details):
    experiment = Experiment("e", "s", (), "digits", details=details)
    return list(
        detail_tables.make_detail_tables(
            experiment, [{"error": None, **r} for r in records]
        )
    )


def week(continual, seed, *scores, season=0.0):
    return {
        "model": f"{continual}{season}",
        "seed": seed,
        "weeks": {"continual": continual, "season": season},
        "curves": {"week_score": list(scores)},
    }


def test_weekly_table_compares_static_and_continual():
    (block,) = blocks(
        week(False, 0, 0.5, 0.5),
        week(False, 1, 0.6, 0.5),
        week(True, 0, 0.5, 0.7),
        week(True, 1, 0.6, 0.7),
        details=("weeks",),
    )
    assert block.rows == [
        ("1", "0.5500 ±0.0707", "0.5500 ±0.0707", "+0.0000 ±0.0000"),
        ("2", "0.5000 ±0.0000", "0.7000 ±0.0000", "+0.2000 ±0.0000"),
        ("mean of all", "0.5250 ±0.0354", "0.6250 ±0.0354", "+0.1000 ±0.0000"),
    ]


def test_negative_gain_of_continual_training_has_its_sign():
    (block,) = blocks(week(False, 0, 0.9), week(True, 0, 0.7), details=("weeks",))
    assert block.rows[0][-1] == "-0.2000"


def test_each_season_has_a_table_and_half_a_pair_has_none():
    pairs = [week(c, 0, 0.5, season=s) for s in (0.0, 0.9) for c in (False, True)]
    titles = [block.title for block in blocks(*pairs, details=("weeks",))]
    assert ["season" in title for title in titles] == [False, True]
    assert blocks(week(True, 0, 0.5), details=("weeks",)) == []


def test_initializers_are_ranked_by_their_mean_over_networks():
    def run(model, law, seed, accuracy):
        return {
            "model": f"{model}-{law}",
            "seed": seed,
            "parameters": {"init": law},
            "test_accuracy": accuracy,
        }

    (block,) = blocks(
        run("a", "x", 0, 0.9),
        run("b", "x", 0, 0.7),
        run("a", "y", 0, 0.8),
        run("b", "y", 0, 0.9),
        run("a", "x", 1, 0.8),
        run("b", "x", 1, 0.6),
        run("a", "y", 1, 0.9),
        run("b", "y", 1, 1.0),
        run("a", "y", 2, 0.0),  # which has nothing to be compared with
        details=("initializers",),
    )
    assert block.rows == [("y", "0.9000 ±0.0707"), ("x", "0.7500 ±0.0707")]


def test_epoch_table_compares_reported_values_with_our_means():
    run = {"model": "m", "reported_curves": {"loss_curve": [0.5, 0.4, 0.3]}}
    (block,) = blocks(
        run | {"loss_curve": [0.6, 0.4]},
        run | {"loss_curve": [0.7, 0.5]},
        details=("epochs",),
    )
    assert block.header == ("epoch", "loss: reported", "ours")
    assert block.rows == [
        ("1", "0.5000", "0.6500"),
        ("2", "0.4000", "0.4500"),
        ("3", "0.3000", ""),
    ]


@pytest.mark.parametrize("classes", [["cat", "dog"], None])
def test_confusion_matrix_belongs_to_the_first_seed(classes):
    first = {"model": "m", "seed": 0, "confusion_matrix": [[3, 1], [0, 2]]}
    (block,) = blocks(
        first | {"classes": classes},
        first | {"seed": 1, "confusion_matrix": [[0, 0], [0, 0]]},
        details=("confusion",),
    )
    names = classes or ["0", "1"]
    assert block.header == ("", *names)
    assert block.rows == [(names[0], "3", "1"), (names[1], "0", "2")]


def test_example_table_has_a_line_for_every_seed():
    shown = {"row": 5, "label": 7, "before": 1, "after": 7}
    records = [{"model": "m", "seed": seed, "example": shown} for seed in (0, 1)]
    (block,) = blocks(*records, details=("example",))
    assert block.title.startswith("Test sample 5")
    assert block.rows == [("m", "0", "1", "7", "7"), ("m", "1", "1", "7", "7")]
    assert blocks({"model": "m", "seed": 0}, details=("example",)) == []


def test_failed_runs_have_no_detail_tables():
    failed = {"model": "m", "seed": 0, "error": "ValueError: no"}
    assert blocks(failed, details=tuple(detail_tables.DETAILS)) == []


def test_mean_curve_ends_with_the_shortest_run_and_has_its_gaps():
    runs = [{"loss_curve": [1.0, None, 3.0, 4.0]}, {"loss_curve": [3.0, 2.0, 5.0]}]
    first, gap, last = detail_tables.mean_curve(runs, "loss_curve")
    assert (first, last) == (2.0, 4.0)
    assert math.isnan(gap)
    assert detail_tables.mean_curve(runs, "test_score") == []


def committed():
    paths = sorted(COMMITTED_FOLDER.glob("*.jsonl"))
    return group_by_table(
        read(p for p in paths if not p.stem.startswith(tuple(PROGRAMS)))
    )


@pytest.mark.parametrize("records", committed(), ids=lambda r: r[0]["experiment"])
def test_every_committed_record_has_a_table(records):
    cells = {cell.strip() for cell in results_page.markdown(records).split("|")}
    assert cells >= {record["model"] for record in records}


@pytest.mark.parametrize(
    "records",
    [r for r in committed() if table_module(r) is model_table],
    ids=lambda r: r[0]["experiment"],
)
def test_models_below_their_reported_figure_are_explained(records):
    assert unexplained_shortfalls(records) == []


def test_figure_below_the_reported_one_needs_an_explanation(
    records, monkeypatch, experiment
):
    monkeypatch.setitem(EXPERIMENTS, experiment.name, experiment)
    for record, accuracy in zip(records, (0.80, 0.81, 0.5, 0.5), strict=True):
        record["test_accuracy"] = accuracy
    assert unexplained_shortfalls(records) == ["drawn"]
    records[1]["test_accuracy"] = 0.95
    assert unexplained_shortfalls(records) == []


def test_table_has_notes_and_a_trial_has_none(records, monkeypatch, experiment):
    from dataclasses import replace

    first = replace(experiment.models[0], note="It was raining.")
    models = (first, experiment.models[1])
    noted = replace(experiment, models=models, notes=("Mind the gap.",))
    monkeypatch.setitem(EXPERIMENTS, experiment.name, noted)
    assert explanatory_notes(records) == ["Mind the gap.", "drawn: It was raining."]
    text = markdown(records)
    assert "- drawn: It was raining." in text
    records[0]["test_accuracy"] = records[1]["test_accuracy"] = 0.1
    assert unexplained_shortfalls(records) == []
    other_data = [record | {"reported": []} for record in records]
    assert explanatory_notes(other_data) == ["Mind the gap."]
    for record in records:
        record["quick"] = True
    assert explanatory_notes(records) == []
