from pathlib import Path

import pytest

from benchmarks.command_line.main import main
from benchmarks.report import command
from benchmarks.report.command import OK, USAGE
from benchmarks.result_store import result_files


def test_committed_runs_are_the_default(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # without runs
    path = tmp_path / "page.html"
    assert main(["report", "--out", str(path)]) == OK
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert text.count("<tr data-run=") >= 90
    assert f"{path}: " in capsys.readouterr().out


def test_given_folders_replace_the_default(tmp_path, store, make_record, capsys):
    path = tmp_path / "page.html"
    folder = str(store([make_record()]))
    assert main(["report", folder, "--out", str(path)]) == OK
    assert "page.html: 1 run, 0." in capsys.readouterr().out


def test_folder_without_runs_writes_no_page(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "--out", str(path)]) == USAGE
    assert capsys.readouterr().err.startswith("No stored run in")
    assert not path.exists()


def test_unwritable_page_is_reported_in_one_sentence(
    tmp_path, store, make_record, capsys
):
    path = tmp_path / "nowhere" / "page.html"
    folder = str(store([make_record()]))
    assert main(["report", folder, "--out", str(path)]) == USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_out_option_is_required(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["report"])
    assert exit_.value.code == USAGE
    assert "--out" in capsys.readouterr().err


def test_list_names_the_report(capsys):
    assert main(["--list"]) == OK
    assert "report" in capsys.readouterr().out


def test_page_shows_the_runs_that_were_made_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.find_folder(Path("page.html")) == result_files.COMMITTED_FOLDER
    result_files.DEFAULT_FOLDER.mkdir()
    (result_files.DEFAULT_FOLDER / "compare-digits-all.jsonl").touch()
    assert command.find_folder(Path("page.html")) == result_files.DEFAULT_FOLDER
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "compare-digits-all.jsonl").touch()
    assert command.find_folder(Path("own/page.html")) == Path("own")
