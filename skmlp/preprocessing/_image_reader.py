"""Read image files in a Pipeline."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmlp._image_files.decoding import read_image
from skmlp._image_files.options import (
    PILLOW_MODES,
    RESIZE_MODES,
    ImageOptions,
    check_image_size,
    pixel_names,
)
from skmlp._image_files.paths import as_paths, check_files
from skmlp._image_files.reading import read_images
from skmlp._sklearn_bases import (
    BaseEstimator,
    TransformerMixin,
    available_if,
    fit_context,
)
from skmlp._sklearn_compat import StrOptions


def _returns_columns(reader: ImageReader) -> bool:
    """Return True if samples are flat; raise an AttributeError for images."""
    if not reader.flatten:
        raise AttributeError(
            "Images have no feature names and cannot be a data frame; "
            "ImageReader(flatten=True) returns one column a pixel."
        )
    return True


class ImageReader(TransformerMixin, BaseEstimator):
    """Read image files: paths in, pixels out.

    A Pipeline that begins with an ImageReader is fitted to paths, and predicts from
    paths. The size, the colors and the resizing belong to the Pipeline, so new images
    are read as the training images were.

    - Files in the formats BMP, GIF, JPEG, PNG, PNM, TIFF and WebP are read.
    - The EXIF orientation is applied, so that photographs of phones are upright.
    - Transparency is dropped.
    - If a file has several frames or pages, the first one is read.

    Parameters
    ----------
    image_size : tuple of (height, width), default=None
        The size in pixels to which every image is resized, by bilinear interpolation.
        When an image shrinks, all of its pixels are averaged. If None, all images must
        have the size of the first image in `fit`.
    color_mode : {'rgb', 'grayscale'}, default='rgb'
        Whether a pixel has three colors or one gray value.
    resize_mode : {'stretch', 'crop', 'pad'}, default='stretch'
        How an image is resized if its aspect ratio is not that of `image_size`.

        - 'stretch': height and width are scaled by different factors.
        - 'crop': the center of the image is used. Its margins are lost.
        - 'pad': the whole image is used. The margins of the result are black.
    flatten : bool, default=False
        Whether `transform` returns one row of pixels for an image, as estimators of
        scikit-learn need it.
    n_jobs : int, default=None
        Number of threads that read images. None means 1, and -1 means one per core.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of an image: (height, width) or (height, width, 3).

    See Also
    --------
    skmlp.datasets.load_images : Load the images of a list or a table once.
    PixelScaler : Scale pixels by the range of their format.

    Notes
    -----
    - X is a list, an array, a Series or a data frame with one column. Its values are
      strings or path-like objects such as `pathlib.Path`.
    - Every call of `transform` reads the files. Where a model is fitted many times to
      the same files, `skmlp.datasets.load_images` reads them once.
    - Without `flatten`, the result is always an array, and there is no `set_output`.
    - `transform` works without `fit` if `image_size` is given.
    - `skmlp.persistence.save_model` stores an ImageReader. It has no path as an
      attribute.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmlp.neural_network import SoftmaxRegression
    >>> from skmlp.preprocessing import ImageReader, PixelScaler
    >>> model = make_pipeline(
    ...     ImageReader((2, 2), color_mode="grayscale"),
    ...     PixelScaler(),
    ...     SoftmaxRegression(solver="lbfgs"),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder, f"{gray}.png") for gray in (0, 40, 210, 250)]
    ...     for path in paths:
    ...         Image.new("L", (4, 3), int(path.stem)).save(path)
    ...     _ = model.fit(paths, ["night", "night", "day", "day"])
    ...     model.predict(paths[::2])
    array(['night', 'day'], dtype='<U5')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "image_size": [tuple, list, None],
        "color_mode": [StrOptions(set(PILLOW_MODES))],
        "resize_mode": [StrOptions(set(RESIZE_MODES))],
        "flatten": ["boolean"],
        "n_jobs": [Integral, None],
    }

    image_shape_: tuple[int, ...]

    def __init__(
        self,
        image_size: tuple[int, int] | None = None,
        *,
        color_mode: Literal["rgb", "grayscale"] = "rgb",
        resize_mode: Literal["stretch", "crop", "pad"] = "stretch",
        flatten: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.image_size = image_size
        self.color_mode = color_mode
        self.resize_mode = resize_mode
        self.flatten = flatten
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: object = None) -> Self:
        """Check the parameters and the paths.

        Without `image_size`, the first image is read, and its size is stored.

        Parameters
        ----------
        X : array-like of str or path-like of shape (n_samples,) or (n_samples, 1)
            Paths of image files.
        y : None
            Ignored.

        Returns
        -------
        self : ImageReader
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, if X holds something else than paths, or
            if a path does not lead to a file.
        """
        options = self._make_options()
        paths = as_paths(X, "X")
        check_files(paths)
        self.image_shape_ = options.image_shape or read_image(paths[0], options).shape
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Read images.

        Parameters
        ----------
        X : array-like of str or path-like of shape (n_samples,) or (n_samples, 1)
            Paths of image files.

        Returns
        -------
        images : ndarray of shape (n_samples, height, width[, 3]), dtype uint8
            The pixels. With `flatten`, the shape is (n_samples, n_pixels), and the
            result is a DataFrame if `set_output` requested one.

        Raises
        ------
        NotFittedError
            If `image_size` is None, and the transformer is not fitted.
        ValueError
            If X holds something else than paths, if a file cannot be read as an image,
            or if an image has another size than in `fit` and `image_size` is None.
        """
        self._validate_params()
        options = self._make_options()
        shape = self._find_image_shape(options)
        paths = as_paths(X, "X")
        # A missing file is reported before thousands of images are read.
        check_files(paths)
        images: np.ndarray = np.empty((len(paths), *shape), np.uint8)
        for _ in read_images(images, paths, options, n_jobs=self.n_jobs):
            pass
        return images.reshape(len(images), -1) if self.flatten else images

    @available_if(_returns_columns)
    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the pixels.

        This method exists only with `flatten`. Images have no feature names.

        Parameters
        ----------
        input_features : None
            Ignored, because a path is no feature.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_pixels,)
            ``pixel_<row>_<column>[_<red|green|blue>]``.

        Raises
        ------
        NotFittedError
            If `image_size` is None, and the transformer is not fitted.

        Examples
        --------
        >>> from skmlp.preprocessing import ImageReader
        >>> reader = ImageReader((1, 2), color_mode="grayscale", flatten=True)
        >>> reader.get_feature_names_out()
        array(['pixel_0_0', 'pixel_0_1'], dtype=object)
        """
        shape = self._find_image_shape(self._make_options())
        return np.array(pixel_names(shape), dtype=object)

    def _make_options(self) -> ImageOptions:
        """Return how files are read."""
        size = check_image_size(self.image_size)
        return ImageOptions(self.color_mode, size, self.resize_mode)

    def _find_image_shape(self, options: ImageOptions) -> tuple[int, ...]:
        """Return the shape of an image: that of `image_size`, or that of `fit`."""
        if options.image_shape is not None:
            return options.image_shape
        check_is_fitted(self, "image_shape_")
        height, width, *channels = self.image_shape_
        check_image_size((height, width))
        expected = [] if self.color_mode == "grayscale" else [3]
        if channels != expected:
            raise ValueError(
                f"color_mode={self.color_mode!r} was set after fit, which read images "
                f"of shape {self.image_shape_}; call fit again."
            )
        return self.image_shape_

    def __sklearn_tags__(self) -> Any:
        """Declare that X holds strings, and whether transform works without fit."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = self.image_size is None
        tags.transformer_tags.preserves_dtype = []
        return tags
