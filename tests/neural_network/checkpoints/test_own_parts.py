"""A fit with own parts continues from its checkpoint."""

import pytest
import torch
import torch.nn.functional as F

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:Training goes on after epoch",
)


def cross_entropy(z, y):
    return F.cross_entropy(z, y, reduction="none")


PARTS = {
    "solver": torch.optim.Adam,
    "muon": "muon",
    "torch_sgd": "torch_sgd",
    "loss": cross_entropy,
    "activation": torch.nn.PReLU,
    "learning_rate": lambda progress: 1.0 - progress,
}


@pytest.mark.parametrize("name", PARTS)
def test_fit_with_own_part_continues_exactly(
    name, path, digits, mlp, kill, assert_equal_weights
):
    parameter = "solver" if name in ("muon", "torch_sgd") else name
    params = {parameter: PARTS[name]}
    whole = mlp(**params).fit(*digits)
    kill(mlp(**params), 3, path)
    resumed = mlp(checkpoint=path, **params).fit(*digits)
    assert_equal_weights(resumed, whole)
    with pytest.raises(ValueError, match=f"is of another fit: {parameter} was"):
        mlp(checkpoint=path).fit(*digits)
