"""Select subsets of samples; search and cross-validate with networks in packs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skmlp.model_selection._subsample import subsample
from skmlp.model_selection._train_size_split import TrainSizeSplit

if TYPE_CHECKING:
    from skmlp.model_selection._packed_halving import (
        PackedHalvingGridSearchCV,
        PackedHalvingRandomSearchCV,
    )
    from skmlp.model_selection._packed_search import (
        PackedGridSearchCV,
        PackedRandomizedSearchCV,
    )
    from skmlp.model_selection._packed_validation import packed_cross_validate

__all__ = [
    "PackedGridSearchCV",
    "PackedHalvingGridSearchCV",
    "PackedHalvingRandomSearchCV",
    "PackedRandomizedSearchCV",
    "TrainSizeSplit",
    "packed_cross_validate",
    "subsample",
]

# Modules that import torch. They are imported on first use.
_MODULE_OF_NAME = {
    "PackedGridSearchCV": "_packed_search",
    "PackedHalvingGridSearchCV": "_packed_halving",
    "PackedHalvingRandomSearchCV": "_packed_halving",
    "PackedRandomizedSearchCV": "_packed_search",
    "packed_cross_validate": "_packed_validation",
}


# With a module-level `__getattr__`, a type checker would accept every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import modules that need torch on first use; `subsample` needs no torch."""
        if name in _MODULE_OF_NAME:
            return getattr(import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
