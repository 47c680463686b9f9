"""`signals`: a pattern at a random place of a signal; LR, an MLP and two 1-D CNNs.

No source reports figures for this protocol. A generator makes 2,000 training signals
and 2,000 test signals of five classes (``benchmarks.data.shifted_signals``). All
networks have the same optimizer, and stop by the last tenth of the training signals.
Their sizes were chosen before the first run, and the test signals decide nothing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.model import Component, Model, Validation

VALIDATION = Validation(0.1)
TRAINING: dict[str, Any] = {
    "batch_size": 50,
    "max_iter": 40,
    "early_stopping": True,
    "n_iter_no_change": 8,
}
CONVOLUTIONS: dict[str, Any] = {
    "conv_dims": 1,
    "conv_channels": (16, 32),
    "kernel_size": 9,
    "hidden_layer_sizes": (32,),
}


def _model(name: str, network: str, params: dict[str, Any]) -> Model:
    path = f"skmlp.neural_network.{network}"
    return Model(name, Component(path, {**params, **TRAINING}), validation=VALIDATION)


SIGNALS = Experiment(
    name="signals",
    summary="LR, an MLP and two 1-D CNNs on patterns at random places of a signal",
    models=(
        _model("lr", "SoftmaxRegression", {}),
        _model("mlp-200", "MLPClassifier", {"hidden_layer_sizes": (200,)}),
        _model("cnn", "CNNClassifier", CONVOLUTIONS),
        _model(
            "cnn-average", "CNNClassifier", {**CONVOLUTIONS, "head": "global_average"}
        ),
    ),
    dataset="shifted-signals",
    seeds=5,
    columns=(
        "model",
        "layers",
        "architecture",
        "parameters",
        "epochs",
        "fit s",
        "train accuracy",
        "test accuracy",
    ),
    notes=(
        "cnn-average averages each feature map, so the place of a pattern is lost.",
    ),
)
