"""Schedules match those of torch or scikit-learn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skmlp.training.schedules import NAMES, Schedule


def optimizer(lr=0.5, momentum=0.0):
    return torch.optim.SGD([torch.zeros(1)], lr=lr, momentum=momentum)


def rates(schedule, epochs, batches):
    """Return the learning rate of every step."""
    ours = optimizer(schedule.learning_rate_init)
    found = []
    for epoch in range(epochs):
        for _ in range(batches):
            schedule.before_batch(ours, batches)
            found.append(ours.param_groups[0]["lr"])
        schedule.after_epoch(ours, (epoch + 1) * batches)
    return found


def torch_rates(make_scheduler, steps, every=1):
    """Return the learning rate of every step by a scheduler of torch.

    The scheduler moves after `every` steps.
    """
    theirs = optimizer()
    scheduler = make_scheduler(theirs)
    found = []
    for step in range(1, steps + 1):
        found.append(theirs.param_groups[0]["lr"])
        theirs.step()
        if step % every == 0 and step < steps:
            scheduler.step()
    return found


def test_constant_schedule_never_changes():
    assert rates(Schedule("constant", 0.5), 3, 4) == [0.5] * 12


def test_cosine_matches_torch():
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20), 20
    )
    assert rates(Schedule("cosine", 0.5, total_epochs=5), 5, 4) == pytest.approx(
        expected
    )


@given(st.integers(2, 6), st.integers(4, 10))
def test_onecycle_matches_torch(epochs, batches):
    steps = epochs * batches
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 0.5, total_steps=steps, cycle_momentum=False
        ),
        steps,
    )
    ours = rates(Schedule("onecycle", 0.5, total_epochs=epochs), epochs, batches)
    assert ours == pytest.approx(expected)


@given(st.integers(1, 3))
def test_onecycle_accepts_few_steps(steps):
    found = rates(Schedule("onecycle", 0.5, total_epochs=1), 1, steps)
    assert all(0 < rate <= 0.5 for rate in found)


def test_step_matches_torch():
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.StepLR(o, 2, gamma=0.3), 24, every=3
    )
    ours = rates(Schedule("step", 0.5, step_size=2, gamma=0.3), 8, 3)
    assert ours == pytest.approx(expected)


def test_invscaling_matches_scikit_learn():
    found = rates(Schedule("invscaling", 0.5, power_t=0.25), 3, 4)
    expected = [0.5] * 4 + [0.5 / 5**0.25] * 4 + [0.5 / 9**0.25] * 4
    assert found == pytest.approx(expected)


def test_adaptive_divides_by_five_until_too_small():
    schedule = Schedule("adaptive", 0.5)
    ours = optimizer(2e-5)
    assert schedule.on_plateau(ours) == (False, " Setting learning rate to 0.000004")
    assert schedule.on_plateau(ours)[0] is False
    stop, message = schedule.on_plateau(ours)
    assert stop
    assert "too small" in message
    assert ours.param_groups[0]["lr"] == pytest.approx(8e-7)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "adaptive"])
def test_other_schedules_stop_on_a_plateau(name):
    assert Schedule(name, 0.5).on_plateau(optimizer()) == (True, " Stopping.")


@pytest.mark.parametrize("name", ["invscaling", "adaptive"])
def test_schedules_of_scikit_learn_apply_to_sgd_only(name):
    assert Schedule.for_solver("adam", name, learning_rate_init=1.0).name == "constant"
    assert Schedule.for_solver("sgd", name, learning_rate_init=1.0).name == name


@given(
    st.sampled_from(["constant", "adaptive", "cosine", "step", "invscaling"]),
    st.floats(0.1, 3),
    st.integers(1, 7),
)
def test_warm_up_rises_to_the_initial_learning_rate(name, warmup, batches):
    schedule = Schedule(name, 0.5, warmup_epochs=warmup, total_epochs=10)
    found = rates(schedule, 10, batches)
    n = round(warmup * batches)
    expected = [0.5 * (i + 1) / (n + 1) for i in range(n + 1)]
    if name != "invscaling":  # its learning rate falls from the first epoch on
        assert found[: n + 1] == pytest.approx(expected)
    else:
        assert found[:n] == pytest.approx(expected[:n])
    if name in ("constant", "adaptive"):
        assert found[n + 1 :] == pytest.approx([0.5] * len(found[n + 1 :]))


def test_warm_up_does_not_change_the_end_of_cosine():
    found = rates(Schedule("cosine", 1.0, warmup_epochs=2, total_epochs=10), 10, 5)
    assert max(found) == found[10] == 1.0
    assert 0 < found[-1] < 0.01
