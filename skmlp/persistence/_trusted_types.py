"""The classes in a pickle or a skops file of a fitted estimator of skmlp."""

from skmlp.persistence._allowed_classes import ALLOWED_CLASSES

#: Full names of skmlp's estimators, transformers, encoders and augmentations. They are
#: the types that skops and MLflow have to trust to load a fitted model of skmlp.
TRUSTED_TYPES: list[str] = sorted(
    f"{cls.__module__}.{cls.__qualname__}"
    for cls in ALLOWED_CLASSES.values()
    if cls.__module__.startswith("skmlp.")
)
