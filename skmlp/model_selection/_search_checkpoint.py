"""The folder from which an interrupted search continues.

- ``search`` holds the fingerprints of the search.
- ``round-<r>-fit-<n>`` holds the outcomes of one pack. Task n is the first of the pack,
  and r is the iteration of a halving search (0 in other searches).
- ``refit`` is the checkpoint of the best candidate's fit to all samples.
"""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from skmlp._sklearn_bases import BaseSearchCV
from skmlp.model_selection._tasks import Candidate, Outcome, Split
from skmlp.neural_network._fit.checkpoint import weights_fingerprint
from skmlp.neural_network._known_classes import ends_in_known_network
from skmlp.neural_network._pipelines import final_estimator
from skmlp.storage.atomic_files import remove_part_files
from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint
from skmlp.storage.container import ModelFileError
from skmlp.storage.fingerprints import (
    check_fingerprints,
    fingerprint,
    fingerprint_array,
    fingerprint_class,
)

# Parameters of searches and estimators that change no score.
_WITHOUT_EFFECT = frozenset(
    {"checkpoint", "checkpoint_interval", "memory", "n_jobs", "pre_dispatch", "verbose"}
)


class OutcomeStore(NamedTuple):
    """Files with the outcomes of one round, which several workers can write.

    Attributes
    ----------
    folder : Path
        The checkpoint of the search.
    round : int
        Index of the call that evaluates the candidates.
    fingerprints : dict of str to str
        Fingerprints of search, candidates and splits. Files with others are refused.
    """

    folder: Path
    round: int
    fingerprints: dict[str, str]

    def read(self) -> dict[int, Outcome]:
        """Return the outcomes of finished tasks by the numbers of the tasks."""
        outcomes: dict[int, Outcome] = {}
        for path in sorted(self.folder.glob(f"round-{self.round}-fit-*")):
            content = read_checkpoint(path)
            try:
                fingerprints, stored = content["facts"], content["outcomes"]
                outcomes |= stored
            except (KeyError, TypeError, ValueError) as error:
                raise ModelFileError(f"{path} holds no outcomes.") from error
            check_fingerprints(
                "checkpoint", self.folder, fingerprints, self.fingerprints
            )
        return outcomes

    def write(self, outcomes: dict[int, Outcome]) -> None:
        """Write the outcomes of one pack to a new file."""
        path = self.folder / f"round-{self.round}-fit-{min(outcomes)}"
        content = {"facts": self.fingerprints, "outcomes": outcomes}
        try:
            write_checkpoint(path, content)
        except FileNotFoundError:
            # Another search in this folder has begun, and removed the part file.
            write_checkpoint(path, content)


class SearchCheckpoint:
    """The folder of one search.

    Parameters
    ----------
    folder : str or path-like
        It is made if it does not exist.
    search : BaseSearchCV
        The search, whose parameters are compared with the parameters in the folder.
    X, y, fit_params : object
        Arguments of the search's `fit`.
    cv : cross-validation generator
        The checked splitter of the search.
    split_params : dict
        Further arguments of ``cv.split``.

    Attributes
    ----------
    folder : Path
    refit_path : Path
        Checkpoint of the best candidate's fit to all samples.

    Raises
    ------
    ValueError
        If the folder belongs to another search, or if a later fit of this search
        would try other candidates or splits.
    ModelFileError
        If a file in the folder is damaged.
    OSError
        If a file cannot be read or written.
    """

    def __init__(
        self,
        folder: Any,
        search: BaseSearchCV,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        cv: Any,
        split_params: dict[str, Any],
    ) -> None:
        _check_repeatable(search, cv, X, y, split_params)
        self.folder = Path(folder)
        self.refit_path = self.folder / "refit"
        fingerprints = _search_fingerprints(search, X, y, fit_params)
        self._search_fingerprint = fingerprint(fingerprints)
        self._n_rounds = 0
        self.folder.mkdir(exist_ok=True)
        # Here only: later, the workers of a killed search may still be writing.
        remove_part_files(self.folder)
        path = self.folder / "search"
        if path.exists():
            content = read_checkpoint(path)
            if not isinstance(content.get("facts"), dict):
                raise ModelFileError(f"{path} is no checkpoint of a search.")
            check_fingerprints(
                "checkpoint", self.folder, content["facts"], fingerprints
            )
        else:
            write_checkpoint(path, {"facts": fingerprints})

    def start_round(
        self, candidates: list[Candidate], splits: list[Split]
    ) -> OutcomeStore:
        """Return the store of the next round, for these candidates and splits."""
        fingerprints = {
            "search": self._search_fingerprint,
            "the candidates": fingerprint(candidates),
            "the splits of cv": fingerprint(splits),
        }
        store = OutcomeStore(self.folder, self._n_rounds, fingerprints)
        self._n_rounds += 1
        return store


def can_resume_fit(estimator: Any) -> bool:
    """Return whether a fit of the estimator can continue from a checkpoint."""
    network = final_estimator(estimator)
    return (
        ends_in_known_network(estimator)
        and network.solver != "lbfgs"
        and not network.warm_start
    )


def _check_repeatable(
    search: BaseSearchCV, cv: Any, X: Any, y: Any, split_params: dict[str, Any]
) -> None:
    """Refuse a search that would try other candidates or splits in a later fit."""
    if getattr(search, "random_state", 0) is None:
        raise ValueError(
            "checkpoint needs a random_state: with None a later fit would try other "
            "candidates; give an int."
        )
    first, second = (
        fingerprint(list(copy.deepcopy(cv).split(X, y, **split_params)))
        for _ in range(2)
    )
    if first != second:
        raise ValueError(
            f"checkpoint needs the same splits in a later fit, but cv={cv!r} makes "
            "others in every call; give it an int as random_state."
        )


def _search_fingerprints(
    search: BaseSearchCV, X: Any, y: Any, fit_params: dict[str, Any]
) -> dict[str, str]:
    """Return fingerprints of everything that changes the results of a search.

    Keys are the names that users know, because they appear in errors.
    """
    params = search.get_params(deep=False)
    estimator = params.pop("estimator")
    fingerprints = {"search": type(search).__name__}
    fingerprints |= {
        name: fingerprint(value)
        for name, value in params.items()
        if name not in _WITHOUT_EFFECT
    }
    fingerprints["estimator"] = fingerprint_class(type(estimator))
    fingerprints |= dict(_estimator_fingerprints(estimator))
    fingerprints["X"] = fingerprint_array(X)
    if hasattr(X, "columns"):
        fingerprints["X"] += " " + fingerprint(list(X.columns))
    fingerprints["y"] = "None" if y is None else fingerprint_array(y)
    return fingerprints | {
        name: fingerprint(value) for name, value in fit_params.items()
    }


def _estimator_fingerprints(estimator: Any) -> Iterable[tuple[str, str]]:
    """Yield names and fingerprints of all parameters, also of a Pipeline's steps."""
    for name, value in estimator.get_params(deep=True).items():
        parameter = name.rpartition("__")[2]
        if parameter in _WITHOUT_EFFECT or parameter == "steps":
            continue
        text = fingerprint(value)
        if parameter == "init_from":
            text += weights_fingerprint(value)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            text = fingerprint_class(type(value))  # its own parameters are yielded too
        yield f"estimator__{name}", text
