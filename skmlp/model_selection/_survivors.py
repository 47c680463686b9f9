"""Where training of a halving search's candidates stands, for those that go on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from sklearn.base import clone

from skmlp._sklearn_compat import has_callbacks, top_k
from skmlp.model_selection._packed_tasks import Outcome, Stages, Task, is_ours
from skmlp.neural_network._pipelines import final_prefix, split_pipeline
from skmlp.training.schedules import NAMES, WITH_PLANNED_END

Split = tuple[np.ndarray, np.ndarray]


class Survivors:
    """The candidates of the coming iteration, and where they stand in each fold.

    Parameters
    ----------
    search : PackedSearch
        A halving search with ``warm_start=True``.

    Raises
    ------
    ValueError
        If the search's resource is none that training can go on with.
    """

    def __init__(self, search: Any) -> None:
        _refuse_resource(search)
        self.search = search
        self._splits: list[Split] | None = None
        # Candidate by candidate, fold by fold; empty for a fit that starts anew.
        self._stages: list[Stages] = []

    def next_round(
        self, candidates: Sequence[Mapping[str, Any]], splits: list[Split]
    ) -> list[Split]:
        """Return the folds of the candidates, which are always those of the first.

        Were they others, rows to score on might be rows that were trained on.

        Raises
        ------
        TypeError, ValueError
            If one of the first candidates could not go on.
        """
        if self._splits is None:
            for parameters in candidates:
                _refuse(
                    clone(self.search.estimator).set_params(
                        **clone(parameters, safe=False)
                    )
                )
            self._splits = splits
            self._stages = [{} for _ in candidates for _ in splits]
        return self._splits

    def go_on(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Let the tasks of the candidates go on from where these stand."""
        for task, stages in zip(tasks, self._stages, strict=True):
            yield task._replace(stages=stages)

    def choose(self, outcomes: list[Outcome], results: Mapping[str, Any]) -> None:
        """Keep what scikit-learn is about to keep of the iteration that has ended."""
        stages = [outcome.pop("stages", {}) for outcome in outcomes]
        n_splits = len(self._splits or ())
        n_candidates = len(outcomes) // n_splits
        n_before = len(results["params"]) - n_candidates
        places = top_k(
            {**results, "params": np.arange(len(results["params"]))},
            ceil(n_candidates / self.search.factor),
            results["iter"][-1],
        )
        self._stages = [
            stages[(place - n_before) * n_splits + split]
            for place in places
            for split in range(n_splits)
        ]


def _refuse_resource(search: Any) -> None:
    """Refuse what is not a number of epochs."""
    prefix = final_prefix(search.estimator)
    if search.resource == f"{prefix}max_iter":
        return
    reason = (
        "on more rows a score would be that of a longer training than the refit's"
        if search.resource == "n_samples"
        else "a candidate can only go on for more epochs"
    )
    raise ValueError(
        f"warm_start=True needs resource='{prefix}max_iter', got "
        f"resource={search.resource!r}: {reason}; give that, or set "
        "warm_start=False."
    )


def _refuse(estimator: Any) -> None:
    """Refuse what would not end as it does if it is trained in one go."""
    transformers, network = split_pipeline(estimator)
    if not is_ours(network):
        raise TypeError(
            f"warm_start=True needs a network of skmlp, which {type(network).__name__} "
            "is not; set it to False."
        )
    if network.solver == "lbfgs":
        raise ValueError(
            "warm_start=True goes on after an epoch, which solver='lbfgs' does not "
            "have; choose another solver, or set warm_start=False."
        )
    if network.learning_rate in WITH_PLANNED_END:
        others = ", ".join(repr(name) for name in NAMES if name not in WITH_PLANNED_END)
        raise ValueError(
            f"learning_rate={network.learning_rate!r} is planned for max_iter epochs, "
            "so that a candidate cannot go on from fewer as warm_start=True does; "
            f"choose one of {others}, or set warm_start=False."
        )
    for callback in network.callbacks or ():
        if not hasattr(callback, "state_dict"):
            raise ValueError(
                f"warm_start=True cannot go on with {type(callback).__name__}, a "
                "callback without state_dict and load_state_dict; leave it out, or set "
                "warm_start=False."
            )
    if has_callbacks(network):
        raise ValueError(
            "warm_start=True does not go with scikit-learn's callbacks of the network, "
            "which follow fits from their beginning; set it to False."
        )
    for name, step in () if transformers is None else transformers.steps:
        _refuse_unseeded(name, step)


def _refuse_unseeded(name: str, step: Any) -> None:
    """Refuse a step that may make something else of the same rows every time."""
    if not hasattr(step, "get_params"):
        return  # 'passthrough'
    for parameter, value in step.get_params().items():
        if parameter.rpartition("__")[2] == "random_state" and value is None:
            raise ValueError(
                "warm_start=True needs steps that make the same of the same rows in "
                f"every iteration, but {name}__{parameter} is None; give it an int."
            )
