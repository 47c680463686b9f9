"""A sequence of augmentations."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import parameter_error


class Compose(Augmentation):
    """Apply several augmentations, one after the other.

    All transforms use the same generator, one after the other. Another order of the
    transforms gives other random numbers.

    Parameters
    ----------
    transforms : sequence of callables
        Augmentations or functions. Each is called as ``transform(images, generator)``
        and returns a new batch. `images` is the result of the previous transform, and
        `generator` is a `torch.Generator` on its device. An empty sequence does not
        change the images.

    Notes
    -----
    Transforms are named as in `sklearn.pipeline.make_pipeline`: by the lower-case class
    name, followed by -1, -2 and so on if a class occurs more than once. A parameter of
    a transform has the name ``name__parameter`` in `get_params`, `set_params` and
    searches.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import Compose, GaussianNoise, RandomAffine
    >>> augmentation = Compose([
    ...     RandomAffine(degrees=10, translate=0.2), GaussianNoise(sigma=0.05)
    ... ])
    >>> augmentation(torch.rand(50, 1, 28, 28), 0).shape
    torch.Size([50, 1, 28, 28])
    >>> augmentation.set_params(gaussiannoise__sigma=0.1)
    Compose(transforms=[RandomAffine(degrees=10, translate=0.2), GaussianNoise()])
    """

    def __init__(
        self, transforms: Sequence[Callable[[Tensor, torch.Generator], Tensor]] = ()
    ) -> None:
        self.transforms = transforms

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, by default with the parameters of the transforms.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include each transform by its name, and the parameters of each
            transform as ``name__parameter``.

        Returns
        -------
        params : dict
            Parameter names and values.

        Examples
        --------
        >>> from skmlp.augmentation import Compose, GaussianNoise
        >>> Compose([GaussianNoise()]).get_params()["gaussiannoise__sigma"]
        0.1
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for name, index in self._transform_indices().items():
                transform: Any = self.transforms[index]
                params[name] = transform
                for key, value in transform.get_params(deep=True).items():
                    params[f"{name}__{key}"] = value
        return params

    def set_params(self, **params: Any) -> Self:
        """Set `transforms`, a transform by its name, or ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Values by the names that `get_params` returns.

        Returns
        -------
        self : Compose
            The same object.

        Raises
        ------
        ValueError
            If there is no parameter of a given name.

        Examples
        --------
        >>> from skmlp.augmentation import Compose, GaussianNoise
        >>> Compose([GaussianNoise()]).set_params(gaussiannoise__sigma=0.5)
        Compose(transforms=[GaussianNoise(sigma=0.5)])
        """
        if "transforms" in params:
            self.transforms = params.pop("transforms")
        replaced = {
            index: params.pop(name)
            for name, index in self._transform_indices().items()
            if name in params
        }
        if replaced:
            self.transforms = [
                replaced.get(index, transform)
                for index, transform in enumerate(self.transforms)
            ]
        super().set_params(**params)
        return self

    def _transform_indices(self) -> dict[str, int]:
        """Return a dict from name to index, for the transforms with parameters."""
        if not isinstance(self.transforms, list | tuple):
            return {}  # `validate` raises the error
        named = [
            (type(transform).__name__.lower(), index)
            for index, transform in enumerate(self.transforms)
            if hasattr(transform, "get_params") and not isinstance(transform, type)
        ]
        total = Counter(name for name, _ in named)
        seen, indices = Counter[str](), {}
        for name, index in named:
            seen[name] += 1
            indices[name if total[name] == 1 else f"{name}-{seen[name]}"] = index
        return indices

    def _check_parameters(
        self,
    ) -> Sequence[Callable[[Tensor, torch.Generator], Tensor]]:
        """Check the transforms, and return them."""
        if not isinstance(self.transforms, list | tuple) or not all(
            callable(t) and not isinstance(t, type) for t in self.transforms
        ):
            expected = "a list of augmentations or functions of (images, generator)"
            raise parameter_error(self, "transforms", expected)
        for transform in self.transforms:
            if isinstance(transform, Augmentation):
                transform.validate()
        return self.transforms

    def _check_for_signals(self) -> None:
        for transform in self._check_parameters():
            if isinstance(transform, Augmentation):
                transform.validate_for_signals()

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        transforms = self._check_parameters()
        if not transforms:
            return images.clone()
        for transform in transforms:
            images = transform(images, generator)
        return images
