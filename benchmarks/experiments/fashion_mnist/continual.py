"""`continual`: new data every week, for a new network or for further training.

No source reports figures for this protocol:

* The training samples of Fashion-MNIST come in twelve weeks of about 5,000, each once.
* "static" trains a new 784-128-10 on each week's samples. "continual" trains the
  network of the week before further, by `partial_fit`.
* Both pass over a week's samples five times, so they cost the same. Their first weeks
  are equal.
* The whole test set is scored after every week.

In the first pair all weeks are alike, which favors further training. In the second pair
the classes have seasons: each class's share rises and falls by 95% within the twelve
weeks, at another time for each class. The test set stays mixed. The static network then
knows a single season, and the pair shows what continual training forgets.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model, WeeklySchedule
from benchmarks.experiments.fashion_mnist.fashion_mlp import (
    ADAM,
    MLP,
    SCALE,
    fixed_epochs,
)

PASSES, SEASON = 5, 0.95
NETWORK = Component(MLP, fixed_epochs(PASSES, batch_size=32, **ADAM))


def _model(name: str, continual: bool, season: float) -> Model:
    return Model(name, NETWORK, (SCALE,), weeks=WeeklySchedule(continual, season))


STEADY, SEASONAL = ("static", "continual"), ("static-seasons", "continual-seasons")

CONTINUAL = Experiment(
    name="continual",
    summary="new data every week: a new network, or partial_fit of the last one",
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
    notes=("Test accuracy is measured after the last week.",),
)
