"""Warnings that point to the line of the user."""

import os
import site
import sys
import sysconfig
import warnings
from functools import cache
from pathlib import Path

# Files whose code is never the user's: this package, the standard library, and all that
# is installed.
_FOREIGN = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in {
        str(Path(__file__).parent),
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that belongs to the user.

    `warnings.warn` has ``skip_file_prefixes`` for it since Python 3.12. Without a line
    of the user, in a worker process for instance, the warning points to the outermost
    call.
    """
    frame = sys._getframe(1)
    level = 2
    while frame.f_back is not None and _is_foreign(frame.f_code.co_filename):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


@cache  # a resolved path takes as long as a small batch
def _is_foreign(file: str) -> bool:
    """Return whether a file belongs to no user; frozen modules have no path."""
    if file.startswith("<"):
        return file.startswith("<frozen")
    return str(Path(file).resolve()).startswith(_FOREIGN)
