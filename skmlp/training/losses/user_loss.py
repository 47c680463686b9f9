"""A loss that the user gives as a callable, with gradients by autograd."""

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from skmlp.training.losses.base import Loss

UserFunction = Callable[[Tensor, Tensor], Tensor]


class UserLoss(Loss):
    """A loss computed by a callable of the user.

    Parameters
    ----------
    function : callable
        Takes logits ``(batch, outputs)`` and targets. Returns the sample losses
        ``(batch,)``, or losses of the shape of the logits, which are summed over the
        outputs.
    output_activation : str
        One of `OUTPUT_ACTIVATIONS`.
    """

    uses_autograd = True

    def __init__(self, function: UserFunction, output_activation: str) -> None:
        super().__init__()
        # Not an attribute of torch: a module would be registered as a sub-module.
        self.__dict__["function"] = self.__dict__["_placed"] = function
        self.output_activation = output_activation

    def placed_like(self, parameter: Tensor) -> Self:
        """Return the loss with the tensors of a module in dtype and on the device."""
        function = self.__dict__["function"]
        if not isinstance(function, nn.Module) or not function.state_dict():
            return self
        placed = type(self)(function, self.output_activation)
        moved = copy.deepcopy(function).to(parameter.device, parameter.dtype)
        placed.__dict__["_placed"] = moved
        return placed

    def sample_losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each sample, differentiable by autograd."""
        losses = self.__dict__["_placed"](logits, y)
        if not isinstance(losses, Tensor):
            raise TypeError(
                f"loss returned {type(losses).__name__}, but has to return a tensor "
                "with one loss for each sample."
            )
        if losses.shape == logits.shape:
            losses = losses.sum(-1)
        if losses.shape != logits.shape[:1]:
            reduces = losses.dim() == 0
            raise ValueError(
                f"loss returned a tensor of shape {tuple(losses.shape)} for logits of "
                f"shape {tuple(logits.shape)} and targets of shape {tuple(y.shape)}, "
                f"but has to return one loss for each sample, shape ({len(logits)},)"
                f"{'; do not reduce the losses' if reduces else ''}."
            )
        return losses.to(logits.dtype)

    def loss_and_gradient(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample, and the gradient of their sum."""
        return self._differentiate(logits, y, torch.sum)

    def loss_terms_and_gradient(
        self, logits: Tensor, y: Tensor, weight: Tensor | None, n_threads: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Return the sample losses, and the gradient of their weighted mean.

        It is the gradient even if the loss of a sample depends on the other samples of
        the batch.
        """
        return self._differentiate(
            logits, y, lambda losses: self.mean_loss(losses, weight)
        )

    def _differentiate(
        self, logits: Tensor, y: Tensor, reduce: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the sample losses, and the gradient of their reduction."""
        with torch.enable_grad():
            logits = logits.detach().requires_grad_()
            losses = self.sample_losses(logits, y)
            (grad,) = torch.autograd.grad(reduce(losses), logits)
        return losses.detach(), grad


def check_user_loss(function: Any) -> None:
    """Raise an error for a callable that cannot be a loss.

    Raises
    ------
    TypeError
        If it is a class.
    ValueError
        If it is a module that reduces its losses, or a module to be trained.
    """
    if isinstance(function, type):
        raise TypeError(
            f"loss is the class {function.__name__}; give an instance of it, such as "
            f"loss={function.__name__}(reduction='none')."
        )
    if not isinstance(function, nn.Module):
        return
    name = type(function).__name__
    if (reduction := getattr(function, "reduction", "none")) != "none":
        raise ValueError(
            f"loss={name} reduces its losses by reduction={reduction!r}, so sample "
            f"weights could not count; give {name}(reduction='none')."
        )
    if any(parameter.requires_grad for parameter in function.parameters()):
        raise ValueError(
            f"loss={name} has parameters to be trained, but only the network is "
            "trained; set their requires_grad to False."
        )


def try_user_loss(loss: UserLoss, y: Tensor, like: Tensor, n_outputs: int) -> None:
    """Raise an error for a loss that cannot be computed or has no gradient.

    Parameters
    ----------
    loss : UserLoss
    y : Tensor
        Targets of a few samples.
    like : Tensor
        A parameter of the network, in dtype and on device of the logits.
    n_outputs : int
        Number of logits of a sample.
    """
    logits = torch.linspace(-1.0, 1.0, len(y) * n_outputs).reshape(len(y), n_outputs)
    logits = logits.to(like.device, like.dtype)
    shapes = f"logits of shape {tuple(logits.shape)} and targets {tuple(y.shape)}"
    has_gradient = False
    for scale in (1.0, 1e3, 1e6):  # a loss may be constant near zero
        scaled = (scale * logits).requires_grad_()
        with torch.enable_grad():
            try:
                losses = loss.__dict__["_placed"](scaled, y)
            except Exception as error:
                raise ValueError(f"loss failed for {shapes}: {error}") from error
            losses = loss.sample_losses(scaled, y)
        if not losses.requires_grad:
            break
        (grad,) = torch.autograd.grad(losses.sum(), scaled, allow_unused=True)
        has_gradient |= grad is not None and bool((grad != 0).any())
    if not has_gradient:
        two_classes = n_outputs == 1 and loss.output_activation == "logistic"
        hint = (
            "; two classes have one logit, as for BCEWithLogitsLoss(reduction='none')"
            if two_classes
            else ""
        )
        raise ValueError(f"loss does not depend on the logits, for {shapes}{hint}.")
