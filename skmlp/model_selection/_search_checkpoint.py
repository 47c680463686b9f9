"""The folder from which a search that was killed goes on.

``search`` says what the search is of, ``round-<r>-fit-<n>`` holds the outcomes of a
pack whose first fit is the n-th of round r (of which halving searches have several),
and ``refit`` is the checkpoint of the best candidate's fit to all rows.
"""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from skmlp.model_selection._packed_tasks import Outcome
from skmlp.neural_network._fit.checkpoint import weights_fingerprint
from skmlp.storage.atomic_files import remove_part_files
from skmlp.storage.checkpoint import read_checkpoint, write_checkpoint
from skmlp.storage.container import ModelFileError
from skmlp.storage.fingerprints import (
    check_fingerprints,
    fingerprint,
    fingerprint_array,
)

# Parameters that no score depends on, of a search and of what it fits.
_WITHOUT_EFFECT = frozenset(
    {"checkpoint", "checkpoint_interval", "memory", "n_jobs", "pre_dispatch", "verbose"}
)


class Records(NamedTuple):
    """Outcomes of the fits of one round, in files that workers can write.

    ``facts`` say what the round is of, by the names of a search's parameters.
    """

    folder: Path
    round: int
    fingerprints: dict[str, str]

    def read(self) -> dict[int, Outcome]:
        """Return the outcomes of finished fits by their numbers in the round."""
        outcomes: dict[int, Outcome] = {}
        for path in sorted(self.folder.glob(f"round-{self.round}-fit-*")):
            content = read_checkpoint(path)
            try:
                fingerprints, kept = content["facts"], content["outcomes"]
                outcomes |= kept
            except (KeyError, TypeError, ValueError) as error:
                raise ModelFileError(f"{path} holds no outcomes.") from error
            check_fingerprints(
                "checkpoint", self.folder, fingerprints, self.fingerprints
            )
        return outcomes

    def keep(self, outcomes: dict[int, Outcome]) -> None:
        """Bring the outcomes of a pack to the disk."""
        path = self.folder / f"round-{self.round}-fit-{min(outcomes)}"
        write_checkpoint(path, {"facts": self.fingerprints, "outcomes": outcomes})


class SearchCheckpoint:
    """The folder of one search.

    Parameters
    ----------
    search : PackedSearch
        With ``checkpoint`` set.
    X, y, fit_params : object
        What it is fitted to.
    cv : cross-validation generator
        The search's own, checked.
    split_params : dict
        Further arguments of ``cv.split``.

    Raises
    ------
    ValueError
        If the folder is of another search, or this one would not be the same again.
    ModelFileError
        If a file in it is not whole.
    OSError
        If it cannot be read or written.
    """

    def __init__(
        self,
        search: Any,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        cv: Any,
        split_params: dict[str, Any],
    ) -> None:
        _check_repeatable(search, cv, X, y, split_params)
        self.folder = Path(search.checkpoint)
        fingerprints = _facts(search, X, y, fit_params)
        self._search = fingerprint(fingerprints)
        self._rounds = 0
        self.folder.mkdir(exist_ok=True)
        remove_part_files(
            self.folder
        )  # not later: workers of a killed search may still run
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

    @property
    def refit(self) -> Path:
        """The file of the best candidate's fit to all rows."""
        return self.folder / "refit"

    def next_round(
        self, candidates: list[dict[str, Any]], splits: list[Any]
    ) -> Records:
        """Return the records of the next candidates, on these splits."""
        fingerprints = {
            "search": self._search,
            "the candidates": fingerprint(candidates),
            "the splits of cv": fingerprint(splits),
        }
        records = Records(self.folder, self._rounds, fingerprints)
        self._rounds += 1
        return records


def _check_repeatable(
    search: Any, cv: Any, X: Any, y: Any, split_params: dict[str, Any]
) -> None:
    """Refuse what would try other candidates, or other rows, in a later fit."""
    if getattr(search, "random_state", 0) is None:
        raise ValueError(
            "checkpoint needs a random_state: with None a later fit would try others; "
            "give an int."
        )
    one, two = (
        fingerprint(list(copy.deepcopy(cv).split(X, y, **split_params)))
        for _ in range(2)
    )
    if one != two:
        raise ValueError(
            f"checkpoint needs the same splits in a later fit, but cv={cv!r} makes "
            "others in every call; give it an int as random_state."
        )


def _facts(search: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> dict[str, str]:
    """Return all that decides what comes of a search, by names that users know."""
    fingerprints = {"search": type(search).__name__}
    own = search.get_params(deep=False)
    estimator = own.pop("estimator")
    fingerprints |= {
        k: fingerprint(v) for k, v in own.items() if k not in _WITHOUT_EFFECT
    }
    fingerprints["estimator"] = type(estimator).__name__
    fingerprints |= dict(_facts_of(estimator))
    fingerprints["X"] = fingerprint_array(X)
    if hasattr(X, "columns"):
        fingerprints["X"] += " " + fingerprint(list(X.columns))
    fingerprints["y"] = "None" if y is None else fingerprint_array(y)
    return fingerprints | {
        name: fingerprint(value) for name, value in fit_params.items()
    }


def _facts_of(estimator: Any) -> Iterable[tuple[str, str]]:
    """Yield the parameters of what is searched, a Pipeline's steps one by one."""
    for name, value in estimator.get_params(deep=True).items():
        last = name.rpartition("__")[2]
        if last in _WITHOUT_EFFECT or last == "steps":
            continue
        text = fingerprint(value)
        if last == "init_from":
            text += weights_fingerprint(value)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            text = type(value).__name__  # its parameters follow
        yield f"estimator__{name}", text
