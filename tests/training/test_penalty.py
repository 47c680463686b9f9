"""The L2 penalty, against autograd."""

import torch
from torch.testing import assert_close

from skmlp.training.flat import FlatParameters
from skmlp.training.modules import build_mlp
from skmlp.training.penalty import Penalty

ALPHA, TOTAL = (0.3, 0.7), 5.0


def test_it_is_what_autograd_makes_of_it():
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
        loss = penalty.add_to_loss(torch.tensor(2.0), TOTAL)
        penalty.add_to_gradients(TOTAL)
    assert_close(loss, 2.0 + expected.detach())
    for parameter, copied in zip(flat.parameters, copies, strict=True):
        place = flat.place_of(parameter)
        added = flat.gradients[place] - before[place]
        own = torch.zeros_like(copied) if copied.grad is None else copied.grad
        assert_close(added.view(own.shape), own, rtol=1e-5, atol=1e-6)
