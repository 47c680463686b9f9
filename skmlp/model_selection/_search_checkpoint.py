"""The folder from which an interrupted search continues.

- ``search`` holds the fingerprints of the search.
- ``round-<r>-fit-<n>`` holds the outcomes of one pack. n is the smallest task number in
  the pack. r is the index of the halving iteration, and 0 in other searches.
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

# Parameters of searches, networks and Pipelines that do not change scores. They have no
# fingerprint.
_IGNORED_PARAMETERS = frozenset(
    {"checkpoint", "checkpoint_interval", "memory", "n_jobs", "pre_dispatch", "verbose"}
)


class OutcomeStore(NamedTuple):
    """Writes and reads the outcomes of one round.

    Every pack has its own file, so several workers can use copies of the store.

    Attributes
    ----------
    folder : Path
        The checkpoint of the search.
    round : int
        Index of the round.
    fingerprints : dict of str to str
        Fingerprints of search, candidates and splits. A file with different
        fingerprints raises an error. Their key in the files is "facts", as in files of
        older versions.
    """

    folder: Path
    round: int
    fingerprints: dict[str, str]

    def read(self) -> dict[int, Outcome]:
        """Return a dict from task number to outcome, for the finished tasks."""
        outcomes: dict[int, Outcome] = {}
        for path in sorted(self.folder.glob(f"round-{self.round}-fit-*")):
            content = read_checkpoint(path)
            fingerprints, stored = content.get("facts"), content.get("outcomes")
            if not isinstance(fingerprints, dict) or not isinstance(stored, dict):
                raise ModelFileError(f"{path} holds no outcomes.")
            outcomes |= stored
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
            # `write_checkpoint` writes a part file first. A search that starts in this
            # folder may have removed it.
            write_checkpoint(path, content)


class SearchCheckpoint:
    """Opens the checkpoint folder of a search.

    A new folder is created. An existing folder must belong to the same search.

    Parameters
    ----------
    folder : str or path-like
        The value of the parameter `checkpoint`.
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
        If the folder belongs to another search, or if candidates or splits are random
        without a seed.
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
        # One short text for all fingerprints of the search.
        self._search_hash = fingerprint(fingerprints)
        self._next_round = 0
        self.folder.mkdir(exist_ok=True)
        # Part files are removed only at the start. Later they may belong to a worker
        # that is writing.
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
        fingerprints = {  # the keys appear in error messages
            "search": self._search_hash,
            "the candidates": fingerprint(candidates),
            "the splits of cv": fingerprint(splits),
        }
        store = OutcomeStore(self.folder, self._next_round, fingerprints)
        self._next_round += 1
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
    """Raise a ValueError if candidates or splits are random without a seed."""
    if hasattr(search, "random_state") and search.random_state is None:
        raise ValueError(
            "checkpoint needs a random_state: with None a later fit would try other "
            "candidates; give an int."
        )
    # Two calls are compared. Copies preserve the state of a generator in the splitter.
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
    """Return the fingerprints of the parameters and the data of a search.

    The keys are names that users know, because they appear in error messages.
    """
    params = search.get_params(deep=False)
    estimator = params.pop("estimator")
    fingerprints = {"search": type(search).__name__}
    fingerprints |= {
        name: fingerprint(value)
        for name, value in params.items()
        if name not in _IGNORED_PARAMETERS
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
    """Yield name and fingerprint of every parameter, and of nested parameters."""
    for name, value in estimator.get_params(deep=True).items():
        parameter = name.rpartition("__")[2]
        if parameter in _IGNORED_PARAMETERS or parameter == "steps":
            continue
        text = fingerprint(value)
        if parameter == "init_from":
            text += weights_fingerprint(value)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            text = fingerprint_class(type(value))  # its own parameters are yielded too
        yield f"estimator__{name}", text
