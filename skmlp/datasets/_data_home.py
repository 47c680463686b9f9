"""Where data sets are kept, and where they are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# Where operating systems put data sets: Debian's dataset-fashion-mnist in the second.
SYSTEM_FOLDERS = (Path("/usr/local/share/datasets"), Path("/usr/share/datasets"))


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> str:
    """Return the folder where data sets are kept, made if it does not exist.

    It holds one folder for each data set: ``mnist``, ``fashion-mnist`` and
    ``cifar10``.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. If None, it is the one named by the environment variable
        ``SKMLP_DATA``, and without that the folder ``skmlp`` in the user's cache
        (``~/.cache/skmlp`` on Linux). A leading ``~`` is the user's home.

    Returns
    -------
    str
        The path of the folder.

    Raises
    ------
    OSError
        If the folder cannot be made.

    Examples
    --------
    >>> import os, tempfile
    >>> from skmlp.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = get_data_home(os.path.join(folder, "data"))
    ...     os.path.isdir(home), os.path.basename(home)
    (True, 'data')
    """
    folder = data_home_path(data_home)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def data_home_path(data_home: str | os.PathLike[str] | None) -> Path:
    """Return the data home without making it."""
    chosen = data_home or os.environ.get("SKMLP_DATA")
    if not chosen:
        import pooch

        chosen = pooch.os_cache("skmlp")
    return Path(chosen).expanduser()


def search_folders(name: str, data_home: str | os.PathLike[str] | None) -> list[Path]:
    """Return the folders that may hold the data set `name`, in the order of search."""
    return [home / name for home in (data_home_path(data_home), *SYSTEM_FOLDERS)]


def find_file(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """Return the first file of one of these names in one of these folders."""
    names = tuple(names)
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)
