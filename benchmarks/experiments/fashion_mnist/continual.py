"""`continual`: new data every week, learnt from scratch or on top of what was learnt.

The training rows of Fashion-MNIST come in twelve weeks of about 5,000, each row once.
"static" trains a new 784-128-10 on each week's rows, "continual" goes on with the
network of the week before by `partial_fit`; both pass over a week's rows five times, so
they cost the same, and their first weeks are equal. After every week the whole test set
is scored.

In the first pair the weeks are alike. That favours going on: nothing that was learnt
grows old. In the second the classes have their seasons, as clothes do: within the
twelve weeks each class's share rises and falls by 95%, at another time for each class,
while the test rows stay mixed. There the static network knows one season alone, and
what continual learning forgets can be seen.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model, Weeks
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

PASSES, SEASON = 5, 0.95
NETWORK = Component(MLP, fixed_epochs(PASSES, batch_size=32, **ADAM))


def _model(name: str, continual: bool, season: float) -> Model:
    return Model(name, NETWORK, (SCALE,), weeks=Weeks(continual, season))


STEADY, SEASONAL = ("static", "continual"), ("static-seasons", "continual-seasons")

CONTINUAL = Experiment(
    name="continual",
    summary="new data every week: trained from scratch on it, or on top by partial_fit",
    models=tuple(
        _model(name, continual, season)
        for names, season in ((STEADY, 0.0), (SEASONAL, SEASON))
        for name, continual in zip(names, (False, True), strict=True)
    ),
    dataset="fashion-mnist",
    columns=(
        "model",
        "architecture",
        "parameters",
        "train size",
        "fit s",
        "mean of weeks",
        "test accuracy",
    ),
    details=("weeks",),
    pictures=(
        Picture("weeks", "weeks", STEADY),
        Picture("seasons", "weeks", SEASONAL),
    ),
    notes=("Test accuracy is that after the last week.",),
)
