"""Invalid parameters: the error names parameter, value and expectation."""

import numpy as np
import pytest
import torch

from skmlp.augmentation import (
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)

NAN, INF = float("nan"), float("inf")
INVALID = [
    (RandomAffine, "degrees", [-1, (20, 10), (1, 2, 3), (), "10", None, NAN, True]),
    (RandomAffine, "translate", [-0.1, 1.5, (0.1, 2), (0, 0, 0), "x", (NAN, 0)]),
    (RandomAffine, "scale", [1.1, (0, 1), (2, 1), (1, 2, 3), (1, 1, -1, 1), (1, INF)]),
    (RandomAffine, "shear", [-5, 90, (5, 1), (-90, 0), (0, 1, 2), (0, 0, 3, 1), "x"]),
    (RandomAffine, "interpolation", ["bicubic", None, 1, ["nearest"]]),
    (RandomAffine, "padding_mode", ["reflect", "zeros", None]),
    (RandomAffine, "fill", [None, (), "0", INF, (0, NAN), np.zeros((1, 3))]),
    (RandomCrop, "padding", [-1, 1.5, (1, -1), (1, 1, 1, 1), None, "4", True]),
    (RandomCrop, "padding_mode", ["zeros", "wrap", None]),
    (RandomCrop, "fill", [None, (), NAN]),
    (RandomHorizontalFlip, "p", [-0.1, 1.1, None, "0.5", NAN, (0.5, 0.5), True]),
    (RandomErasing, "p", [-0.1, 1.1, None]),
    (RandomErasing, "scale", [0.3, (0.3, 0.1), (-0.1, 0.1), (0.5, 1.5), None]),
    (RandomErasing, "ratio", [1, (0, 1), (2, 1), (1, INF), None]),
    (RandomErasing, "value", [None, "random", (), NAN]),
    (GaussianNoise, "sigma", [-0.1, None, "x", INF, (0.1, 0.2)]),
    (GaussianNoise, "clip", [1, (1, 0), (1, 1), (0, NAN), "01"]),
    (Compose, "transforms", [None, 5, [1], [RandomCrop], GaussianNoise(), "ab"]),
]
CASES = [(kind, name, value) for kind, name, values in INVALID for value in values]


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_invalid_value_is_named_with_the_expectation(kind, name, value):
    augmentation = kind(**{name: value})
    start = f"{name}={value!r} was given to {kind.__name__}; give "
    for check in (
        augmentation.validate,
        lambda: augmentation(torch.zeros(1, 1, 4, 4), 0),
    ):
        with pytest.raises(ValueError, match=r"; give .+\.$") as caught:
            check()
        assert str(caught.value).startswith(start)
    assert repr(augmentation)  # an invalid value can be printed


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, int, float])
def test_numbers_of_any_type_are_accepted(number):
    RandomAffine(degrees=number(10), scale=(number(1), number(2))).validate()
    RandomAffine(degrees=[number(1), number(2)], fill=np.ones(3, number)).validate()
    RandomCrop(padding=number(2), fill=number(3)).validate()
    RandomErasing(p=number(1), value=np.arange(3).astype(number)).validate()
    GaussianNoise(sigma=number(1), clip=np.array([0, 1], number)).validate()


def test_defaults_are_valid():
    for kind in {kind for kind, _, _ in INVALID}:
        kind().validate()
