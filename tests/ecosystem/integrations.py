"""The table of integrations: packages, their versions, and what the tests try.

``python tests/ecosystem/integrations.py`` prints the table. With ``--write`` it puts
the table into GUIDE.md. The rows are read from the tests of this folder: a test names a
package in the reason for which it is skipped. The versions stand in constraints.txt.
"""

import ast
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
COMMAND = "python tests/ecosystem/integrations.py --write"
MARKS = f"<!-- integrations: {COMMAND} -->", "<!-- end of integrations -->"


def read_versions():
    """Return the version of each pinned package by its name in lower case."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+)$", text, flags=re.MULTILINE)
    return {normalize(name): version for name, version in pins}


def normalize(name):
    """Return the name of a package as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_integrations():
    """Return pairs of a package and what a test does with it, in the order of tests."""
    found = []
    for path in sorted(FOLDER.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        of_fixtures = {
            function.name: packages_in(function)
            for function in functions
            if not function.name.startswith("test_")
        }
        for function in functions:
            if not function.name.startswith("test_"):
                continue
            arguments = [argument.arg for argument in function.args.args]
            packages = packages_in(function)
            for argument in arguments:
                packages += of_fixtures.get(argument, [])
            sentence = function.name.removeprefix("test_").replace("_", " ")
            found += [(package, sentence) for package in dict.fromkeys(packages)]
    return found


def packages_in(function):
    """Return the packages without which a function skips its test."""
    texts = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = [re.fullmatch(r"([\w.-]+) is not installed", text) for text in texts]
    return [match[1] for match in named if match]


def make_table():
    """Return the lines of the table, one for each package."""
    versions, rows = read_versions(), {}
    for package, sentence in read_integrations():
        rows.setdefault(package, []).append(sentence)
    lines = ["| package | version | what is tested |", "| --- | --- | --- |"]
    for package in sorted(rows, key=str.lower):
        version = versions.get(normalize(package), "")
        lines.append(f"| {package} | {version} | {'; '.join(rows[package])} |")
    return lines


def write_guide():
    """Replace the table in GUIDE.md."""
    guide = ROOT / "GUIDE.md"
    text = guide.read_text(encoding="utf-8")
    begin, end = (re.escape(mark) for mark in MARKS)
    table = "\n".join([MARKS[0], *make_table(), MARKS[1]])
    replaced, n = re.subn(f"{begin}.*{end}", lambda m: table, text, flags=re.DOTALL)
    if n != 1:
        raise SystemExit(f"GUIDE.md has {n} tables of integrations.")
    guide.write_text(replaced, encoding="utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write_guide()
    else:
        print("\n".join(make_table()))
