"""Encode an estimator as JSON and arrays.

Values have the forms that `skmlp.storage.value_encoder` lists. Estimators are one more
form:

======================  =========================================================
``object``              class, parameters and attributes; for a network also the
                        prefix of the names of its arrays
======================  =========================================================
"""

from typing import Any

import numpy as np

from skmlp.persistence._allowed_classes import CLASS_NAMES
from skmlp.storage.value_encoder import (
    ValueEncoder,
    describe_kind,
    format_json,
    join_names,
)


def encode_estimator(estimator: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return the description of an estimator, which is JSON in ASCII, and its arrays.

    Raises
    ------
    TypeError
        If a value of the estimator cannot be stored. The message names the parameter
        or attribute.
    """
    if type(estimator) not in CLASS_NAMES:
        best = (
            "; save its best_estimator_"
            if hasattr(estimator, "best_estimator_")
            else ""
        )
        raise TypeError(
            f"a {describe_kind(estimator)} cannot be stored; save_model takes skmlp's "
            f"estimators and transformers, and a Pipeline of them{best}."
        )
    encoder = _EstimatorEncoder()
    description = format_json(encoder.encode(estimator, "", ""))
    return description, encoder.arrays


class _EstimatorEncoder(ValueEncoder):
    """Encodes estimators and values."""

    def encode_unknown_type(
        self, value: Any, owner: str, array_name: str, depth: int
    ) -> Any:
        """Encode an estimator, or raise the error for an unsupported value."""
        if type(value) not in CLASS_NAMES:
            raise self.unsupported_error(value, owner)
        return self._encode_estimator(value, array_name, depth)

    def _encode_estimator(self, estimator: Any, array_name: str, depth: int) -> Any:
        """Encode class, parameters and attributes of an estimator."""
        class_name = type(estimator).__name__
        params = estimator.get_params(deep=False)
        network: dict[str, np.ndarray] = {}
        # Parameters first: an unsupported parameter is an error that users can correct.
        encoded_params = self._encode_named(params, class_name, array_name, depth)
        if hasattr(type(estimator), "__skmlp_state__"):
            attributes, network = estimator.__skmlp_state__()
        else:
            attributes = {k: v for k, v in vars(estimator).items() if k not in params}
        described = {
            "class": CLASS_NAMES[type(estimator)],
            "params": encoded_params,
            "attributes": self._encode_named(attributes, class_name, array_name, depth),
        }
        if network:
            described["network"] = prefix = join_names(array_name, "net") + "."
            self.arrays |= {prefix + key: array for key, array in network.items()}
        return {"object": described}

    def _encode_named(
        self, values: dict[str, Any], class_name: str, array_name: str, depth: int
    ) -> dict[str, Any]:
        """Encode the parameters or the attributes of an estimator."""
        return {
            name: self.encode(
                value,
                f"{name} of {class_name}",
                join_names(array_name, name),
                depth + 1,
            )
            for name, value in values.items()
        }

    def unsupported_error(self, value: Any, owner: str) -> TypeError:
        """Return the error for a value that cannot be stored, with a remedy."""
        is_parameter = not owner.split(" ")[0].endswith("_")
        remedy = "set it to None before saving" if is_parameter else "fit without it"
        if owner.startswith("steps of"):
            remedy = "save the steps that are skmlp's alone, or all by joblib.dump"
        return TypeError(
            f"{owner} cannot be stored: it holds {describe_kind(value)}; {remedy}."
        )
