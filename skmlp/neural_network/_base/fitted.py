"""What a trained network answers: logits, hidden layers, weights, its own storage."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skmlp._sklearn_bases import BaseEstimator
from skmlp.neural_network._base.storage import restore, state_of
from skmlp.neural_network._layers.arrays import LayerArrays
from skmlp.neural_network._layers.hidden import network_up_to
from skmlp.neural_network._layers.html import fitted_panel
from skmlp.training.compute.devices import resolve_device
from skmlp.training.inference import compute_logits
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import inputs_first
from skmlp.training.net import Net


class FittedNetwork(BaseEstimator):
    """An estimator with a trained net; not for direct use."""

    net_: Net
    device_: torch.device
    callbacks_: list[Any]
    history_: list[dict[str, Any]]
    image_shape_: tuple[int, ...] | None
    n_iter_: int
    n_layers_: int
    n_outputs_: int
    n_parameters_: int
    out_activation_: str
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    best_epoch_: int | None

    def _check_rows(self, X: Any, *y: Any, reset: bool) -> Any:
        """Check X, and y if given; return flat rows in the dtype they came in."""
        raise NotImplementedError

    def _logits(self, X: Any) -> Tensor:
        """Return the logits of every row, on the CPU."""
        check_is_fitted(self)
        X = self._check_rows(X, reset=False)
        return self._compute_logits(self._network_to_predict(), X)

    def hidden_activations(self, X: Any, layer: int | str | None = None) -> np.ndarray:
        """Return what a hidden layer makes of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        layer : int, str or None, default=None
            A layer counted from 0 as in `coefs_`, whose output is taken after its
            activation and before any pooling (the output layer's are the logits); or
            the name of a module of ``net_.module_``, as in 'dense1' or 'conv2_pool',
            in whose order a pooling by maximum comes before 'conv2_activation'. None is
            the last hidden layer: what the output layer sees.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units), or of a convolution \
(n_samples, height, width, n_channels)
            In the dtype of training.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If there is no such layer; the message names those that there are.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skmlp.neural_network import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((20, 5), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.hidden_activations(X).shape
        (150, 5)
        >>> model.hidden_activations(X, layer=0).shape
        (150, 20)
        """
        check_is_fitted(self)
        part = network_up_to(self._network_to_predict(), layer)
        activations = compute_logits(part, self._check_rows(X, reset=False))
        if activations.dim() == 4:
            activations = activations.permute(0, 2, 3, 1)
        return activations.contiguous().numpy()

    def _compute_logits(self, network: nn.Sequential, X: Any) -> Tensor:
        """Return the logits of checked rows."""
        return compute_logits(network, X)

    def _network_to_predict(self) -> nn.Sequential:
        """Return the network on the device it was trained on, if that is here."""
        network = self.net_.module_
        if self.device_.type == "cpu":
            return network
        try:
            device = resolve_device(self.device_)
        except ValueError:
            return network
        return copy.deepcopy(network).to(device)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of every layer, inputs first; assigning changes the network."""
        layers = self._layers()
        return LayerArrays("coefs_", (inputs_first(x.weight.detach()) for x in layers))

    @coefs_.setter
    def coefs_(self, values: Sequence[Any]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of every layer; assigning changes the network."""
        return LayerArrays("intercepts_", (x.bias.detach() for x in self._layers()))

    @intercepts_.setter
    def intercepts_(self, values: Sequence[Any]) -> None:
        self.intercepts_[:] = values

    def _layers(self) -> list[Any]:
        """Layers with weights; an AttributeError before fit, as for any attribute."""
        try:
            module = self.__dict__["net_"].module_
        except KeyError:
            name = type(self).__name__
            raise AttributeError(
                f"this {name} is not fitted and has no layers"
            ) from None
        return list(weight_layers(module))

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, after fit, what was trained."""
        diagram = super()._html_repr()
        return diagram + fitted_panel([self]) if "net_" in vars(self) else diagram

    # Storage

    def __skmlp_state__(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a model file keeps beside the parameters."""
        return state_of(self)

    def __skmlp_restore__(
        self,
        attributes: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        device: str | torch.device,
    ) -> None:
        """Become the fitted estimator that `__skmlp_state__` described."""
        restore(self, attributes, arrays, device)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` came to its end."""
        return "net_" in self.__dict__
