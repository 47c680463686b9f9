"""The warnings that users may want to silence by their class."""


class DataScaleWarning(UserWarning):
    """Features or targets are on scales with which a network learns badly.

    It is raised once in a fit, in these cases:

    - The features of the training set differ in scale by orders of magnitude.
    - The validation set that the caller gave is on another scale than the training
      set.

    Examples
    --------
    >>> import warnings
    >>> from skmlp.exceptions import DataScaleWarning
    >>> warnings.simplefilter("ignore", DataScaleWarning)
    """


class DataShapeWarning(UserWarning):
    """A convolutional network takes X as images, but X does not look like images.

    It is raised once in a fit with ``image_shape='auto'``, in these cases:

    - Flat samples make no square image, or a square with less than 8 pixels on a side.
    - Gray images are long and narrow, as signals with several channels are.
    - Signals have more channels than steps, as if the channels came first.

    Examples
    --------
    >>> import warnings
    >>> from skmlp.exceptions import DataShapeWarning
    >>> warnings.simplefilter("ignore", DataShapeWarning)
    """
