"""Several augmentations, one after the other."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from skmlp.augmentation._base import Augmentation
from skmlp.augmentation._parameters import bad_value


class Compose(Augmentation):
    """Apply several augmentations, one after the other.

    All draw from one generator, in the order of the list: exchanging two of them
    changes the images and what later ones draw.

    Parameters
    ----------
    transforms : sequence of callables
        Each is called as ``transform(images, generator)`` with the batch so far and a
        `torch.Generator` on its device, and returns a new batch. Plain functions
        work too. An empty sequence leaves the images as they are.

    Notes
    -----
    Parameters of the members can be read, set and searched over under the names that
    `sklearn.pipeline.make_pipeline` would give them: the lower-case class name, with
    -1, -2 appended where a class occurs more than once.

    Examples
    --------
    >>> import torch
    >>> from skmlp.augmentation import Compose, GaussianNoise, RandomAffine
    >>> lecture = Compose([
    ...     RandomAffine(degrees=10, translate=0.2), GaussianNoise(sigma=0.05)
    ... ])
    >>> lecture(torch.rand(50, 1, 28, 28), 0).shape
    torch.Size([50, 1, 28, 28])
    >>> lecture.set_params(gaussiannoise__sigma=0.1)
    Compose(transforms=[RandomAffine(degrees=10, translate=0.2), GaussianNoise()])
    """

    def __init__(
        self, transforms: Sequence[Callable[[Tensor, torch.Generator], Tensor]] = ()
    ) -> None:
        self.transforms = transforms

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep`, those of the members too.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add each member under its name, and its parameters as
            ``name__parameter``.

        Returns
        -------
        dict
            Parameter names and values.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for name, place in self._places().items():
                member: Any = self.transforms[place]
                params[name] = member
                for key, value in member.get_params(deep=True).items():
                    params[f"{name}__{key}"] = value
        return params

    def set_params(self, **params: Any) -> Self:
        """Set `transforms`, a member by its name, or ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Names as `get_params` gives them.

        Returns
        -------
        Self
            This object.
        """
        if "transforms" in params:
            self.transforms = params.pop("transforms")
        replaced = {
            place: params.pop(name)
            for name, place in self._places().items()
            if name in params
        }
        if replaced:
            self.transforms = [
                replaced.get(place, transform)
                for place, transform in enumerate(self.transforms)
            ]
        super().set_params(**params)
        return self

    def _places(self) -> dict[str, int]:
        """Return where the members that have parameters stand, by name."""
        if not isinstance(self.transforms, list | tuple):
            return {}  # the complaint is left to `validate`
        members = [
            (type(transform).__name__.lower(), place)
            for place, transform in enumerate(self.transforms)
            if hasattr(transform, "get_params") and not isinstance(transform, type)
        ]
        total = Counter(name for name, _ in members)
        seen, places = Counter[str](), {}
        for name, place in members:
            seen[name] += 1
            places[name if total[name] == 1 else f"{name}-{seen[name]}"] = place
        return places

    def _read(self) -> Sequence[Callable[[Tensor, torch.Generator], Tensor]]:
        if not isinstance(self.transforms, list | tuple) or not all(
            callable(t) and not isinstance(t, type) for t in self.transforms
        ):
            wanted = "a list of augmentations or functions of (images, generator)"
            raise bad_value(self, "transforms", wanted)
        for transform in self.transforms:
            if isinstance(transform, Augmentation):
                transform.validate()
        return self.transforms

    def _augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        transforms = self._read()
        if not transforms:
            return images.clone()
        for transform in transforms:
            images = transform(images, generator)
        return images
