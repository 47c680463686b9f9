"""Warm start of halving searches: candidates that survive continue their training.

The training state of every candidate in every fold stays in memory until the iteration
ends. Then only the states of the survivors stay in memory, and the tasks of the next
iteration start from them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from skmlp._sklearn_compat import has_callbacks, top_k
from skmlp.model_selection._tasks import (
    Candidate,
    Outcome,
    Split,
    Task,
    TrainingStates,
    clone_with,
)
from skmlp.neural_network._fit.user_callbacks import iterate_callbacks
from skmlp.neural_network._known_classes import (
    describe_override,
    ends_in_known_network,
)
from skmlp.neural_network._pipelines import final_prefix, split_pipeline
from skmlp.training.schedules import NAMES, has_planned_end


class HalvingWarmStart:
    """Passes training states from one halving iteration to the next.

    The methods are called in this order in every iteration: `reuse_first_splits`,
    `add_training_states`, `select_survivors`.

    Parameters
    ----------
    estimator : object
        The estimator of the search.
    resource : str
        The parameter that grows with the iterations.
    factor : float
        The number of candidates is divided by `factor` in every iteration, and rounded
        up.

    Raises
    ------
    ValueError
        If the resource is not the number of epochs.
    """

    def __init__(self, estimator: Any, resource: str, factor: float) -> None:
        _check_resource(estimator, resource)
        self.estimator = estimator
        self.factor = factor
        self._splits: list[Split] | None = None
        # One entry for each task, in the order of `make_tasks`. An empty dict means
        # that the fit starts from scratch.
        self._training_states: list[TrainingStates] = []

    def reuse_first_splits(
        self, candidates: Sequence[Candidate], splits: list[Split]
    ) -> list[Split]:
        """Return the splits that every iteration uses.

        The first iteration checks the candidates and stores its splits. Later
        iterations return the stored splits. With new splits, a network could be tested
        on samples on which it was trained.

        Raises
        ------
        TypeError, ValueError
            In the first iteration, if the training of a candidate cannot continue.
        """
        if self._splits is None:
            # Later candidates are survivors of these.
            for candidate in candidates:
                _check_can_continue(clone_with(self.estimator, candidate))
            self._splits = splits
            self._training_states = [{} for _ in candidates for _ in splits]
        return self._splits

    def add_training_states(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks with the training states from which they start."""
        for task, states in zip(tasks, self._training_states, strict=True):
            yield task._replace(training_states=states)

    def select_survivors(
        self, outcomes: Sequence[Outcome], results: Mapping[str, Any]
    ) -> None:
        """Keep the states of the candidates that scikit-learn will select.

        Parameters
        ----------
        outcomes : list of dict
            Outcomes of the iteration that has ended. The key "stages" is removed.
        results : dict
            ``cv_results_`` of all iterations.
        """
        stages = [outcome.pop("stages", {}) for outcome in outcomes]
        assert self._splits is not None
        n_splits = len(self._splits)
        n_candidates = len(outcomes) // n_splits
        n_earlier_candidates = len(results["params"]) - n_candidates
        # `top_k` selects entries of `results["params"]`. They are replaced by indices,
        # because indices are needed here.
        survivors = top_k(
            {**results, "params": np.arange(len(results["params"]))},
            ceil(n_candidates / self.factor),
            results["iter"][-1],
        )
        self._training_states = [
            stages[(candidate - n_earlier_candidates) * n_splits + split]
            for candidate in survivors
            for split in range(n_splits)
        ]


def _check_resource(estimator: Any, resource: str) -> None:
    """Raise a ValueError if the resource is not the number of epochs."""
    epochs = f"{final_prefix(estimator)}max_iter"
    if resource == epochs:
        return
    reason = (
        "with n_samples, survivors would be trained for more epochs than the refit"
        if resource == "n_samples"
        else "training can only go on for more epochs"
    )
    raise ValueError(
        f"warm_start=True needs resource={epochs!r}, got resource={resource!r}: "
        f"{reason}; set this resource, or set warm_start=False."
    )


def _check_can_continue(estimator: Any) -> None:
    """Raise an error if a training in several parts would end differently."""
    transformers, network = split_pipeline(estimator)
    if override := describe_override(estimator):
        raise TypeError(
            f"warm_start=True cannot continue the fits, because {override}; "
            "set warm_start=False."
        )
    if not ends_in_known_network(estimator):
        raise TypeError(
            f"warm_start=True needs a network of skmlp, which {type(network).__name__} "
            "is not; set it to False."
        )
    if network.solver == "lbfgs":
        raise ValueError(
            "warm_start=True continues the training after an epoch, but solver='lbfgs' "
            "has no epochs; choose another solver, or set warm_start=False."
        )
    if has_planned_end(network.learning_rate):
        others = ", ".join(repr(name) for name in NAMES if not has_planned_end(name))
        raise ValueError(
            f"learning_rate={network.learning_rate!r} is planned for max_iter epochs, "
            "so warm_start=True cannot continue a training of fewer epochs; choose one "
            f"of {others}, or set warm_start=False."
        )
    for callback in iterate_callbacks(network.callbacks):
        if not hasattr(callback, "state_dict"):
            raise ValueError(
                f"warm_start=True cannot continue with {type(callback).__name__}, a "
                "callback without state_dict and load_state_dict; remove it, or set "
                "warm_start=False."
            )
    if has_callbacks(network):
        raise ValueError(
            "warm_start=True does not support scikit-learn's callbacks of the "
            "network, because they expect complete fits; set warm_start=False."
        )
    for name, step in () if transformers is None else transformers.steps:
        _check_seeded(name, step)


def _check_seeded(name: str, step: Any) -> None:
    """Raise a ValueError if a `random_state` of a transformer is None."""
    if not hasattr(step, "get_params"):
        return  # 'passthrough'
    for parameter, value in step.get_params().items():
        if parameter.rpartition("__")[2] == "random_state" and value is None:
            raise ValueError(
                "warm_start=True needs transformers that return the same in every "
                f"iteration, but {name}__{parameter} is None; give it an int."
            )
