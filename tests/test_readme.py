"""README: its code runs, its tables are those that the stored results give."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
TABLES = re.findall(
    r"<!-- table: (.*?) -->\n(.*?)<!-- end of table -->", README, flags=re.DOTALL
)


def test_the_code_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    scores = [float(line.split()[0]) for line in printed if line.startswith("0.")]
    assert len(BLOCKS) >= 5
    assert scores
    assert min(scores) > 0.9


@pytest.mark.parametrize(("arguments", "table"), TABLES, ids=[t[0] for t in TABLES])
def test_a_table_is_what_its_command_prints(arguments, table):
    command = [sys.executable, "-m", "benchmarks", *arguments.split()]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [line for line in made.stdout.splitlines() if line.startswith("|")]
    assert rows
    assert [line for line in table.splitlines() if line.startswith("|")] == rows


def test_the_two_commands_set_up_everything():
    commands = re.findall(r"^    (python3 -m venv .*)$", README, flags=re.MULTILINE)
    assert [command.split(" && ")[-1] for command in commands] == [
        "python -m benchmarks",
        "python -m pytest",
    ]
