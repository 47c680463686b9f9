"""A module that packs have no formulas for, because of its normalization."""

from __future__ import annotations

from torch import Tensor, nn


class NormalizedPerceptron(nn.Module):
    """A perceptron of one hidden layer with LayerNorm."""

    def __init__(self, n_features: int, n_classes: int, units: int) -> None:
        super().__init__()
        self.dense = nn.Linear(n_features, units)
        self.norm = nn.LayerNorm(units)
        self.output = nn.Linear(units, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.output(self.norm(self.dense(x)).relu())
