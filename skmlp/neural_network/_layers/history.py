"""Values that training recorded after every epoch."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


def values_by_epoch(
    history: Iterable[Mapping[str, Any]], key: str, n_epochs: int
) -> list[float]:
    """Return the value of each epoch.

    A missing value is NaN. If all values are missing, the result is an empty list.

    Parameters
    ----------
    history : iterable of dict
        Records of the most recent epochs. After a warm start, the records of the first
        epochs may be missing.
    key : str
        Key of the value in a record, such as "valid_loss".
    n_epochs : int
        Number of epochs of all fits.

    Examples
    --------
    >>> values_by_epoch([{"valid_loss": 0.5}], "valid_loss", n_epochs=2)
    [nan, 0.5]
    >>> values_by_epoch([{"train_loss": 0.5}], "valid_loss", n_epochs=2)
    []
    """
    values = [math.nan] * n_epochs + [record.get(key, math.nan) for record in history]
    values = values[len(values) - n_epochs :]
    return [] if all(map(math.isnan, values)) else values
