"""The signature of the fetchers, whose result type depends on two arguments."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, overload

import numpy as np
from numpy.typing import NDArray

from skmlp._sklearn_bases import Bunch, validate_params
from skmlp.datasets._image_set import FETCH_CONSTRAINTS

if TYPE_CHECKING:
    import pandas as pd


class Fetcher(Protocol):
    """Type of a fetcher, with overloads for `return_X_y` and `as_frame`."""

    @overload
    def __call__(
        self,
        *,
        data_home: str | os.PathLike[str] | None = None,
        subset: str = "train",
        download_if_missing: bool = True,
        return_X_y: Literal[False] = False,
        as_frame: bool = False,
        n_retries: int = 3,
        delay: float = 1.0,
    ) -> Bunch: ...

    @overload
    def __call__(
        self,
        *,
        data_home: str | os.PathLike[str] | None = None,
        subset: str = "train",
        download_if_missing: bool = True,
        return_X_y: Literal[True],
        as_frame: Literal[False] = False,
        n_retries: int = 3,
        delay: float = 1.0,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...

    @overload
    def __call__(
        self,
        *,
        data_home: str | os.PathLike[str] | None = None,
        subset: str = "train",
        download_if_missing: bool = True,
        return_X_y: Literal[True],
        as_frame: Literal[True],
        n_retries: int = 3,
        delay: float = 1.0,
    ) -> tuple[pd.DataFrame, pd.Series]: ...

    @overload
    def __call__(
        self,
        *,
        data_home: str | os.PathLike[str] | None = None,
        subset: str = "train",
        download_if_missing: bool = True,
        return_X_y: bool,
        as_frame: bool = False,
        n_retries: int = 3,
        delay: float = 1.0,
    ) -> Bunch | tuple[Any, Any]: ...


def fetcher(function: Callable[..., Bunch | tuple[Any, Any]]) -> Fetcher:
    """Decorate a fetcher: validate its parameters, and declare its overloads."""
    check = validate_params(FETCH_CONSTRAINTS, prefer_skip_nested_validation=True)
    return cast(Fetcher, check(function))
