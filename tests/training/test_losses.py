"""Losses match torch's formulas, and their gradients match autograd."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from skmlp.training import losses

BATCH, OUTPUTS = 7, 4


def classes(generator):
    return torch.randint(OUTPUTS, (BATCH,), generator=generator)


def indicators(generator):
    return torch.randint(2, (BATCH, OUTPUTS), generator=generator).double()


def probabilities(generator):
    drawn = torch.rand(BATCH, OUTPUTS, generator=generator, dtype=torch.float64)
    drawn[0] = torch.eye(OUTPUTS)[1]  # 0 log 0 is 0
    return drawn / drawn.sum(1, keepdim=True)


def numbers(generator):
    return torch.randn(BATCH, OUTPUTS, generator=generator, dtype=torch.float64)


def counts(generator):
    return torch.randint(4, (BATCH, OUTPUTS), generator=generator).double()


def signed_margin(z, y):
    return (1 - (2 * y - 1) * z).clamp_min(0)


def multiclass_margin(z, y):
    correct = z.gather(1, y[:, None]).squeeze(1)
    rivals = z.masked_fill(F.one_hot(y, OUTPUTS).bool(), -math.inf).amax(1)
    return (1 + rivals - correct).clamp_min(0)


def focal(gamma):
    def loss(z, y):
        p = z.softmax(1).gather(1, y[:, None]).squeeze(1)
        return -((1 - p) ** gamma) * p.log()

    return loss


def focal_of_labels(gamma):
    def loss(z, y):
        p = torch.where(y == 1, z.sigmoid(), 1 - z.sigmoid())
        return (-((1 - p) ** gamma) * p.log()).sum(1)

    return loss


def pinball(levels):
    def loss(z, y):
        q = torch.tensor(levels, dtype=z.dtype)
        return torch.maximum(q * (y - z), (q - 1) * (y - z)).sum(1)

    return loss


# Loss, targets, and an independent formula of the sample losses.
CASES = {
    "softmax": (
        losses.SoftmaxCrossEntropy(),
        classes,
        lambda z, y: F.cross_entropy(z, y, reduction="none"),
    ),
    "softmax smoothed": (
        losses.SoftmaxCrossEntropy(0.3),
        classes,
        lambda z, y: F.cross_entropy(z, y, reduction="none", label_smoothing=0.3),
    ),
    "logistic": (
        losses.LogisticCrossEntropy(),
        indicators,
        lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1),
    ),
    "logistic smoothed": (
        losses.LogisticCrossEntropy(0.2),
        indicators,
        lambda z, y: F.binary_cross_entropy_with_logits(
            z, 0.8 * y + 0.1, reduction="none"
        ).sum(1),
    ),
    "kullback_leibler": (
        losses.KullbackLeibler(),
        probabilities,
        lambda z, y: F.kl_div(F.log_softmax(z, 1), y, reduction="none").sum(1),
    ),
    "hinge": (
        losses.Hinge(exclusive=True),
        classes,
        multiclass_margin,
    ),
    "squared hinge": (
        losses.Hinge(exclusive=True, squared=True),
        classes,
        lambda z, y: multiclass_margin(z, y) ** 2,
    ),
    "hinge of labels": (
        losses.Hinge(exclusive=False),
        indicators,
        lambda z, y: signed_margin(z, y).sum(1),
    ),
    "squared hinge of labels": (
        losses.Hinge(exclusive=False, squared=True),
        indicators,
        lambda z, y: (signed_margin(z, y) ** 2).sum(1),
    ),
    "absolute_error": (
        losses.AbsoluteError(),
        numbers,
        lambda z, y: F.l1_loss(z, y, reduction="none").sum(1),
    ),
    "huber": (
        losses.Huber(),
        numbers,
        lambda z, y: F.huber_loss(z, y, reduction="none").sum(1),
    ),
    "huber of a delta": (
        losses.Huber(0.3),
        numbers,
        lambda z, y: F.huber_loss(z, y, reduction="none", delta=0.3).sum(1),
    ),
    "focal": (losses.SoftmaxFocal(), classes, focal(2.0)),
    "focal of a small gamma": (losses.SoftmaxFocal(0.5), classes, focal(0.5)),
    "focal of labels": (losses.LogisticFocal(1.5), indicators, focal_of_labels(1.5)),
    "quantile": (losses.Quantile((0.9,)), numbers, pinball((0.9,))),
    "quantiles": (
        losses.Quantile((0.1, 0.5, 0.7, 0.9)),
        numbers,
        pinball((0.1, 0.5, 0.7, 0.9)),
    ),
    "log_cosh": (
        losses.LogCosh(),
        numbers,
        lambda z, y: torch.log(torch.cosh(z - y)).sum(1),
    ),
    "poisson": (
        losses.Poisson(),
        counts,
        lambda z, y: (
            F.poisson_nll_loss(z, y, reduction="none") + torch.xlogy(y, y) - y
        ).sum(1),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    loss, targets, formula = CASES[request.param]
    generator = torch.Generator().manual_seed(3)
    logits = 2 * numbers(generator)
    return loss, logits, targets(generator), formula


def test_losses_match_their_formulas(case):
    loss, logits, y, formula = case
    value, _ = loss.loss_and_gradient(logits, y)
    assert value.shape == (BATCH,)
    torch.testing.assert_close(value, formula(logits, y), rtol=1e-12, atol=1e-12)


def test_handwritten_gradients_match_autograd(case):
    loss, logits, y, formula = case
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(formula(leaf, y).sum(), leaf)
    _, grad = loss.loss_and_gradient(logits, y)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


def test_backward_weighs_the_samples(case):
    loss, logits, y, formula = case
    weight = torch.arange(BATCH, dtype=torch.float64)
    gradients = []
    for value_of in (loss.sample_losses, formula):
        leaf = logits.clone().requires_grad_()
        (value_of(leaf, y) @ weight).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_loss_and_gradient_match_the_sample_losses(case, weighted):
    loss, logits, y, _ = case
    weight = torch.arange(BATCH, dtype=torch.float64) / sum(range(BATCH))
    value, sample_grads = loss.loss_and_gradient(logits, y)
    weight = weight if weighted else None
    loss_terms, grad = loss.loss_terms_and_gradient(logits, y, weight)
    mean = loss.mean_loss(loss_terms, weight)
    sample_weight = torch.full_like(value, 1 / BATCH) if weight is None else weight
    torch.testing.assert_close(mean, value @ sample_weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        grad, sample_grads * sample_weight[:, None], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("n_batches", [1, 3])
def test_mean_losses_of_a_pack_match_its_members(case, n_batches):
    loss, logits, y, _ = case
    weight = torch.arange(BATCH, dtype=torch.float64) / sum(range(BATCH))
    loss_terms, expected_grad = loss.loss_terms_and_gradient(logits, y, weight)
    expected = loss.mean_loss(loss_terms, weight)
    members = [tensor.expand(2, *tensor.shape) for tensor in (logits, y, weight)]
    batches = [
        loss.loss_terms_and_gradient(members[0].clone(), *members[1:])
    ] * n_batches
    for _, grad in batches:
        for member_grad in grad:
            torch.testing.assert_close(
                member_grad, expected_grad, rtol=1e-12, atol=1e-15
            )
    loss_terms = torch.stack([loss_terms for loss_terms, _ in batches])
    means = loss.mean_loss(loss_terms, weight.expand(n_batches, 2, BATCH))
    torch.testing.assert_close(
        means, expected.expand(n_batches, 2), rtol=1e-12, atol=1e-12
    )


LOSSES_WITH_PRIORS = (
    losses.SoftmaxCrossEntropy,
    losses.LogisticCrossEntropy,
    losses.KullbackLeibler,
)


def test_prior_logits_have_the_least_loss(case):
    loss, _, y, _ = case
    if not y.is_floating_point():
        y[:OUTPUTS] = torch.arange(OUTPUTS)
    weight = torch.arange(1, BATCH + 1, dtype=torch.float64)
    logits = loss.prior_logits(y, weight, OUTPUTS)
    if isinstance(loss, (losses.SoftmaxFocal, losses.LogisticFocal)):
        return  # those of the cross-entropy, see the next test
    if not isinstance(loss, LOSSES_WITH_PRIORS):
        assert not logits.any()
        return
    sample_weight = weight / weight.sum()
    _, grad = loss.loss_terms_and_gradient(
        logits.expand(BATCH, -1).clone(), y, sample_weight
    )
    np.testing.assert_allclose(grad.sum(0), 0.0, atol=1e-12)


def test_prior_logits_of_focal_losses_are_class_priors():
    y, weight = torch.tensor([0, 1, 1, 2]), torch.ones(4)
    focal, entropy = losses.SoftmaxFocal(2.0), losses.SoftmaxCrossEntropy()
    assert torch.equal(
        focal.prior_logits(y, weight, 3), entropy.prior_logits(y, weight, 3)
    )


@pytest.mark.parametrize(
    ("members", "targets"),
    [
        ([losses.Huber(d) for d in (0.1, 1.0, 2.0)], numbers),
        ([losses.SoftmaxFocal(g) for g in (0.0, 0.5, 2.0)], classes),
        ([losses.LogisticFocal(g) for g in (0.0, 0.5, 2.0)], indicators),
        ([losses.Quantile((q,)) for q in (0.1, 0.5, 0.9)], numbers),
        (
            [losses.Quantile((q, 0.4, 0.5, 0.6)) for q in (0.1, 0.2, 0.3)],
            lambda generator: numbers(generator)[:, :1],
        ),
    ],
    ids=["huber", "focal", "focal of labels", "quantile", "quantiles"],
)
def test_joined_loss_equals_losses_of_members(members, targets):
    generator = torch.Generator().manual_seed(0)
    z = torch.stack([numbers(generator) for _ in members])
    y = torch.stack([targets(generator) for _ in members])
    joined = losses.join_losses(members, z)
    values, grad = joined.loss_and_gradient(z, y)
    for i, member in enumerate(members):
        expected, expected_grad = member.loss_and_gradient(z[i], y[i])
        np.testing.assert_allclose(values[i], expected, rtol=1e-12)
        np.testing.assert_allclose(grad[i], expected_grad, rtol=1e-12)


@pytest.mark.parametrize("weight", [[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
def test_class_without_samples_counts_as_half_a_sample(weight):
    y, weight = torch.tensor([0, 1, 2]), torch.tensor(weight)
    odds = losses.SoftmaxCrossEntropy().prior_logits(y, weight, 4).exp()
    expected = [3.0, 1.0, 1.0, 1.0] if weight.any() else [2.0, 2.0, 2.0, 1.0]
    np.testing.assert_allclose(odds / odds[3], expected)
    y = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    odds = losses.LogisticCrossEntropy().prior_logits(y, weight, 2).exp()
    expected = [0.25, 3.0] if weight.any() else [0.5, 2.0]
    np.testing.assert_allclose(odds, expected)


@pytest.mark.parametrize("light", [1e-20, 1e-300])
@pytest.mark.parametrize("heavy", [1.0, 1e308])
def test_extreme_weights_give_finite_prior_logits(light, heavy):
    y, weight = torch.tensor([0, 1, 1]), torch.tensor([light, heavy, heavy]).double()
    logits = losses.SoftmaxCrossEntropy().prior_logits(y, weight, 2)
    assert logits.isfinite().all()
    odds = losses.LogisticCrossEntropy().prior_logits(y[:, None], weight, 1)
    np.testing.assert_allclose(odds, logits[1] - logits[0])


def test_losses_pass_gradcheck(case):
    loss, logits, y, _ = case
    assert torch.autograd.gradcheck(
        lambda z: loss.sample_losses(z, y), logits.clone().requires_grad_()
    )


def test_forward_returns_the_mean_of_the_batch(case):
    loss, logits, y, formula = case
    torch.testing.assert_close(loss(logits, y), formula(logits, y).mean())


def test_pack_members_are_independent(case):
    loss, logits, y, _ = case
    value, grad = loss.loss_and_gradient(
        torch.stack([logits, 3 * logits]), torch.stack([y, y])
    )
    for i, z in enumerate((logits, 3 * logits)):
        alone = loss.loss_and_gradient(z, y)
        torch.testing.assert_close(value[i], alone[0], rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(grad[i], alone[1], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [-1e4, 1e4])
@pytest.mark.parametrize("name", [name for name in CASES if name != "poisson"])
def test_extreme_logits_give_finite_losses(name, size, dtype):
    loss, targets, _ = CASES[name]
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(BATCH, OUTPUTS, dtype=dtype)
    logits[:, 1] = size
    y = targets(generator)
    y = y.to(dtype) if y.is_floating_point() else y
    value, grad = loss.loss_and_gradient(logits, y)
    assert value.isfinite().all()
    assert grad.isfinite().all()


def test_poisson_is_finite_for_an_underflowing_mean():
    logits = torch.tensor([[-1e4]], dtype=torch.float64)
    value, grad = losses.Poisson().loss_and_gradient(logits, torch.ones(1, 1).double())
    assert value.item() == pytest.approx(1e4 - 1)  # y log y - y z - y + exp(z)
    assert grad.item() == -1


def test_squared_error_averages_outputs_but_sums_gradients():
    z = torch.tensor([[1.0, 2.0]])
    y = torch.tensor([[0.0, 4.0]])
    value, grad = losses.SquaredError().loss_and_gradient(z, y)
    assert value.tolist() == [0.5 * (1 + 4) / 2]
    assert grad.tolist() == [[1.0, -2.0]]


def test_cross_entropy_uses_natural_logarithms():
    p = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64)
    value, _ = losses.SoftmaxCrossEntropy().loss_and_gradient(
        p.log(), torch.tensor([2])
    )
    assert value.item() == pytest.approx(-math.log(0.6), rel=1e-14)


@given(st.floats(0, 0.9), st.integers(2, 6))
def test_smoothed_loss_is_least_at_the_smoothed_probabilities(smoothing, n_classes):
    # The gradient is zero if the softmax equals (1 - s) on the class + s / K.
    p = torch.full((1, n_classes), smoothing / n_classes + 1e-9, dtype=torch.float64)
    p[0, 0] = 1 - smoothing + smoothing / n_classes - (n_classes - 1) * 1e-9
    loss = losses.SoftmaxCrossEntropy(smoothing)
    _, grad = loss.loss_and_gradient(p.log(), torch.tensor([0]))
    torch.testing.assert_close(grad, torch.zeros_like(grad), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", losses.CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("exclusive", [True, False])
def test_every_classification_loss_has_an_output_activation(name, exclusive):
    loss = losses.classification_loss(name, exclusive, 0.0)
    expected = "softmax" if exclusive or name == "kullback_leibler" else "logistic"
    assert loss.output_activation == expected


@pytest.mark.parametrize("name", losses.REGRESSION_LOSSES)
def test_every_regression_loss_is_zero_at_its_target(name):
    loss = losses.REGRESSION_LOSSES[name]()
    y = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    z = y.log() if loss.output_activation == "exp" else y
    torch.testing.assert_close(
        losses.OUTPUT_ACTIVATIONS[loss.output_activation](z), y, rtol=1e-14, atol=0
    )
    value, grad = loss.loss_and_gradient(z, y)
    torch.testing.assert_close(value, torch.zeros(2).double(), rtol=0, atol=1e-15)
    torch.testing.assert_close(grad, torch.zeros_like(y), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(("batch", "outputs"), [(7, 4), (3, 5)])
@pytest.mark.parametrize("column_major", [False, True])
def test_term_weights_give_the_same_loss_and_gradient(
    batch, outputs, smoothing, column_major, dtype
):
    generator = torch.Generator().manual_seed(0)
    loss = losses.SoftmaxCrossEntropy(smoothing)
    logits = torch.randn(2, batch, outputs, generator=generator, dtype=dtype)
    y = torch.randint(outputs, (2, batch), generator=generator)
    weight = torch.rand(2, batch, generator=generator, dtype=dtype)
    weight /= weight.sum(-1, keepdim=True)
    if column_major:
        logits = logits.mT.contiguous().mT
    known = loss.for_known_targets()
    weights = known.term_weights(y, weight, outputs)
    rtol = 1e-5 if dtype == torch.float32 else 1e-12
    for z, target, w, terms in zip(logits, y, weight, weights, strict=True):
        expected, expected_grad = loss.loss_terms_and_gradient(z, target, w)
        loss_terms, grad = known.loss_terms_and_gradient(z, target, terms)
        torch.testing.assert_close(grad, expected_grad, rtol=rtol, atol=rtol)
        torch.testing.assert_close(
            known.mean_loss(loss_terms, terms),
            loss.mean_loss(expected, w),
            rtol=rtol,
            atol=rtol,
        )
