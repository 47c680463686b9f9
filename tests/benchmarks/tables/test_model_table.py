import io
from statistics import fmean, stdev

from rich.console import Console

from benchmarks.definitions.experiment import COLUMNS
from benchmarks.result_store import result_files
from benchmarks.tables import model_summaries, model_table, results_page


def printed(records, width=80):
    console = Console(file=io.StringIO(), width=width)
    model_table.print_table(records, console)
    return console.file.getvalue()


def test_line_shows_mean_and_deviation_over_seeds(records):
    accuracies = [r["test_accuracy"] for r in records[:2]]
    records[1]["test_accuracy"] = accuracies[1] = accuracies[0] - 0.25
    row = model_table.summarize(records)[0]
    format_mean_and_deviation = f"{fmean(accuracies):.4f} ±{stdev(accuracies):.4f}"
    assert row.cell("test_accuracy") == format_mean_and_deviation
    assert row.reported_text == "0.8000 / 0.9000"
    assert row.difference("test_accuracy") == f"{fmean(accuracies) - 0.9:+.4f}"


def test_one_seed_has_no_deviation(records):
    row = model_table.summarize(records[:1])[0]
    assert "±" not in row.cell("test_accuracy")


def test_table_needs_only_stored_records(records, tmp_path):
    path = tmp_path / "runs.jsonl"
    for record in records:
        result_files.append(path, record)
    stored = result_files.latest_runs(result_files.read([path]))
    assert printed(stored) == printed(records)
    assert model_table.markdown(stored) == model_table.markdown(records)


def test_heading_states_runs_versions_and_hardware(records):
    text = " ".join(model_table.heading(records))
    record = records[0]
    assert "spied on digits" in text
    assert "Runs: 4, 2 for each model" in text
    assert f"torch {record['versions']['torch']}" in text
    assert f"{record['cpu_count']} CPUs" in text
    assert "device cpu" in text


def test_heading_names_both_of_two_machines(records):
    records[0]["device_name"] = "NVIDIA H200"
    assert "device NVIDIA H200 or cpu" in " ".join(model_table.heading(records))


def test_figures_are_not_broken_in_eighty_columns(records):
    for record in records:
        record |= {
            "model": f"cnn-3-{record['model'][:7]}",
            "architecture": "conv 10-40-80 5x5/2-2-1, dense 50",
            "n_parameters": 286_940,
            "rows": {"train": 54_000, "validation": 6_000, "test": 10_000},
            "epochs": 100,
            "fit_seconds": 1234.5,
            "reported": [],
        }
    records[0]["test_accuracy"] = 0.1
    lines = printed(records).splitlines()
    assert max(map(len, lines)) <= 80
    row = model_table.summarize(records)[0]
    text = "\n".join(lines)
    for figure in ("286,940", "60,000", "1234", "100", row.cell("test_accuracy")):
        assert figure in text


def test_failed_runs_are_named_and_excluded_from_the_mean(records):
    records[0] = {
        k: v for k, v in records[0].items() if k not in ("test_accuracy", "epochs")
    } | {"error": "ValueError: loss became non-finite"}
    row = model_table.summarize(records)[0]
    assert row.cell("test_accuracy") == f"{records[1]['test_accuracy']:.4f}"
    assert "drawn seed 0 failed: ValueError: loss" in printed(records)
    assert "- drawn seed 0 failed" in model_table.markdown(records)


def test_notes_give_the_first_seeds_of_models_with_more_seeds(records):
    more = records[0] | {"seed": 2, "test_accuracy": 1.0}
    first = model_summaries.format_mean_and_deviation(
        model_table.summarize(records)[0].accuracies
    )
    said = f"drawn: {first} over the first 2 of its 3 seeds"
    assert said in printed([*records, more])
    assert f"- {said}" in model_table.markdown([*records, more])
    assert "over the first" not in printed(records)


def test_ensemble_is_compared_with_its_average_member(records):
    assert "average member" not in model_table.markdown(records)
    for record, accuracy in zip(records[:2], (0.5, 0.7), strict=True):
        record["member_accuracies"] = [accuracy - 0.1, accuracy + 0.1]
    assert model_table.summarize(records)[0].members == (0.5, 0.7)
    text = model_summaries.format_mean_and_deviation((0.5, 0.7))
    assert text in model_table.markdown(records)
    assert text in printed(records)


def test_reported_columns_need_reported_figures(records):
    assert "reported" in model_table.markdown(records)
    for record in records:
        record["reported"] = []
    assert "reported" not in model_table.markdown(records)


def test_results_page_has_every_table(records):
    other = [record | {"dataset": "mnist"} for record in records]
    page = results_page.make_page([records, other])
    assert page.count("\n### spied on ") == 2
    assert model_table.markdown(records) in page
    assert model_table.markdown(other) in page


def test_markdown_names_the_command_that_measured_it(records):
    assert f"`{records[0]['command']}`" in model_table.markdown(records)
    header = next(
        li for li in model_table.markdown(records).splitlines() if li[:1] == "|"
    )
    columns = [name.strip() for name in header.strip("|").split("|")]
    assert columns[:9] == [*COLUMNS, "seeds"]
