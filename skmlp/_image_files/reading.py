"""Read many image files into one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from skmlp._image_files.decoding import read_image
from skmlp._image_files.options import ImageOptions


def read_images(
    images: NDArray[np.uint8],
    paths: Sequence[Path],
    options: ImageOptions,
    *,
    n_jobs: int | None,
    skip_unreadable: bool = False,
) -> Iterator[str | None]:
    """Read the image of ``paths[i]`` into ``images[i]``.

    Yields None for every image that was read. With `skip_unreadable`, the message of
    the error is yielded for every other one.

    Raises
    ------
    ValueError
        If an image cannot be read, or has another shape than ``images[0]``.
    """

    def read_into(i: int) -> str | None:
        try:
            image = read_image(paths[i], options)
        except ValueError as error:
            if skip_unreadable:
                return str(error)
            raise
        if image.shape != images.shape[1:]:
            raise ValueError(
                f"{paths[i]} has shape {image.shape}, but the first image has "
                f"{images.shape[1:]}; give image_size=(height, width) to resize all."
            )
        images[i] = image
        return None

    # Decoding releases the global interpreter lock, so threads run in parallel.
    yield from Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(read_into)(i) for i in range(len(paths))
    )
