"""From an estimator to JSON and arrays.

Values are encoded as `skmlp.storage.encoding` says; estimators are one more form:

======================  =========================================================
``object``              class, parameters and attributes, and for a network the
                        prefix of its arrays' names
======================  =========================================================
"""

from typing import Any

import numpy as np

from skmlp.persistence._classes import NAMES
from skmlp.storage.encoding import Encoder, join, kind_of, to_json


def encode(estimator: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return the description of an estimator, as JSON in ASCII, and its arrays.

    Raises
    ------
    TypeError
        If it holds what cannot be stored; the message names the parameter.
    """
    if type(estimator) not in NAMES:
        best = (
            "; save its best_estimator_"
            if hasattr(estimator, "best_estimator_")
            else ""
        )
        raise TypeError(
            f"a {kind_of(estimator)} cannot be stored; save_model takes skmlp's "
            f"estimators and transformers, and a Pipeline of them{best}."
        )
    encoder = _EstimatorEncoder()
    description = to_json(encoder.encode(estimator, "", ""))
    return description, encoder.arrays


class _EstimatorEncoder(Encoder):
    """Encodes estimators beside values."""

    def encode_other(self, value: Any, owner: str, place: str, depth: int) -> Any:
        if type(value) not in NAMES:
            raise self.refusal(value, owner)
        return self._object(value, place, depth)

    def _object(self, value: Any, place: str, depth: int) -> Any:
        name = type(value).__name__
        params = value.get_params(deep=False)
        network: dict[str, np.ndarray] = {}
        # Parameters first: what they hold is what the user can change.
        encoded = self._named(params, name, place, depth)
        if hasattr(type(value), "__skmlp_state__"):
            attributes, network = value.__skmlp_state__()
        else:
            attributes = {k: v for k, v in vars(value).items() if k not in params}
        described = {
            "class": NAMES[type(value)],
            "params": encoded,
            "attributes": self._named(attributes, name, place, depth),
        }
        if network:
            described["network"] = prefix = join(place, "net") + "."
            self.arrays |= {prefix + key: array for key, array in network.items()}
        return {"object": described}

    def _named(
        self, values: dict[str, Any], owner: str, place: str, depth: int
    ) -> dict[str, Any]:
        return {
            name: self.encode(value, f"{name} of {owner}", join(place, name), depth + 1)
            for name, value in values.items()
        }

    def refusal(self, value: Any, owner: str) -> TypeError:
        parameter = not owner.split(" ")[0].endswith("_")
        remedy = "set it to None before saving" if parameter else "fit without it"
        if owner.startswith("steps of"):
            remedy = "save the steps that are skmlp's alone, or all by joblib.dump"
        return TypeError(
            f"{owner} cannot be stored: it holds {kind_of(value)}; {remedy}."
        )
