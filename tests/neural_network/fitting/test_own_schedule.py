"""A learning-rate schedule of the user."""

import math
import pickle

import pytest
import torch
from sklearn.base import clone

from skmlp.model_selection import PackedGridSearchCV, PackedHalvingGridSearchCV
from skmlp.persistence import save_model
from skmlp.training.schedules import Schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def cosine(progress):
    return 0.5 * (1 + math.cos(math.pi * progress))


@pytest.mark.parametrize("warmup_epochs", [0, 1.5])
@pytest.mark.parametrize("solver", ["adam", "sgd", torch.optim.Adam])
def test_own_cosine_gives_weights_of_named_one(
    solver, warmup_epochs, digits, mlp, assert_equal_weights
):
    params = {"solver": solver, "warmup_epochs": warmup_epochs}
    named, own = (
        mlp(learning_rate=schedule, **params).fit(*digits)
        for schedule in ("cosine", cosine)
    )
    assert_equal_weights(own, named)


def test_progress_runs_from_zero_to_last_step(digits, mlp):
    seen = []

    def record(progress):
        seen.append(progress)
        return 1.0

    model = mlp(learning_rate=record, batch_size=100, max_iter=4, tol=0)
    model.fit(*digits)
    assert seen[-12:] == [i / 12 for i in range(12)]


def test_fit_with_own_schedule_gives_no_convergence_warning(digits, mlp, recwarn):
    mlp(learning_rate=cosine).fit(*digits)
    assert not recwarn.list


def test_partial_fit_follows_own_schedule(digits, mlp, assert_equal_weights):
    at_once = mlp(learning_rate=cosine, shuffle=False, tol=0).fit(*digits)
    stepwise = mlp(learning_rate=cosine, shuffle=False)
    for _ in range(6):
        stepwise.partial_fit(*digits, classes=range(10))
        stepwise = pickle.loads(pickle.dumps(stepwise))
    assert_equal_weights(stepwise, at_once)


def test_pack_with_own_schedule_equals_named_one(digits, mlp):
    grid = {"learning_rate": ["cosine", cosine], "alpha": [0.1, 0.01]}
    search = PackedGridSearchCV(mlp(), grid, cv=2, refit=False).fit(*digits)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert scores[0, 0] == scores[0, 1]
    assert scores[1, 0] == scores[1, 1]


def test_halving_refuses_to_continue_own_schedule(digits, mlp):
    search = PackedHalvingGridSearchCV(
        mlp(learning_rate=cosine),
        {"alpha": [0.1, 0.2]},
        resource="max_iter",
        min_resources=2,
        max_resources=4,
        warm_start=True,
        random_state=0,
    )
    with pytest.raises(ValueError, match="is planned for max_iter epochs"):
        search.fit(*digits)


def test_copies_and_files_of_own_schedule(digits, mlp, tmp_path):
    model = mlp(learning_rate=cosine).fit(*digits)
    assert clone(model).get_params()["learning_rate"] is cosine
    with pytest.raises(TypeError, match="cosine, which is code; predictions do not"):
        save_model(model, tmp_path / "model")
    path = tmp_path / "fit"
    mlp(learning_rate=cosine, checkpoint=path).fit(*digits)
    with pytest.raises(ValueError, match="another fit: learning_rate was"):
        mlp(learning_rate=lambda p: 1.0 - p, checkpoint=path).fit(*digits)


def test_schedule_reaches_end_and_stays_there():
    schedule = Schedule("callable", 0.1, total_epochs=2, function=lambda p: p)
    factors = [schedule.factor(step, 5) for step in range(12)]
    assert factors == [min(1.0, step / 10) for step in range(12)]


@pytest.mark.parametrize(
    ("schedule", "error", "text"),
    [
        (lambda p: math.nan, ValueError, "returned nan for progress=0,"),
        (lambda p: math.inf if p > 0.5 else 1, ValueError, r"inf for progress=0\.51,"),
        (lambda p: 0.5 - p, ValueError, "at least 0"),
        (lambda p: None, ValueError, "failed for progress=0"),
        (lambda: 1.0, ValueError, "failed for progress=0"),
        (
            torch.optim.lr_scheduler.CosineAnnealingLR,
            TypeError,
            r"skorch\.callbacks\.LRScheduler",
        ),
        ("cosin", ValueError, "The 'learning_rate' parameter"),
    ],
)
def test_unusable_schedule_is_refused_before_training(
    schedule, error, text, digits, mlp
):
    with pytest.raises(error, match=text):
        mlp(learning_rate=schedule).fit(*digits)


def test_schedule_that_fails_later_ends_training_with_its_progress(digits, mlp):
    # 101 values of the progress are tried before the training.
    def gap(progress):
        return math.nan if 0.1 < progress % 0.2 < 0.105 else 1.0

    with pytest.raises(ValueError, match="learning_rate returned nan for progress=0"):
        mlp(learning_rate=gap, batch_size=1).fit(*digits)
