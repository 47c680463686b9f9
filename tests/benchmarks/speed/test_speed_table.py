"""The table shows the content of the records."""

import pytest
from rich.console import Console

from benchmarks.speed import speed_table
from benchmarks.speed.workloads import BEST, KERAS, OURS, SKLEARN, find_workload


def record(
    contestant, values, workload="mlp, batch 32", key="seconds", cpu=1.0, **more
):
    return {
        "workload": workload,
        "kind": find_workload(workload).kind,
        "rows": find_workload(workload).rows,
        "contestant": contestant,
        "slices": [{key: value, "cpu_seconds": value * cpu} for value in values],
        "error": None,
        "quick": False,
        "versions": {"skmlp": "0.1.0", "torch": "2.13.0"},
        "peers": {"keras": None},
        "platform": "Linux x86_64",
        "cpu": "a processor",
        "cpu_count": 2,
        "threads": 1,
        "load_average": [0.5, 3.25],
        "finished": "2026-01-31T00:00:00+00:00",
        "command": "python -m benchmarks speed --rounds 3 --threads 1",
        **more,
    }


@pytest.fixture
def records():
    return [
        record(OURS, [1.0, 2.0, 1.0]),
        record(SKLEARN, [3.0, 3.0, 2.0]),
        record(KERAS, [], error="keras not installed"),
        record(BEST, [0.9, 1.8, 1.1]),
    ]


def test_ratio_is_the_median_of_the_rounds_ratios(records):
    ratios = {
        line.contestant: line.ratio for line in speed_table.make_speed_rows(records)
    }
    assert ratios == {
        OURS: None,
        SKLEARN: pytest.approx(2.0),  # of 3, 1.5 and 2
        KERAS: None,
        BEST: pytest.approx(0.9),
    }


def test_fits_beside_busy_processes_compare_their_slowdowns():
    work = "busy: mlp, width 128"
    ours, theirs = speed_table.make_speed_rows(
        [
            record(OURS, [2.0, 2.5, 4.0], work, "factor"),
            record(SKLEARN, [4.0, 4.0, 4.0], work, "factor"),
        ]
    )
    assert (ours.figure, ours.target_text) == ("2.50 x alone", "≤ 3.30")
    assert theirs.figure == "4.00 x alone"
    assert (theirs.ratio, theirs.target_text) == (1.6, "≥ 1.00")


def test_targets_are_shown_with_the_ratios(records):
    lines = {line.contestant: line for line in speed_table.make_speed_rows(records)}
    assert lines[SKLEARN].target_text == "≥ 1.50"
    assert lines[BEST].target_text == "≥ 0.95"
    assert lines[OURS].target_text == ""


def test_figures_have_units(records):
    figures = {
        line.contestant: line.figure for line in speed_table.make_speed_rows(records)
    }
    assert figures[OURS] == "1.00 s"
    assert figures[KERAS] == "skipped"
    one = record(OURS, [1.5e-4], "predict one row")
    memory = record(OURS, [3 * 2**20], "peak of fit, 60,000 images", "bytes")
    assert [line.figure for line in speed_table.make_speed_rows([one, memory])] == [
        "150 µs",
        "3 MiB",
    ]


def test_last_record_counts_and_workloads_set_the_order(records):
    later = record(OURS, [5.0])
    other = record(OURS, [1.0], "mlp, batch 200")
    found = speed_table.latest([other, *records, later])
    assert [r["workload"] for r in found] == ["mlp, batch 32"] * 4 + ["mlp, batch 200"]
    assert found[0]["slices"] == later["slices"]


def test_both_forms_name_circumstances_and_absences(records):
    console = Console(width=120, record=True)
    table = speed_table.table(records)
    table.print_to(console)
    markdown = table.markdown()
    for text in (console.export_text(), markdown):
        for said in (
            "medians of 3 rounds",
            "torch 2.13.0",
            "1 threads",
            "load averages of 0.5 to 3.2",
            "keras: keras not installed",
            "scikit-learn",
            "≥ 1.50",
        ):
            assert said in text
    assert "`python -m benchmarks speed --rounds 3 --threads 1`" in markdown


def test_cpu_times_are_compared():
    ours, theirs = record(OURS, [4.0, 1.0], cpu=0.5), record(SKLEARN, [3.0, 3.0])
    (_, line) = speed_table.make_speed_rows([ours, theirs])
    assert line.ratio == pytest.approx((0.75 + 3) / 2)
    assert line.cpu_ratio == pytest.approx((1.5 + 6) / 2)
    assert line.cells == (SKLEARN, "3.00 s", "1.88", "3.75", "≥ 1.50")
