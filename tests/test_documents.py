"""README and GUIDE: their code runs, their figures are stored, their links lead on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "GUIDE.md")
}
README, GUIDE = DOCUMENTS.values()
BLOCK = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def split_sections(text):
    """Return the text of each second-level section by its heading."""
    _, *parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


SECTIONS = split_sections(GUIDE)
SECTIONS_WITH_CODE = [name for name, text in SECTIONS.items() if BLOCK.search(text)]
TABLES = [
    found
    for text in DOCUMENTS.values()
    for found in re.findall(
        r"<!-- table: (.*?) -->\n(.*?)<!-- end of table -->", text, flags=re.DOTALL
    )
]


@pytest.fixture
def run_blocks(tmp_path, monkeypatch, capsys):
    """Run Python blocks in one namespace and a new folder; return the printed lines."""
    monkeypatch.chdir(tmp_path)

    def run(text, name):
        namespace: dict[str, object] = {}
        for block in BLOCK.findall(text):
            exec(compile(block, name, "exec"), namespace)
        return capsys.readouterr().out.splitlines()

    return run


def scores_in(lines):
    """Return the scores that begin a line."""
    return [float(line.split()[0]) for line in lines if line.startswith("0.")]


def make_anchor(heading):
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def run_benchmarks(arguments):
    """Return what ``python -m benchmarks`` prints."""
    command = [sys.executable, "-m", "benchmarks", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_readme_code_runs_from_top_to_bottom(run_blocks):
    scores = scores_in(run_blocks(README, "README.md"))
    assert len(BLOCK.findall(README)) >= 4
    assert len(scores) >= 2
    assert min(scores) > 0.9


@pytest.mark.parametrize("section", SECTIONS_WITH_CODE)
def test_guide_section_runs_alone(section, run_blocks):
    scores = scores_in(run_blocks(SECTIONS[section], "GUIDE.md"))
    assert min(scores, default=1.0) > 0.85


def test_most_guide_sections_have_code():
    assert len(SECTIONS_WITH_CODE) >= 15


def test_readme_has_at_most_200_lines():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize(("arguments", "table"), TABLES, ids=[t[0] for t in TABLES])
def test_table_equals_output_of_its_command(arguments, table):
    printed = run_benchmarks(arguments).splitlines()
    rows = [line for line in printed if line.startswith("|")]
    assert rows
    assert [line for line in table.splitlines() if line.startswith("|")] == rows


def test_documents_hold_the_tables_of_speed_search_and_tables():
    programs = {arguments.split()[0] for arguments, _ in TABLES}
    assert programs == {"speed", "search", "tables"}


REASONS = re.findall(
    r"^\| (\w+) \| (.*) \| `python -m benchmarks (.* --tables)` \|$",
    README,
    flags=re.MULTILINE,
)


@pytest.mark.parametrize(("topic", "text", "arguments"), REASONS)
def test_figures_of_readme_are_printed_by_their_command(topic, text, arguments):
    figures = re.findall(r"\d+\.\d+", text)
    printed = re.findall(r"\d+\.\d+", run_benchmarks(f"{arguments} --markdown"))
    assert len(figures) >= 2
    assert set(figures) <= set(printed)


def test_readme_names_four_stored_figures():
    topics = [topic for topic, *_ in REASONS]
    assert topics == ["speed", "search", "accuracy", "tables"]


def test_two_commands_set_up_everything():
    commands = re.findall(r"^    (python3 -m venv .*)$", README, flags=re.MULTILINE)
    assert [command.split(" && ")[-1] for command in commands] == [
        "python -m benchmarks",
        "python -m pytest",
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name):
    links = [x for x in LINK.findall(DOCUMENTS[name]) if not x.startswith("http")]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = ROOT / (path or name)
        assert target.exists(), link
        if anchor:
            text = target.read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
            assert anchor in map(make_anchor, headings), link


def test_long_description_has_absolute_links_only():
    core = ProjectMetadata(str(ROOT), PluginManager()).core
    assert core.readme_content_type == "text/markdown"
    links = LINK.findall(core.readme)
    assert len(links) == len(LINK.findall(README))
    for link in links:
        assert link.startswith("https://"), link
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(core.urls)
