"""Prepare fit jobs for training: check parameters and data, and build the networks."""

from collections.abc import Collection, Hashable, Iterable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

from skmlp._sklearn_compat import validate_parameter_constraints
from skmlp.neural_network._fit.changed_parameters import STRUCTURE
from skmlp.neural_network._fit.fit_data import FitInputs
from skmlp.neural_network._fit.fit_start import FitStart, SharedStart
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

# Parameters of the training only. Fits that differ in nothing else have equal starts.
_TRAINING_PARAMETERS = frozenset(
    {
        *("alpha", "beta_1", "beta_2", "epsilon", "momentum", "nesterovs_momentum"),
        *("learning_rate", "learning_rate_init", "power_t", "step_size", "gamma"),
        *("warmup_epochs", "max_iter", "tol", "n_iter_no_change", "max_grad_norm"),
    }
)

# With these parameters, a network is more than its structure and weights that skmlp
# draws. The module of a user draws its own initial weights.
_WITHOUT_PROTOTYPE = ("callbacks", "frozen_layers", "init_from", "module")

# Largest number of prototypes and of starts that are kept. The candidates of a grid
# have few of them, and random candidates share none.
_N_KEPT = 64

# Prototypes and starts are kept of networks with at most this number of parameters.
# They hold a copy of the weights. The set-up of a larger network takes little of its
# fit.
_MAX_KEPT_VALUES = 2**20


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

    The keys are equal for equal parameters: those on which the checked data depend,
    those on which the network depends, and those on which the start of the fit depends.
    """

    values: dict[str, Any]
    data_key: Hashable
    network_key: Hashable
    start_key: Hashable


class Preparation:
    """Prepares jobs for training.

    Parameters and data that jobs share are checked only once. Networks of equal
    structure are copies of one prototype. Jobs that differ only in parameters of the
    training share their start.
    """

    def __init__(self) -> None:
        # From the class of an estimator to the parameters that were checked last.
        self._params: dict[type, _CheckedParameters] = {}
        self._data: dict[Hashable, _CheckedData] = {}
        self._prototypes: dict[Hashable, NetPrototype | None] = {}
        self._starts: dict[Hashable, SharedStart] = {}

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
        start = self._start(job, inputs, data_key, params)
        checkpoint = job.checkpoint
        run = estimator._make_run(start, inputs, checkpoint=checkpoint)
        return PreparedJob(job, inputs, run)

    def _start(
        self,
        job: FitJob,
        inputs: FitInputs,
        data_key: Hashable,
        params: _CheckedParameters,
    ) -> FitStart:
        """Return the start of a fit, from an earlier start or prototype if possible."""
        estimator, start = job.estimator, None
        make_start = partial(estimator._make_start, inputs, checkpoint=job.checkpoint)
        if any(params.values.get(name) is not None for name in _WITHOUT_PROTOTYPE):
            return make_start()
        start_key = data_key, params.start_key
        shared = self._starts.get(start_key)
        if shared is not None and shared.can_repeat and _is_repeatable(job):
            return estimator._repeat_start(shared)
        network_key = data_key, params.network_key
        start = make_start(prototype=self._prototypes.get(network_key))
        if len(start.net.flat_.values) > _MAX_KEPT_VALUES:
            return start
        if network_key not in self._prototypes:
            _keep(self._prototypes, network_key, NetPrototype.of(start.net))
        prototype = self._prototypes[network_key]
        if prototype is not None and _is_repeatable(job) and start.is_shareable:
            _keep(self._starts, start_key, SharedStart(start, prototype))
        return start

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
        keys = {} if previous is None else previous._asdict()
        if previous is None or _concerns(changed, _DATA_PARAMETERS):
            keys["data_key"] = _describe(values, _DATA_PARAMETERS)
        if previous is None or _concerns(changed, _NETWORK_PARAMETERS):
            keys["network_key"] = _describe(values, _NETWORK_PARAMETERS)
        if previous is None or changed - _TRAINING_PARAMETERS:
            keys["start_key"] = _describe(values, values.keys() - _TRAINING_PARAMETERS)
        params = _CheckedParameters(**(keys | {"values": values}))
        self._params[type(estimator)] = params
        return params


def _is_repeatable(job: FitJob) -> bool:
    """Return whether another fit of the estimator would draw the same numbers.

    The folds of an ensemble are no parameters. A checkpoint reads the RandomState.
    """
    has_seed = isinstance(job.estimator.random_state, Integral)
    return has_seed and job.fold is None and job.checkpoint is None


def _keep(kept: dict[Hashable, Any], key: Hashable, value: Any) -> None:
    """Keep a value, instead of the oldest one if there are many."""
    if len(kept) >= _N_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value


def _concerns(changed: Iterable[str], names: frozenset[str]) -> bool:
    """Return whether a changed parameter is one of `names`, or a module's argument."""
    return any(name in names or is_module_argument(name) for name in changed)


def _describe(values: dict[str, Any], names: Collection[str]) -> Hashable:
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
