import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.request import Request
from benchmarks.result_store import result_files

KEYS = {
    "experiment": "compare",
    "dataset": "digits",
    "train_size": None,
    "quick": False,
    "model": "lr",
    "seed": 0,
    "order": 0,
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None, max_examples=50)  # the disk may be slow
@given(st.lists(values, max_size=4))
def test_appended_records_are_read_back(tmp_path_factory, extras):
    path = tmp_path_factory.mktemp("store") / "runs.jsonl"
    records = [KEYS | {"seed": i, "extra": extra} for i, extra in enumerate(extras)]
    path.touch()
    for record in records:
        result_files.append(path, record)
    assert result_files.read([path]) == records


def test_arrays_and_nonfinite_figures_become_plain_json(tmp_path):
    path = tmp_path / "runs.jsonl"
    odd = {
        "array": np.arange(3, dtype=np.uint8),
        "scalar": np.float32(0.5),
        "curve": (1.0, math.nan, math.inf),
        "object": slice(1, 2),
    }
    result_files.append(path, KEYS | odd)
    assert json.loads(path.read_text()) == KEYS | {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "curve": [1.0, None, None],
        "object": "slice(1, 2, None)",
    }


def test_half_a_line_of_a_killed_writer_spoils_no_other_line(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"experiment": "comp')
    result_files.append(path, KEYS)
    with pytest.raises(ValueError, match=r"Line 1 of .*runs\.jsonl.* delete that line"):
        result_files.read([path])
    assert json.loads(path.read_text().splitlines()[1]) == KEYS


@pytest.mark.parametrize("line", ["[1]", "3", '{"model": "lr"}'])
def test_json_that_is_not_a_record_is_refused(tmp_path, line):
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(KEYS) + "\n" + line + "\n")
    with pytest.raises(ValueError, match="Line 2 of"):
        result_files.read([path])


def test_last_record_of_a_run_counts():
    runs = [KEYS | {"test_accuracy": a} for a in (0.1, 0.2)]
    other = KEYS | {"seed": 1, "test_accuracy": 0.3}
    assert result_files.latest_runs([*runs, other]) == [runs[1], other]


def test_records_are_grouped_by_data_and_size_in_model_order():
    last, first = KEYS | {"order": 5, "model": "cnn"}, KEYS | {"order": 0}
    tenth = KEYS | {"train_size": 0.1}
    assert sorted(map(len, result_files.group_by_table([last, tenth, first]))) == [1, 2]
    assert [first, last] in result_files.group_by_table([last, tenth, first])


def test_only_the_default_folder_gets_a_gitignore(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        result_files.open_folder(result_files.DEFAULT_FOLDER) / ".gitignore"
    ).read_text() == "*\n"
    assert list(result_files.open_folder(tmp_path / "chosen").iterdir()) == []


@pytest.mark.parametrize(
    ("dataset", "size", "quick", "name"),
    [
        ("mnist", 0.1, False, "compare-mnist-0.1.jsonl"),
        ("digits", None, True, "compare-digits-all-quick.jsonl"),
        ("my cats", 50, False, "compare-my_cats-50.jsonl"),
    ],
)
def test_file_name_contains_experiment_data_set_and_size(dataset, size, quick, name):
    experiment = Experiment("compare", "", (), "digits")
    request = Request(experiment, dataset, size, quick=quick)
    assert result_files.record_file_name(request, dataset) == name
