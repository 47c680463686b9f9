"""Neural networks that drop into scikit-learn.

- `skmlp.datasets`: image sets and image files to learn from.
- `skmlp.preprocessing`: image files read, pixels scaled and standardised.
- `skmlp.augmentation`: random changes of training images.
- `skmlp.model_selection`: searches that train as packs; train-size sampling and splits.
- `skmlp.neural_network`: the estimators.
- `skmlp.inspection`: summaries and pictures of them.
- `skmlp.persistence`: models in files that hold no code.
- `skmlp.exceptions`: warnings that users may want to silence.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skmlp import (
        augmentation,
        datasets,
        exceptions,
        inspection,
        model_selection,
        neural_network,
        persistence,
        preprocessing,
    )

__version__ = "0.1.0"

__all__ = [
    "augmentation",
    "datasets",
    "exceptions",
    "inspection",
    "model_selection",
    "neural_network",
    "persistence",
    "preprocessing",
]


if not TYPE_CHECKING:  # with it, a type checker would accept any name

    def __getattr__(name: str) -> ModuleType:
        """Import a subpackage on first use, so that pixels alone need no torch."""
        if name in __all__:
            return import_module(f"skmlp.{name}")
        raise AttributeError(f"module 'skmlp' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the subpackages, imported or not."""
    return [*globals(), *__all__]
