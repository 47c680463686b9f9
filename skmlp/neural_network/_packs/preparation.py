"""Prepare fit jobs for training: check parameters and data, and build the networks."""

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

from skmlp._sklearn_compat import validate_parameter_constraints
from skmlp.neural_network._fit.changed_parameters import STRUCTURE
from skmlp.neural_network._fit.fit_data import FitInputs
from skmlp.neural_network._fit.module_arguments import is_module_argument
from skmlp.neural_network._packs.fit_job import FitJob
from skmlp.training.compute.ambient_modes import in_default_modes
from skmlp.training.prototypes import NetPrototype
from skmlp.training.run import TrainingRun

# Parameters on which the result of `_check_fit_inputs` depends.
_DATA_PARAMETERS = frozenset(
    {
        *("loss", "class_weight", "dtype"),
        *("image_shape", "conv_dims", "augmentation", "module"),
    }
)

# Parameters on which the network depends, in addition to the data.
_NETWORK_PARAMETERS = frozenset({*STRUCTURE, "device"})

# With these parameters, networks of equal structure differ in more than their weights.
_PARAMETERS_WITHOUT_PROTOTYPE = ("callbacks", "frozen_layers")


class PreparedJob(NamedTuple):
    """A job whose network is ready to be trained."""

    job: FitJob
    inputs: FitInputs
    run: TrainingRun


class _CheckedData(NamedTuple):
    """Checked data, and the fitted attributes that the check set in the estimator."""

    attributes: dict[str, Any]
    inputs: FitInputs


class _CheckedParameters(NamedTuple):
    """The valid parameters of an estimator.

    Two keys are equal for equal parameters: those on which the checked data depend, and
    those on which the network depends.
    """

    values: dict[str, Any]
    data_key: Hashable
    network_key: Hashable


class Preparation:
    """Prepares jobs for training.

    Parameters and data that jobs share are checked only once. Networks of equal
    structure are copies of one prototype.
    """

    def __init__(self) -> None:
        # From the class of an estimator to the parameters that were checked last.
        self._params: dict[type, _CheckedParameters] = {}
        self._data: dict[Hashable, _CheckedData] = {}
        self._prototypes: dict[Hashable, NetPrototype | None] = {}

    @in_default_modes
    def prepare(self, job: FitJob) -> PreparedJob:
        """Check parameters and data of a job, and build its network."""
        estimator, fit_params = job.estimator, dict(job.params)
        params = self._check_params(estimator)
        names = ("X_val", "y_val", "sample_weight_val")
        validation = [fit_params.pop(name, None) for name in names]
        estimator._check_parameter_combinations(*validation)
        data_key = (job.data_key, type(estimator), params.data_key)
        if data_key not in self._data:
            before = set(vars(estimator))
            weight = _sample_weight(fit_params)
            inputs = estimator._check_fit_inputs(job.X, job.y, weight, *validation)
            attributes = {k: v for k, v in vars(estimator).items() if k not in before}
            inputs = inputs.with_shared_device_tensors()
            self._data[data_key] = _CheckedData(attributes, inputs)
        attributes, inputs = self._data[data_key]
        # `_check_fit_inputs` sets fitted attributes such as `classes_`. Every estimator
        # with the same data gets them.
        vars(estimator).update(attributes)
        if job.fold is not None:
            inputs = inputs.with_fold(*job.fold)
        run = self._prepare_run(job, inputs, (data_key, params.network_key))
        return PreparedJob(job, inputs, run)

    def _prepare_run(
        self, job: FitJob, inputs: FitInputs, network_key: Hashable
    ) -> TrainingRun:
        """Build the network of a job, from the prototype of the key if there is one."""
        estimator = job.estimator
        may_copy = all(
            getattr(estimator, name) is None for name in _PARAMETERS_WITHOUT_PROTOTYPE
        )
        run: TrainingRun = estimator._prepare_training(
            inputs,
            checkpoint=job.checkpoint,
            prototype=self._prototypes.get(network_key) if may_copy else None,
        )
        if may_copy and network_key not in self._prototypes:
            self._prototypes[network_key] = NetPrototype.of(run.net)
        return run

    def _check_params(self, estimator: Any) -> _CheckedParameters:
        """Validate the parameters that the previous estimator of the class lacked.

        A member of a search differs from the previous one in few parameters.
        """
        values = estimator.get_params(deep=False)
        previous = self._params.get(type(estimator))
        known = {} if previous is None else previous.values
        new = {k: v for k, v in values.items() if k not in known or known[k] is not v}
        if new:
            name = type(estimator).__name__
            validate_parameter_constraints(estimator._parameter_constraints, new, name)
        changed = {*new, *(known.keys() - values.keys())}
        if previous is not None:
            data_key, network_key = previous.data_key, previous.network_key
        if previous is None or _concerns(changed, _DATA_PARAMETERS):
            data_key = _describe(values, _DATA_PARAMETERS)
        if previous is None or _concerns(changed, _NETWORK_PARAMETERS):
            network_key = _describe(values, _NETWORK_PARAMETERS)
        params = _CheckedParameters(values, data_key, network_key)
        self._params[type(estimator)] = params
        return params


def _concerns(changed: Collection[str], names: frozenset[str]) -> bool:
    """Return whether a changed parameter is one of `names`, or a module's argument."""
    return any(name in names or is_module_argument(name) for name in changed)


def _describe(values: dict[str, Any], names: frozenset[str]) -> Hashable:
    """Return a key of the parameters in `names` and of the arguments of a module."""
    return tuple(
        (name, repr(value))
        for name, value in values.items()
        if name in names or is_module_argument(name)
    )


def _sample_weight(params: dict[str, Any]) -> Any:
    """Return the sample weights; raise a TypeError if there are other arguments."""
    if unknown := set(params) - {"sample_weight"}:
        raise TypeError(f"fit() got an unexpected keyword argument {unknown.pop()!r}")
    return params.get("sample_weight")
