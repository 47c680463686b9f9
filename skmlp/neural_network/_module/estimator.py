"""The part of the estimators that trains the module of a user."""

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.parameters import Parameter
from skmlp.neural_network._fit.changed_parameters import find_changed, is_structural
from skmlp.neural_network._fit.fit_data import FitData
from skmlp.neural_network._fit.images import (
    ImageShape,
    check_channels_last,
    check_image_shape,
)
from skmlp.neural_network._fit.module_arguments import (
    is_module_argument,
    module_arguments,
)
from skmlp.neural_network._module.building import build_module, name_of_module
from skmlp.neural_network._module.first_batch import N_SAMPLES, check_first_batch
from skmlp.storage.fingerprints import fingerprint
from skmlp.training.compute.global_generators import seeded_global_generators
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_tensors import to_dense_aligned
from skmlp.training.data.sources import Source
from skmlp.training.modules.introspection import evaluation_mode, reference_parameter
from skmlp.training.net import Net
from skmlp.training.prototypes import CopiedNetwork

MODULE_PARAMETERS = {
    "module": Parameter(
        "class or callable",
        "Class derived from `torch.nn.Module`, or function that returns a new module "
        "in every call.\n\n"
        "- It takes a batch of shape (n_samples, n_features). If X holds images, or\n"
        "  with `image_shape`, the shape is (n_samples, channels, height, width).\n"
        "- It returns logits of shape (n_samples, n_outputs), no probabilities.\n"
        "- Arguments with these names get their values in `fit`: `n_features`,\n"
        "  `n_outputs`, `image_shape` (height, width, channels), and in a classifier\n"
        "  `n_classes`.\n"
        "- It sets its own initial weights. In its constructor and in training, the\n"
        "  global random generators are seeded by `random_state`. Afterwards they are\n"
        "  as before.\n"
        "- `alpha` is the penalty of all parameters of at least two dimensions.",
        [callable],
    ),
    "image_shape": Parameter(
        "tuple of int or None, default=None",
        "Height, width and (if not 1) channels of the images in flat samples. With "
        "None the module gets flat samples as they are, and images as images.",
        ["array-like", None],
    ),
    "module_arguments": Parameter(
        "dict",
        "Arguments of the module, with the prefix ``module__``: "
        "``module__hidden=50`` calls ``module(hidden=50)``. They are parameters of the "
        "estimator, so a search can vary them. Modules among them are copied before "
        "training.",
        "no_validation",
    ),
}


