"""Encode an estimator as JSON and arrays.

The description is the JSON text of a file. `skmlp.storage.value_encoder` lists the
forms of values in it. This module adds a form for estimators, and one for a few
functions of scikit-learn and classes of torch:

======================  =========================================================
``object``              class, parameters and attributes; for a network also the
                        prefix of the names of its arrays; metadata requests if
                        there are any
``function``            name of a function or of a class of torch
``module``              name of a class or function of the user, which the caller of
                        `load_model` gives again
======================  =========================================================

The description is one object. If it has transformers of scikit-learn, it also names
the version of scikit-learn.

A network has two methods for this package. ``__skmlp_state__()`` returns its fitted
attributes and its arrays. ``__skmlp_restore__(attributes, arrays, device)`` sets them.
"""

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from skmlp._sklearn_compat import SKLEARN_VERSION, get_metadata_requests
from skmlp.persistence._allowed_classes import (
    NAME_OF_CLASS,
    NAME_OF_FUNCTION,
    PATH_PARAMETERS,
    REQUIRED_PARAMETERS,
    UNSTORED_ATTRIBUTES,
    VERSIONED_CLASSES,
)
from skmlp.storage.value_encoder import (
    ValueEncoder,
    describe_kind,
    format_json,
    join_names,
)


def encode_estimator(estimator: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Return the description of an estimator, JSON in ASCII, and its arrays.

    Raises
    ------
    TypeError
        If a value of the estimator cannot be stored. The message names the parameter
        or attribute.
    """
    if type(estimator) not in NAME_OF_CLASS:
        best = (
            "; save its best_estimator_"
            if hasattr(estimator, "best_estimator_")
            else ""
        )
        raise TypeError(
            f"a {describe_kind(estimator)} cannot be stored; save_model takes skmlp's "
            "estimators and transformers, common transformers of scikit-learn, and "
            f"Pipelines of them{best}."
        )
    encoder = _EstimatorEncoder()
    described = encoder.encode(estimator, "", "")
    if encoder.has_versioned_classes:
        described["versions"] = {"scikit-learn": SKLEARN_VERSION}
    return format_json(described), encoder.arrays


class _EstimatorEncoder(ValueEncoder):
    """Encodes estimators and values."""

    def __init__(self) -> None:
        super().__init__()
        self.has_versioned_classes = False

    def encode(self, value: Any, owner: str, array_name: str, depth: int = 0) -> Any:
        """Return the JSON value that represents `value`; paths are refused."""
        if isinstance(value, Path):
            raise self.unsupported_error(value, owner)
        return super().encode(value, owner, array_name, depth)

    def encode_other_type(
        self, value: Any, owner: str, array_name: str, depth: int
    ) -> Any:
        """Encode an estimator, or raise the error for an unsupported value."""
        if isinstance(value, Hashable) and value in NAME_OF_FUNCTION:
            return {"function": NAME_OF_FUNCTION[value]}
        if type(value) not in NAME_OF_CLASS:
            raise self.unsupported_error(value, owner)
        return self._encode_estimator(value, array_name, depth)

    def _encode_estimator(self, estimator: Any, array_name: str, depth: int) -> Any:
        """Encode class, parameters and attributes of an estimator."""
        cls = type(estimator)
        self.has_versioned_classes |= cls in VERSIONED_CLASSES
        if hasattr(cls, "get_params"):
            params = estimator.get_params(deep=False)
        else:
            params = dict(vars(estimator))
        for name in PATH_PARAMETERS & params.keys():
            if isinstance(params[name], (str, os.PathLike)):
                params[name] = None
        for name, required in REQUIRED_PARAMETERS.get(cls, {}).items():
            if params[name] != required:
                raise TypeError(
                    f"{name} of {cls.__name__} cannot be stored: it is "
                    f"{params[name]!r}, and only {required!r} is safe to load; use "
                    "joblib.dump."
                )
        network: dict[str, np.ndarray] = {}
        code = {
            name: {"module": value.__qualname__}
            for name, value in params.items()
            if _holds_code(name, value)
        }
        # Parameters first: an unsupported parameter is an error that users can correct.
        values = {name: value for name, value in params.items() if name not in code}
        encoded_params = self._encode_named(values, cls.__name__, array_name, depth)
        encoded_params |= code
        if hasattr(cls, "__skmlp_state__"):
            attributes, network = estimator.__skmlp_state__()
        else:
            attributes = {k: v for k, v in vars(estimator).items() if k not in params}
        for name in UNSTORED_ATTRIBUTES:
            attributes.pop(name, None)
        if isinstance(attributes.get("vocabulary_"), dict):
            # Python's integers take a third of the space of NumPy's.
            words = attributes["vocabulary_"].items()
            attributes["vocabulary_"] = {word: int(index) for word, index in words}
        described = {
            "class": NAME_OF_CLASS[cls],
            "params": encoded_params,
            "attributes": self._encode_named(
                attributes, cls.__name__, array_name, depth
            ),
        }
        if requests := get_metadata_requests(estimator):
            described["requests"] = requests
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
        if owner.startswith(("steps of", "transformers of", "transformer_list of")):
            remedy = "save the other steps alone, or all by joblib.dump"
        name = owner.split(" ")[0]
        if name in ("activation", "loss"):
            remedy = "use joblib.dump"
        if name in ("solver", "learning_rate"):
            remedy = (
                "predictions do not depend on it, so set it to a name before saving"
            )
        if owner.startswith(("func of", "inverse_func of")):
            remedy = "use a transformer without a function, or joblib.dump"
        return TypeError(
            f"{owner} cannot be stored: it holds {describe_kind(value)}; {remedy}."
        )


def _holds_code(name: str, value: Any) -> bool:
    """Return whether a parameter is a class or function from which a module is made."""
    is_of_module = name == "module" or name.startswith("module__")
    if not is_of_module or not callable(value) or not hasattr(value, "__qualname__"):
        return False
    return not isinstance(value, Hashable) or value not in NAME_OF_FUNCTION
