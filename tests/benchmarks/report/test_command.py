import pytest

from benchmarks.command_line.main import main
from benchmarks.report.command import OK, USAGE


def test_the_committed_runs_are_the_default(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["report", "--out", str(path)]) == OK
    text = path.read_text(encoding="utf-8")
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert text.count("<tr data-run=") >= 90
    assert f"{path}: " in capsys.readouterr().out


def test_folders_are_read_in_place_of_them(tmp_path, store, make_record, capsys):
    path = tmp_path / "page.html"
    folder = str(store([make_record()]))
    assert main(["report", folder, "--out", str(path)]) == OK
    assert "page.html: 1 run, 0." in capsys.readouterr().out


def test_without_a_run_nothing_is_written(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "--out", str(path)]) == USAGE
    assert capsys.readouterr().err.startswith("No stored run in")
    assert not path.exists()


def test_a_page_that_cannot_be_written_is_one_sentence(
    tmp_path, store, make_record, capsys
):
    path = tmp_path / "nowhere" / "page.html"
    folder = str(store([make_record()]))
    assert main(["report", folder, "--out", str(path)]) == USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_it_must_be_told_where_to_write(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["report"])
    assert exit_.value.code == USAGE
    assert "--out" in capsys.readouterr().err


def test_list_names_it(capsys):
    assert main(["--list"]) == OK
    assert "report" in capsys.readouterr().out
