"""Split a Pipeline into its transformers and its final estimator."""

from typing import Any, NamedTuple

from sklearn.pipeline import Pipeline


class PipelineParts(NamedTuple):
    """The two parts of an estimator that may be a Pipeline.

    Attributes
    ----------
    transformers : Pipeline or None
        The steps before the final estimator. They are the same objects as in the
        original Pipeline, not copies. None if there are no such steps.
    final : object
        The last step of the Pipeline, or the estimator itself.
    """

    transformers: Pipeline | None
    final: Any


def split_pipeline(estimator: Any) -> PipelineParts:
    """Split a Pipeline into its transformers and its final estimator."""
    has_transformers = isinstance(estimator, Pipeline) and len(estimator.steps) > 1
    transformers = estimator[:-1] if has_transformers else None
    return PipelineParts(transformers, final_estimator(estimator))


def final_estimator(estimator: Any) -> Any:
    """Return the last step of a Pipeline, or the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def final_prefix(estimator: Any) -> str:
    """Return the prefix of the final estimator's parameters: `<step>__` or nothing."""
    return f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
