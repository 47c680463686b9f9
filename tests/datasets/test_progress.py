import io

import pytest
from rich.console import Console

from skmlp.datasets import fetch_mnist
from skmlp.datasets._progress import progress_bar


class Terminal(io.StringIO):
    """A terminal that records its output."""

    def isatty(self):
        return True


def console_on(stream):
    return Console(file=stream, force_terminal=True, force_interactive=True, width=100)


@pytest.mark.parametrize(
    ("in_bytes", "amount"), [(False, "3000/4000"), (True, "3.0/4.0 kB")]
)
def test_bar_shows_description_and_amount_in_a_terminal(in_bytes, amount):
    terminal = Terminal()
    with progress_bar(
        "[images]", 8000, in_bytes=in_bytes, console=console_on(terminal)
    ) as bar:
        bar.total = 4000
        bar.update(1000)
        bar.reset()
        bar.update(3000)
        bar.close()
        assert bar.total == 4000
    assert "[images]" in terminal.getvalue()
    assert amount in terminal.getvalue()


def test_bar_is_not_shown_in_a_pipe():
    pipe = io.StringIO()
    with progress_bar("images", 3, console=console_on(pipe)) as bar:
        assert bar is None
    assert not pipe.getvalue()


def test_disabled_bar_is_not_shown():
    terminal = Terminal()
    with progress_bar("x", 3, enabled=False, console=console_on(terminal)) as bar:
        assert bar is None
    assert not terminal.getvalue()


def test_download_shows_a_bar_in_a_terminal(digits, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    fetch_mnist(data_home=tmp_path)
    assert "train-images" in terminal.getvalue()


def test_download_prints_nothing_without_a_terminal(digits, tmp_path, capsys):
    fetch_mnist(data_home=tmp_path)
    assert capsys.readouterr() == ("", "")
