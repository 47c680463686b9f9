"""Parts of our own recipes: augmentations, and Adam with one cycle."""

from __future__ import annotations

from typing import Any

from benchmarks.definitions.model import Component


def random_affine(
    degrees: float, translate: float, zoom: float, shear: float, **more: Any
) -> Component:
    """Return small random rotations, shifts, zooms of each axis and shears."""
    low, high = 1 - zoom, 1 + zoom
    params = {
        "degrees": degrees,
        "translate": translate,
        "scale": (low, high, low, high),
        "shear": shear,
        **more,
    }
    return Component("skmlp.augmentation.RandomAffine", params)


def compose(*transforms: Component) -> Component:
    """Return augmentations that are applied one after another."""
    return Component("skmlp.augmentation.Compose", {"transforms": transforms})


def one_cycle(epochs: int, **params: Any) -> dict[str, Any]:
    """Return parameters that train for exactly `epochs` epochs.

    The learning rate rises and falls once (Smith and Topin 2017, arXiv:1708.07120). The
    final weights are an average of the last ones.
    """
    return {
        "solver": "adam",
        "alpha": 0.0,
        "learning_rate": "onecycle",
        "learning_rate_init": 4e-3,
        "weight_averaging": 0.999,
        "batch_norm": True,
        "init": "he_normal",
        "max_iter": epochs,
        # The count of epochs without improvement never exceeds this.
        "n_iter_no_change": epochs,
        **params,
    }


def three_convolutions(**params: Any) -> dict[str, Any]:
    """Return three convolutions of 3x3, each with max-pooling of 2x2."""
    return {"conv_channels": (32, 64, 128), "kernel_size": 3, "pool": "max", **params}
