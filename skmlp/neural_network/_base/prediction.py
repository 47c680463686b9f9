"""Prediction, hidden activations and weights of a fitted estimator."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skmlp.neural_network._base.inputs import InputChecker
from skmlp.neural_network._layers.arrays import LayerArrays
from skmlp.neural_network._layers.hidden import network_up_to
from skmlp.neural_network._layers.html import fitted_panel
from skmlp.training.compute.devices import resolve_device
from skmlp.training.inference import forward_in_chunks
from skmlp.training.modules.device_copies import network_on_device
from skmlp.training.modules.introspection import channels_last, weight_layers
from skmlp.training.modules.layers import to_coefs_shape
from skmlp.training.net import Net


class PredictingNetwork(InputChecker):
    """Predicts with a trained net; not for direct use."""

    net_: Net
    device_: torch.device
    callbacks_: list[Any]
    history_: list[dict[str, Any]]
    n_iter_: int
    n_layers_: int
    n_parameters_: int
    out_activation_: str
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    best_epoch_: int | None

    def _logits(
        self, X: Any, output_activation: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Validate X, and return the logits as a tensor on the CPU.

        With an output activation, its results are returned instead.
        """
        if not self.__sklearn_is_fitted__():  # the function takes longer
            check_is_fitted(self)
        network = self._network_to_predict()
        if not self._has_valid_form(X):
            return self._compute_logits(network, self._check_X(X), output_activation)
        # Whether the values are finite is tested where they are in the cache anyway.
        return self._compute_logits(
            network, X, output_activation, on_nonfinite=lambda: self._check_X(X)
        )

    def hidden_activations(self, X: Any, layer: int | str | None = None) -> np.ndarray:
        """Return the activations of a hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        layer : int, str or None, default=None
            The layer to look at:

            - An int is the index of a layer in `coefs_`. The result is the output
              after the activation and before any pooling. The output layer has no
              activation, so its index gives the logits.
            - A string names a module of ``net_.module_``, such as 'dense1' or
              'conv2_pool'. In the module, max pooling precedes the activation.
            - None is the last hidden layer, the input of the output layer.

            In a user's module, an int gives the output of the layer itself. None gives
            the input of the last layer that `coefs_` has.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units), or (n_samples, height, \
width, n_channels) for a convolution
            In the dtype of training.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If there is no such layer; the message names the layers of the network.

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
        activations = forward_in_chunks(part, self._check_X(X))
        return channels_last(activations, part).contiguous().numpy()

    def _compute_logits(
        self,
        network: nn.Module,
        X: Any,
        output_activation: Callable[[Tensor], Tensor] | None = None,
        on_nonfinite: Callable[[], object] | None = None,
    ) -> Tensor:
        """Return the logits of checked samples, or their output activations.

        `on_nonfinite` is called if the samples may hold values that are not finite.
        """
        return forward_in_chunks(
            network, X, None, output_activation, on_nonfinite=on_nonfinite
        )

    def _network_to_predict(self) -> nn.Module:
        """Return the network on `device_`, or on the CPU without that device."""
        network = self.net_.module_
        if self.device_.type == "cpu":
            return network
        try:
            device = resolve_device(self.device_)
        except ValueError:
            return network
        return network_on_device(network, device)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of every layer as views ``(in, out)``; assigning changes them."""
        weights = (layer.weight.detach() for layer in self._weight_layers())
        return LayerArrays("coefs_", map(to_coefs_shape, weights))

    @coefs_.setter
    def coefs_(self, values: Sequence[Any]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of every layer; assigning changes the network."""
        layers = self._weight_layers()
        biases = (
            None if layer.bias is None else layer.bias.detach() for layer in layers
        )
        return LayerArrays("intercepts_", biases, [len(w.weight) for w in layers])

    @intercepts_.setter
    def intercepts_(self, values: Sequence[Any]) -> None:
        self.intercepts_[:] = values

    def _weight_layers(self) -> list[Any]:
        """Return the layers with weights; raise AttributeError before fit."""
        try:
            module = self.__dict__["net_"].module_
        except KeyError:
            name = type(self).__name__
            raise AttributeError(
                f"this {name} is not fitted and has no layers"
            ) from None
        return list(weight_layers(module))

    def _html_repr(self) -> str:
        """Return scikit-learn's diagram and, after fit, a panel with the layers."""
        diagram = super()._html_repr()
        return diagram + fitted_panel([self]) if "net_" in vars(self) else diagram

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the estimator has been fitted."""
        return "net_" in self.__dict__
