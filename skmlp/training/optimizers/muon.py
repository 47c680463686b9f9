"""Muon for the matrices of hidden layers, and AdamW for all other parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from skmlp.training.optimizers.flat_optimizers import Adam
from skmlp.training.optimizers.flat_parameters import FlatParameters


class MuonAdam(Optimizer):
    """Muon (Jordan et al. 2024) for hidden matrices, Adam for the other parameters.

    Muon is torch's class. A hidden matrix holds the weights of a layer before the last
    one. The kernels of a convolution are a matrix ``(out, height * width * in)``.

    Parameters
    ----------
    flat : FlatParameters
        Holds the parameters and their gradients.
    muon, adam : mapping of str to object
        Arguments of `torch.optim.Muon` and of `Adam`.

    Raises
    ------
    ValueError
        If torch has no Muon, if its arguments are not valid, or if the network has no
        trainable hidden layer.
    """

    def __init__(
        self, flat: FlatParameters, muon: Mapping[str, Any], adam: Mapping[str, Any]
    ) -> None:
        check_muon()
        matrices = flat.hidden_matrices()
        if not matrices:
            raise ValueError(
                "solver='muon' updates the matrices of hidden layers, but the network "
                "has no hidden layer to train; use solver='adamw'."
            )
        # The weight decay is applied by `ParameterUpdater`. The scale of the updates is
        # that of Adam, so that both share a learning rate (arXiv:2502.16982).
        defaults = {"weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}
        arguments: dict[str, Any] = defaults | dict(muon)
        try:
            parts: list[Any] = [torch.optim.Muon(matrices, **arguments)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"solver='muon': {error}") from error
        rest = flat.after_hidden_matrices()
        if rest.numel():
            parts.append(Adam([rest], **adam))
        super().__init__([group for p in parts for group in p.param_groups], {})
        for part in parts:  # schedules and checkpoints see this object only
            part.state = self.state
        self._parts = parts

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the group of a part, which has all settings."""
        self.param_groups.append(param_group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all parameters."""
        for part in self._parts:
            part.step()


def check_muon() -> None:
    """Raise ValueError if torch has no Muon."""
    if not hasattr(torch.optim, "Muon"):
        raise ValueError(
            "solver='muon' needs torch 2.9 or later, which has torch.optim.Muon, but "
            f"this is torch {torch.__version__}."
        )
