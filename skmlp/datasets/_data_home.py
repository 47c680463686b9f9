"""The folders in which data sets are stored and looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# Folders of the operating system. Debian's dataset-fashion-mnist uses the second one.
SYSTEM_FOLDERS = (Path("/usr/local/share/datasets"), Path("/usr/share/datasets"))


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> str:
    """Return the folder in which data sets are stored; create it if necessary.

    The data home has one folder for each data set: ``mnist``, ``fashion-mnist`` and
    ``cifar10``.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. A leading ``~`` is the user's home. If None, the folder is

        - the value of the environment variable ``SKMLP_DATA``, if it is set,
        - otherwise the folder ``skmlp`` in the user's cache, which is
          ``~/.cache/skmlp`` on Linux.

    Returns
    -------
    data_home : str
        The path of the folder.

    Raises
    ------
    OSError
        If the folder cannot be created.

    Examples
    --------
    >>> import os, tempfile
    >>> from skmlp.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = get_data_home(os.path.join(folder, "data"))
    ...     os.path.isdir(home), os.path.basename(home)
    (True, 'data')
    """
    folder = resolve_data_home(data_home)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def resolve_data_home(data_home: str | os.PathLike[str] | None) -> Path:
    """Return the data home without creating it."""
    chosen = data_home or os.environ.get("SKMLP_DATA")
    if not chosen:
        import pooch

        chosen = pooch.os_cache("skmlp")
    return Path(chosen).expanduser()


def data_set_folders(name: str, data_home: str | os.PathLike[str] | None) -> list[Path]:
    """Return the folders of a data set, in search order."""
    return [home / name for home in (resolve_data_home(data_home), *SYSTEM_FOLDERS)]


def find_file(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """Return the first file with one of the names in one of the folders."""
    names = tuple(names)
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)
