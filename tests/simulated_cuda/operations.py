"""What an operation of ATen reads, writes and waits for."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

# These may have tensors of two devices.
COPIES = {aten.copy_.default, aten._to_copy.default, aten._foreach_copy_.default}

# CUDA accepts indices of the host. It copies them and waits.
INDEXING = {
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
}

# The shape of the result depends on values, so the host waits for them.
SHAPE_DEPENDS_ON_VALUES = {
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
    aten.equal.default,
    aten.repeat_interleave.Tensor,
}

VALUE_READS = {aten._local_scalar_dense.default, aten.item.default}

_WITHOUT_KERNEL = {
    "empty",
    "empty_strided",
    "empty_like",
    "new_empty",
    "new_empty_strided",
    "detach",
    "alias",
    "lift_fresh",
    "set_",
    "resize_",
}


def name_of(operation: Any) -> str:
    """Return the name of an operation without its namespace."""
    return operation._schema.name.split("::")[1]


def returns_view(operation: Any) -> bool:
    """Return whether an operation returns a view and computes nothing."""
    returns = operation._schema.returns
    return bool(returns) and all(
        r.alias_info is not None and not r.alias_info.is_write for r in returns
    )


def launches_kernel(operation: Any) -> bool:
    """Return whether an operation launches a kernel."""
    return not returns_view(operation) and name_of(operation) not in _WITHOUT_KERNEL


def written_tensors(operation: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors that an operation changes."""
    if operation is aten.native_batch_norm.default:  # its schema does not say it
        return [t for t in args[3:5] if t is not None]
    written: list[Tensor] = []
    for i, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        is_positional = not argument.kwarg_only and i < len(args)
        value = args[i] if is_positional else kwargs.get(argument.name)
        written += [t for t in tree_leaves(value) if isinstance(t, Tensor)]
    return written


def generators_of(args: Any, kwargs: Any) -> list[torch._C.Generator]:
    """Return the generators among the arguments of an operation."""
    leaves = tree_leaves((args, kwargs))
    return [leaf for leaf in leaves if isinstance(leaf, torch._C.Generator)]
