"""The parameter `callbacks`: checks, and the copies that a fit calls.

A fit calls copies, because skorch's `initialize` changes a callback. The copies are
shallow. The arguments of a callback (a trial of Optuna, a writer of TensorBoard, a list
to fill) are therefore the objects of the user, as in skorch.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from skorch.callbacks import InputShapeSetter


def iterate_callbacks(callbacks: Iterable[Any] | None) -> Iterator[Any]:
    """Yield the callbacks, which may be instances, classes, or pairs with a name."""
    for item in callbacks or ():
        yield item[1] if isinstance(item, (tuple, list)) and len(item) == 2 else item


def check_callbacks(callbacks: Iterable[Any] | None) -> None:
    """Raise an error if an entry is no callback, or if a fit cannot use it.

    Raises
    ------
    TypeError
        If an entry has no hooks of skorch.
    ValueError
        If an entry sets the input size of the network.
    """
    for i, callback in enumerate(iterate_callbacks(callbacks)):
        if not hasattr(callback, "on_train_begin"):
            raise TypeError(
                f"callbacks[{i}] is {callback!r}, which is no skorch callback; give "
                "callbacks, their classes, or pairs (name, callback)."
            )
        cls = callback if isinstance(callback, type) else type(callback)
        if issubclass(cls, InputShapeSetter):
            raise ValueError(
                f"callbacks[{i}] is an InputShapeSetter, but fit builds the network "
                "for the features of X; remove it."
            )


def copy_callbacks(callbacks: Iterable[Any] | None) -> list[Any]:
    """Return shallow copies of the callbacks; names and classes stay as they are.

    A callback that has another one of the list as an attribute, as `LoadInitState` has
    its checkpoint, has the copy of it in the copied list.
    """
    copies = {
        id(callback): copy.copy(callback)
        for callback in iterate_callbacks(callbacks)
        if not isinstance(callback, type)
    }
    for copied in copies.values():
        for name, value in getattr(copied, "__dict__", {}).items():
            if id(value) in copies:
                setattr(copied, name, copies[id(value)])
    return [
        (item[0], copies.get(id(item[1]), item[1]))
        if isinstance(item, (tuple, list))
        else copies.get(id(item), item)
        for item in callbacks or ()
    ]
