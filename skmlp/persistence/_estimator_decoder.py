"""Decode JSON and arrays to the estimator that `encode_estimator` encoded.

Messages of errors continue the sentence "<path> is no model: ...".
"""

import os
import re
from collections.abc import Iterator, Mapping
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import InconsistentVersionWarning

from skmlp._sklearn_compat import SKLEARN_VERSION, set_metadata_requests
from skmlp._warnings import warn
from skmlp.persistence._allowed_classes import (
    ALLOWED_CLASSES,
    ALLOWED_FUNCTIONS,
    PATH_PARAMETERS,
    REQUIRED_PARAMETERS,
    UNSTORED_ATTRIBUTES,
    VERSIONED_CLASSES,
)
from skmlp.storage.value_decoder import ValueDecoder, parse_json


class MissingModuleError(ValueError):
    """Raised for a user's class or function that the caller did not give.

    The text is its name.
    """


def decode_estimator(
    description: str,
    arrays: Mapping[str, np.ndarray],
    device: str | torch.device,
    modules: Mapping[str, Any] | None = None,
) -> Any:
    """Return the estimator from its JSON description and its arrays.

    `modules` holds classes and functions by their names. The description may name no
    others. A warning compares the version of scikit-learn with that of the file.

    Raises
    ------
    MissingModuleError
        If the description names a module that was not given.
    Exception
        If the description is invalid. Any type of exception is possible. The caller
        converts it to a ModelFileError.
    """
    parsed = parse_json(description)
    decoder = _EstimatorDecoder(arrays, device, modules or {})
    versions = parsed.pop("versions", {}) if type(parsed) is dict else {}
    if type(parsed) is not dict or parsed.keys() != {"object"}:
        raise ValueError("it does not describe an estimator")
    written_by = _parse_sklearn_version(versions)
    try:
        estimator = decoder.decode(parsed)
        decoder.check_all_arrays_used()
    except MissingModuleError:
        raise
    except Exception as error:
        if written_by not in (None, SKLEARN_VERSION):
            raise ValueError(
                f"scikit-learn {written_by} wrote it, and this is scikit-learn "
                f"{SKLEARN_VERSION}: {error}"
            ) from error
        raise
    if written_by not in (None, SKLEARN_VERSION) and decoder.versioned_names:
        _warn_of_version(written_by, sorted(decoder.versioned_names))
    return estimator


def _parse_sklearn_version(versions: Any) -> str | None:
    """Return the version of scikit-learn that a description names, or None."""
    if versions == {}:
        return None
    if type(versions) is not dict or versions.keys() != {"scikit-learn"}:
        raise ValueError(f"{short_repr(versions)} names no versions")
    version = versions["scikit-learn"]
    if type(version) is not str or not re.fullmatch(r"[0-9A-Za-z.+]{1,40}", version):
        raise ValueError(f"{short_repr(version)} is no version")
    return version


def _warn_of_version(written_by: str, class_names: list[str]) -> None:
    """Warn as scikit-learn warns for pickles of another version."""
    warning = InconsistentVersionWarning(
        estimator_name=", ".join(class_names),
        current_sklearn_version=SKLEARN_VERSION,
        original_sklearn_version=written_by,
    )
    warn(warning)


class _EstimatorDecoder(ValueDecoder):
    """Decodes estimators and values. Networks are placed on `device`."""

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        device: str | torch.device,
        modules: Mapping[str, Any],
    ) -> None:
        super().__init__(arrays)
        self.device = device
        self.modules = modules
        self.versioned_names: set[str] = set()

    def decode(self, value: Any, depth: int = 0) -> Any:
        """Return the value that JSON represents; paths are replaced by None."""
        if type(value) is dict and value.keys() == {"path"}:
            return None
        return super().decode(value, depth)

    def decode_other_form(self, form: str, content: Any, depth: int) -> Any:
        """Decode an estimator or function, or raise the error for an unknown form."""
        if form == "function":
            return ALLOWED_FUNCTIONS[content]
        if form == "module":
            if type(content) is not str:
                raise ValueError(f"{short_repr(content)} names no module")
            if content not in self.modules:
                raise MissingModuleError(content)
            return self.modules[content]
        if form != "object":
            return super().decode_other_form(form, content, depth)
        return self._decode_estimator(content, depth)

    def _decode_estimator(self, content: dict[str, Any], depth: int) -> Any:
        """Return an estimator of one of the allowed classes."""
        cls = ALLOWED_CLASSES.get(content["class"])
        if cls is None:
            raise ValueError(
                f"it names {short_repr(content['class'])}, which is no class of a model"
            )
        params = self.decode_dict(content["params"], depth)
        attributes = self.decode_dict(content["attributes"], depth)
        for name in PATH_PARAMETERS & params.keys():
            if isinstance(params[name], str):
                params[name] = None
        n_cores, n_jobs = os.cpu_count() or 1, params.get("n_jobs")
        if isinstance(n_jobs, (int, float, np.number)) and n_jobs > n_cores:
            params["n_jobs"] = -1  # a hostile file would start any number of processes
        for name, required in REQUIRED_PARAMETERS.get(cls, {}).items():
            if params.get(name, required) != required:
                raise ValueError(f"{name} of {cls.__name__} is not {required!r}")
        estimator = cls(**params)
        # Compared with the class: a hostile file may leave out parameters.
        names = getattr(cls, "_get_param_names", vars(estimator).keys)()
        for name in attributes:
            if (
                name in names
                or hasattr(cls, name)
                or not name.isidentifier()
                or name in UNSTORED_ATTRIBUTES
            ):
                raise ValueError(f"{cls.__name__} has no attribute {short_repr(name)}")
        if cls in VERSIONED_CLASSES:
            self.versioned_names.add(cls.__name__)
        array_prefix = content.get("network")  # only of fitted networks
        if type(array_prefix) is str:
            network = _PrefixedArrays(self.arrays, array_prefix)
            for name in network:
                self.mark_used(array_prefix + name)
            estimator.__skmlp_restore__(attributes, network, self.device)
        else:
            vars(estimator).update(attributes)
        if requests := content.get("requests"):
            set_metadata_requests(estimator, requests)
        return estimator


class _PrefixedArrays(Mapping[str, np.ndarray]):
    """Mapping of all arrays whose names start with a prefix.

    Its keys are the names without the prefix.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str) -> None:
        self._arrays = arrays
        self._prefix = prefix
        self._names = [k.removeprefix(prefix) for k in arrays if k.startswith(prefix)]

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
