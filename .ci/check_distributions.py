"""Check the files and the metadata of the sdist and the wheel in a folder."""

import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

# Every sdist has these; `tests/` and so on stand for at least one file below.
IN_SDIST = [
    "CHANGELOG.md",
    "CITATION.cff",
    "GUIDE.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "benchmarks/",
    "constraints.txt",
    "constraints-oldest.txt",
    "pyproject.toml",
    "skmlp/py.typed",
    "tests/",
]
URLS = {"Homepage", "Documentation", "Changelog", "Issues", "Source"}


def main(folder: Path) -> None:
    """Check the only sdist and the only wheel in `folder`."""
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [
        name
        for name in IN_SDIST
        if name not in names and not any(n.startswith(name) for n in names)
    ]
    if missing:
        raise SystemExit(f"The sdist lacks {missing}.")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (path,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(path).decode())
    folders = {name.partition("/")[0] for name in names}
    if folders != {"skmlp", path.partition("/")[0]}:
        raise SystemExit(f"The wheel has the folders {sorted(folders)}.")
    if "skmlp/py.typed" not in names:
        raise SystemExit("The wheel lacks skmlp/py.typed.")
    urls = {value.partition(",")[0] for value in metadata.get_all("Project-URL")}
    if urls != URLS:
        raise SystemExit(f"The project has the URLs {sorted(urls)}.")
    readme = metadata.get_payload()
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    relative = [link for link in links if not re.match(r"https?:|#", link)]
    if relative or not links:
        raise SystemExit(f"README has relative links on the index page: {relative}.")
    print(f"{sdist.name} and {wheel.name} are complete.")


main(Path(sys.argv[1]))
