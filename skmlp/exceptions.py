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
