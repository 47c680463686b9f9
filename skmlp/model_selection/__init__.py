"""Smaller training sets, and searches that train candidates as one network."""

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

_LOADED_ON_USE = {
    "PackedGridSearchCV": "_packed_search",
    "PackedHalvingGridSearchCV": "_packed_halving",
    "PackedHalvingRandomSearchCV": "_packed_halving",
    "PackedRandomizedSearchCV": "_packed_search",
    "packed_cross_validate": "_packed_validation",
}


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Import modules that need torch on first use; `subsample` needs no torch."""
        if name in _LOADED_ON_USE:
            return getattr(import_module(f"{__name__}.{_LOADED_ON_USE[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