class ModuleNetwork(BaseNetwork):
    """Trains the module of a user; not for direct use."""

    module: Callable[..., nn.Module]
    image_shape: Sequence[int] | None

    # The module has its own activations and initial weights.
    activation = "identity"
    init = "auto"

    # Whether the outputs are logits of classes.
    _are_classes = False

    # Parameters

    def _set_parameters(self, values: dict[str, Any]) -> None:
        """Set the parameters to the arguments of the constructor, its ``locals()``."""
        arguments = values["module_arguments"]
        for name in arguments:
            if not is_module_argument(name):
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword "
                    f"argument {name!r}; arguments of the module are module__{name}."
                )
        for name, value in (values | arguments).items():
            if name not in ("self", "module_arguments"):
                setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the module included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the parameters of nested estimators too.

        Returns
        -------
        params : dict
            Values by names. Arguments of the module have the prefix ``module__``.
        """
        arguments = {k: v for k, v in vars(self).items() if is_module_argument(k)}
        return super().get_params(deep) | arguments

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **params : dict
            Values by names. Any name with the prefix ``module__`` is an argument of the
            module. `fit` checks whether the module takes it.

        Returns
        -------
        self : object
        """
        arguments = {k: v for k, v in params.items() if is_module_argument(k)}
        super().set_params(**{k: v for k, v in params.items() if k not in arguments})
        for name, value in arguments.items():
            setattr(self, name, value)
        return self

    # The network

    def _module_sizes(self, n_features: int, n_outputs: int) -> dict[str, Any]:
        """Return the values that the module may ask for by name."""
        return {
            "n_features": n_features,
            "n_outputs": n_outputs,
            "image_shape": self.image_shape_,
        }

    def _build(self, n_features: int, n_outputs: int) -> nn.Module:
        """Return a new module, whose weights the global generators draw."""
        return build_module(
            self.module,
            module_arguments(self),
            self._module_sizes(n_features, n_outputs),
            self._module_image_shape,
        )

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Module:
        with seeded_global_generators(0):
            return self._build(n_features, n_outputs)

    def _draw_network(
        self,
        n_features: int,
        random_state: np.random.RandomState,
        device: torch.device,
        dtype: torch.dtype,
    ) -> nn.Module:
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        with seeded_global_generators(seed):
            network = self._build(n_features, self.n_outputs_)
        try:
            return network.to(device, dtype)
        except NotImplementedError as error:  # parameters on torch's meta device
            raise ValueError(
                f"module={name_of_module(self.module)} has parameters on "
                f"{reference_parameter(network).device}, which hold no values; let it "
                "make them on the CPU."
            ) from error

    def _make_initialized_network(
        self,
        X: Any,
        random_state: np.random.RandomState,
        device: torch.device,
        copied: CopiedNetwork | None = None,
    ) -> nn.Module:
        network = super()._make_initialized_network(X, random_state, device, copied)
        check_first_batch(
            network,
            _first_samples(X, reference_parameter(network)),
            self.n_outputs_,
            name_of_module(self.module),
            are_classes=self._are_classes,
        )
        return network

    def _make_meta_network(self) -> nn.Module:
        try:
            return super()._make_meta_network()
        except Exception:  # noqa: BLE001  # the constructor may need values
            return self._make_network(self.n_features_in_, self.n_outputs_).to("meta")

    def _names_of_trainable(self) -> Collection[str] | None:
        parameters = self._make_meta_network().named_parameters()
        return {name for name, parameter in parameters if parameter.requires_grad}

    def _parameters_mean(self, net: Net) -> bool:
        # The text of a module does not show all arguments.
        changed = find_changed(self, net.fit_parameters_ or {})
        return not any(map(is_structural, changed)) and super()._parameters_mean(net)

    def _network_key(self) -> Hashable | None:
        try:
            return fingerprint({"module": self.module, **module_arguments(self)})
        except TypeError:  # an argument cannot be told from others
            return None

    def _count_outputs(self) -> int | None:
        """Return the number of logits that the module returns; None if it fails."""
        n_features = self.n_features_in_
        makers = (
            self._make_meta_network,
            partial(self._make_network, n_features, self.n_outputs_),
        )
        for make in makers:
            network = make()
            first = reference_parameter(network)
            x = torch.zeros(1, n_features, dtype=first.dtype, device=first.device)
            try:
                with seeded_global_generators(0), evaluation_mode(network):
                    logits = network(x)
            except Exception:  # noqa: BLE001  # `check_first_batch` explains it
                continue
            if isinstance(logits, Tensor) and logits.dim() == 2:
                return logits.shape[1]
        return None

    # Data

    def _set_image_shape(self, n_features: int) -> None:
        if self.image_shape is None:
            super()._set_image_shape(n_features)
            if self._data_shape is not None:
                check_channels_last(self._data_shape)
            self._module_image_shape: ImageShape | None = self._data_shape
            return
        shape = check_image_shape(self.image_shape, n_dims=2)
        if self._data_shape not in (None, shape):
            raise ValueError(
                f"X holds images of shape {self._data_shape}, but image_shape={shape}."
            )
        if (needed := int(np.prod(shape))) != n_features:
            raise ValueError(
                f"X has {n_features} features, but image_shape={shape} needs {needed}."
            )
        self.image_shape_ = self._module_image_shape = shape

    def _training_batches(
        self,
        train: FitData,
        net: Net,
        random_state: np.random.RandomState,
        generator: torch.Generator | None,
    ) -> BatchLoader:
        batches = super()._training_batches(train, net, random_state, generator)
        leaves_one = len(batches.data) % batches.batch_size == 1 < batches.batch_size
        layers = net.module_.modules()
        if leaves_one and any(type(m) is nn.BatchNorm1d for m in layers):
            raise ValueError(
                f"{len(batches.data)} training samples in batches of "
                f"{batches.batch_size} leave one sample for the last batch, which "
                f"BatchNorm1d of module={name_of_module(self.module)} cannot "
                "normalize; set another batch_size."
            )
        return batches


def _first_samples(X: Any, like: Tensor) -> Tensor:
    """Return the first samples as a new tensor, in dtype and on device of `like`."""
    n = min(X.shape[0], N_SAMPLES)
    rows = X.read(np.arange(n)) if isinstance(X, Source) else X[:n]
    return to_dense_aligned(rows, like.dtype, like.device).clone()
