"""The L2 penalty of the weights."""

import pytest
import torch
from torch.testing import assert_close

from skmlp.training.modules.layers import build_mlp
from skmlp.training.optimizers import penalty as penalty_module
from skmlp.training.optimizers.flat_parameters import FlatParameters
from skmlp.training.optimizers.penalty import Penalty

ALPHA, TOTAL = (0.3, 0.7), 5.0


def test_penalty_matches_autograd():
    torch.manual_seed(0)
    network = build_mlp(4, [3], 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    flat = FlatParameters(network)
    flat.gradients.normal_()
    copies = [p.detach().clone().requires_grad_() for p in flat.parameters]
    expected = sum(
        0.5 * alpha / TOTAL * weight.square().sum()
        for alpha, weight in zip(ALPHA, copies, strict=False)
    )
    expected.backward()
    before = flat.gradients.clone()
    with torch.no_grad():
        penalty = Penalty(flat, ALPHA)
        norms = [of_parts.unsqueeze(0) for of_parts in penalty.norms()]
        value = penalty.from_norms(norms, torch.tensor([TOTAL]))
        penalty.add_to_gradients(TOTAL)
    assert_close(value, expected.detach().view(1))
    for parameter, copied in zip(flat.parameters, copies, strict=True):
        at = flat.slice_of(parameter)
        added = flat.gradients[at] - before[at]
        own = torch.zeros_like(copied) if copied.grad is None else copied.grad
        assert_close(added.view(own.shape), own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize("width", [3, 200, 201])
def test_threads_do_not_change_penalty_norms(width, n_threads, on_one_and_many_threads):
    """An odd number of weights is not cut into halves."""
    torch.manual_seed(0)
    network = build_mlp(333, [width], 2)
    flat = FlatParameters(network)
    flat.values.normal_()

    def norms(tuner):
        return Penalty(flat, (0.3, 0.7), tuner).norms()

    on_one, on_many = on_one_and_many_threads(n_threads, norms)
    assert all(map(torch.equal, on_one, on_many))
    expected = network[0].weight.detach().double().norm()
    assert_close(on_one[0].double().norm(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("width", "threads"), [(3, [1, 1]), (200, [2, 1])])
def test_halves_of_many_weights_use_two_threads(
    width, threads, requested_threads, four_threads
):
    requested = requested_threads(penalty_module)
    flat = FlatParameters(build_mlp(333, [width], 2))
    Penalty(flat, (0.3, 0.7), four_threads).norms()
    assert requested == threads
