"""`autoencoder`: codes of 2, 8 and 32 numbers, of PCA and of autoencoders.

No source reports figures for this protocol:

* Every tenth training sample of MNIST, and a tenth of these for validation. Pixels are
  in [0, 1].
* The autoencoders are 784-128-k-128-784. They train for 40 epochs and end with the
  weights of the epoch with the lowest validation error.
* The denoising autoencoder sees pixels with Gaussian noise of deviation 0.3 in
  training. It is tested on pixels without noise, like all others.
* A logistic regression is fitted to the standardized codes of the training samples. Its
  accuracy on the codes of the test samples shows what the codes tell about the digits.

No value was chosen by a look at the test samples.
"""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.experiment import Experiment, Picture
from benchmarks.definitions.model import Component, Model, Validation

SIZES = (2, 8, 32)
TRAINING: dict[str, Any] = {
    "hidden_layer_sizes": (128,),
    "batch_size": 100,
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
    "max_iter": 40,
    "n_iter_no_change": 40,
    "alpha": 0.0,
}
SCALE = Component("skmlp.preprocessing.PixelScaler")
VALIDATION = Validation(fraction=0.1, random_state=0)


def _pca(n_components: int) -> Model:
    estimator = Component("sklearn.decomposition.PCA", {"n_components": n_components})
    return Model(f"pca-{n_components}", estimator, (SCALE,), VALIDATION)


def _autoencoder(n_components: int, name: str = "autoencoder", **params: Any) -> Model:
    params = {"n_components": n_components, **TRAINING, **params}
    estimator = Component("skmlp.neural_network.MLPAutoencoder", params)
    return Model(f"{name}-{n_components}", estimator, (SCALE,), VALIDATION)


AUTOENCODER = Experiment(
    name="autoencoder",
    summary="reconstructions and codes of autoencoders and of PCA",
    models=(
        *(make(size) for size in SIZES for make in (_pca, _autoencoder)),
        _autoencoder(SIZES[-1], "denoising", noise=0.3),
    ),
    dataset="mnist",
    train_size=0.1,
    figure="reconstruction_error",
    runner="benchmarks.running.reconstruction",
    columns=(
        "model",
        "architecture",
        "parameters",
        "epochs",
        "fit s",
        "train error",
        "test error",
        "test accuracy",
    ),
    pictures=(Picture("reconstructions", "reconstructions"),),
    notes=(
        "The errors are squared differences of pixels in [0, 1], averaged over pixels "
        "and samples: of the training samples, and of the test samples.",
        "Test accuracy is that of a logistic regression on the codes.",
    ),
)
