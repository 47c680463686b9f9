"""`hidden-units`: a grid search over the number of hidden units, N1 to Nk.

Every width (the same for each hidden layer) and depth is a candidate of one packed
search on a tenth of Fashion-MNIST. The scores on the training and validation samples of
three folds make the validation curve. The test set is not used.
"""

from __future__ import annotations

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model
from benchmarks.experiments.fashion_mnist.fashion_mlp import MLP, SCALE

WIDTHS, DEPTHS = (5, 10, 20, 50, 100, 200), (1, 2)
EPOCHS, BATCH_SIZE = 10, 50


def _candidate(sizes: tuple[int, ...]) -> Model:
    params = {
        "hidden_layer_sizes": sizes,
        "batch_size": BATCH_SIZE,
        "max_iter": EPOCHS,
        # The count of epochs without improvement never exceeds this.
        "n_iter_no_change": EPOCHS,
    }
    return Model("-".join(map(str, sizes)), Component(MLP, params), (SCALE,))


HIDDEN_UNITS = Experiment(
    name="hidden-units",
    summary="one packed grid search over widths and depths; its validation curve",
    models=tuple(_candidate((w,) * depth) for depth in DEPTHS for w in WIDTHS),
    dataset="fashion-mnist",
    train_size=0.1,
    runner="benchmarks.running.packed_candidates",
    columns=(
        "model",
        "architecture",
        "train size",
        "epochs",
        "train accuracy",
        "validation accuracy",
        "gap",
    ),
    details=("best",),
    pictures=(Picture("validation-curve", "validation_curve"),),
)
