"""`MLPAutoencoder`, a transformer that learns a code from which X is reconstructed."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, cast

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skmlp._sklearn_bases import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    fit_context,
)
from skmlp._sklearn_compat import (
    check_sample_weight,
    outputs_match_input,
    to_numpy,
)
from skmlp.neural_network._base.building import hidden_sizes
from skmlp.neural_network._base.network import BaseNetwork
from skmlp.neural_network._base.parameters.autoencoder import AUTOENCODER
from skmlp.neural_network._base.parameters.availability import partial_fit_if_available
from skmlp.neural_network._base.parameters.declaration import (
    Int,
    set_init_arguments,
    with_shared_parameters,
)
from skmlp.neural_network._base.rollback import restore_attributes_on_error
from skmlp.neural_network._fit.fit_data import FitData
from skmlp.neural_network._fit.images import augment_samples, is_own_augmentation
from skmlp.neural_network._fit.reconstruction_error import (
    negative_error,
    samples_per_block,
    to_dense_rows,
)
from skmlp.training.data.slices import slices_of_size
from skmlp.training.inference import forward_in_chunks
from skmlp.training.losses import Loss, UserLoss, regression_loss
from skmlp.training.modules.autoencoder import (
    AutoencoderParts,
    build_autoencoder,
    split_autoencoder,
)
from skmlp.training.modules.introspection import max_values_per_sample
from skmlp.training.net import Net


@with_shared_parameters
class MLPAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNetwork):
    """Multi-layer perceptron that compresses samples into a code.

    The encoder maps a sample to its code, and the decoder maps the code to a
    reconstruction of the sample. Both are trained together, like an `MLPRegressor`
    whose targets are its inputs.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPRegressor : For other targets than the inputs.
    sklearn.decomposition.PCA : The best linear code for the squared error.

    Notes
    -----
    - With ``hidden_layer_sizes=()`` and ``alpha=0``, the decoder spans the subspace of
      the first principal components (Baldi and Hornik 1989).
    - The score of validation sets, and thus of early stopping, is that of `score`. For
      features in [0, 1] a `tol` below its default lets training continue longer.
    - With `augmentation`, the augmented images are inputs and targets. `noise` is added
      after it, to the inputs only.
    - X may be sparse or out of core. Targets are read in the batches of the inputs, so
      they need no memory. The reconstruction of a validation set is in memory.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmlp.neural_network import MLPAutoencoder
    >>> X = load_digits().data / 16
    >>> model = MLPAutoencoder(8, 50, learning_rate_init=0.01, max_iter=100, tol=0,
    ...                        learning_rate="cosine", random_state=0).fit(X[:1000])
    >>> model.transform(X).shape
    (1797, 8)
    >>> model.inverse_transform(model.transform(X)).shape
    (1797, 64)
    >>> pca = PCA(8).fit(X[:1000])
    >>> reconstructed = pca.inverse_transform(pca.transform(X[1000:]))
    >>> bool(model.score(X[1000:]) > -((reconstructed - X[1000:]) ** 2).mean())
    True
    """

    hidden_layer_sizes: int | Sequence[int]
    decoder_layer_sizes: int | Sequence[int] | None
    dropout: float | Sequence[float]
    batch_norm: bool
    n_components: int
    code_activation: str
    noise: Any
    loss: str | Callable[..., Tensor]
    huber_delta: float = 1.0

    _parameters_not_shared = AUTOENCODER

    def __init__(
        self,
        n_components: Int = 2,
        hidden_layer_sizes: Int | Sequence[Int] = (100,),
        activation: str | Callable[..., Any] = "relu",
        *,
        decoder_layer_sizes: Int | Sequence[Int] | None = None,
        code_activation: str = "identity",
        noise: float | Callable[..., torch.Tensor] = 0.0,
        loss: str | Callable[..., torch.Tensor] = "squared_error",
        solver: str | type[torch.optim.Optimizer] = "adam",
        alpha: float | Sequence[float] = 0.0001,
        batch_size: Int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: Int = 200,
        shuffle: bool = True,
        random_state: Int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | Int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Int | float = 10,
        max_fun: Int = 15000,
        dropout: float | Sequence[float] = 0.0,
        batch_norm: bool = False,
        init: str = "auto",
        huber_delta: float = 1.0,
        augmentation: Callable[..., torch.Tensor] | None = None,
        train_size: Int | float | None = None,
        scoring: str | Callable[..., float] | None = None,
        restore_best_weights: bool = True,
        refit_full: bool = False,
        record_train_score: bool = False,
        device: str | torch.device = "auto",
        dtype: str | None = None,
        amp: bool = False,
        callbacks: Sequence[Any] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        max_grad_norm: float | None = None,
        weight_averaging: float | None = None,
        warmup_epochs: float = 0,
        step_size: Int = 10,
        gamma: float = 0.1,
        init_from: Any = None,
        frozen_layers: Sequence[Int | str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: float = 0,
    ) -> None:
        set_init_arguments(self, locals())

    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train encoder and decoder on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or images of \
shape (n_samples, height, width[, channels])
            Training samples, of the types that `MLPRegressor.fit` takes.
        y : object, default=None
            Ignored. It exists for Pipelines and searches.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, none of them negative.
        X_val, sample_weight_val : as X and sample_weight, default=None
            Validation set. It replaces the validation split of `early_stopping`. The
            network gets the weights of the epoch with the best validation score.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the data do not fit the parameters, if the training loss is not finite,
            or if `checkpoint` belongs to another fit. A damaged checkpoint raises
            `skmlp.persistence.ModelFileError`, which is a ValueError.
        OSError
            If `checkpoint` cannot be read or written.
        KeyboardInterrupt
            As in `MLPRegressor.fit`.
        """
        validation = {"X_val": X_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, None, sample_weight, **validation)

    @partial_fit_if_available
    @restore_attributes_on_error
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train further by one epoch on X; see `MLPRegressor.partial_fit`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._fit(X, None, sample_weight, incremental=True)

    @outputs_match_input
    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the dtype of training.
        """
        check_is_fitted(self)
        X = self._check_X(X)
        return forward_in_chunks(self._parts().encoder, X).numpy()

    @outputs_match_input
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the samples that the decoder reconstructs from codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        samples : ndarray of shape (n_samples, n_features), or images
            In the dtype of training. If `fit` received images, the result has their
            shape.
        """
        check_is_fitted(self)
        codes = check_array(to_numpy(X), dtype=[np.float64, np.float32], input_name="X")
        decoder = self._parts().decoder
        n_components = self._n_features_out
        if codes.shape[1] != n_components:
            raise ValueError(
                f"X has {codes.shape[1]} features, but the code has {n_components} "
                "components."
            )
        samples = forward_in_chunks(decoder, codes).numpy()
        return samples.reshape(len(samples), *self._sample_shape)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the negative reconstruction error, whatever `loss` is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or images
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            Minus the squared error of the reconstruction, averaged over features and
            samples. The best score is 0.
        """
        check_is_fitted(self)
        X = self._check_X(X)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, dtype=np.float64)
        network = self._network_to_predict()
        widest = max_values_per_sample(network, X.shape[1])

        def blocks() -> Iterable[tuple[np.ndarray, Tensor]]:
            size = samples_per_block(widest)
            for rows in slices_of_size(X.shape[0], size):
                samples = to_dense_rows(X[rows])
                yield samples, self._compute_logits(network, samples)

        return negative_error(blocks(), sample_weight)

    # Hooks of the fit

    def _check_parameter_combinations(
        self,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        incremental: bool = False,
    ) -> None:
        if y_val is not None:
            raise TypeError("fit() got an unexpected keyword argument 'y_val'")
        # The targets of X_val are X_val itself.
        super()._check_parameter_combinations(
            X_val, X_val, sample_weight_val, incremental
        )
        if isinstance(self.noise, type):
            raise TypeError(
                f"noise is the class {self.noise.__name__}; give an instance of it."
            )
        if validate := getattr(self.noise, "validate", None):
            validate()
        if self.solver == "lbfgs" and self._noise_function() is not None:
            raise ValueError(
                "noise changes in every batch, but solver='lbfgs' has no batches; set "
                "noise=0 or use another solver."
            )

    def _check_arrays(
        self, X: Any, *y: Any, reset: bool, dtype: torch.dtype | None = None
    ) -> Any:
        checked = super()._check_arrays(X, reset=reset, dtype=dtype)
        if reset:
            is_image = self._data_shape is not None
            self._sample_shape = np.shape(X)[1:] if is_image else (self.n_features_in_,)
        return (checked, None) if y else checked

    def _set_target_attributes(self, y: Any) -> None:
        self.n_outputs_ = self.n_features_in_

    def _encode_targets(self, y: Any, name: str = "y") -> Any:
        return None

    def _make_network(self, n_features: int, n_outputs: int) -> nn.Sequential:
        encoder_sizes = hidden_sizes(self.hidden_layer_sizes)
        decoder_sizes = encoder_sizes[::-1]
        if self.decoder_layer_sizes is not None:
            decoder_sizes = hidden_sizes(
                self.decoder_layer_sizes, "decoder_layer_sizes"
            )
        return build_autoencoder(
            n_features,
            encoder_sizes,
            self.n_components,
            decoder_sizes,
            activation=self.activation,
            code_activation=self.code_activation,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        )

    def _make_loss(self) -> Loss:
        if not isinstance(self.loss, str):
            return UserLoss(self.loss, "identity")
        return regression_loss(self.loss, delta=self.huber_delta)

    def _matches_sklearn_validation(self) -> bool:
        return False  # scikit-learn has no autoencoder

    def _noise_function(self) -> Callable[..., Tensor] | None:
        has_noise = callable(self.noise) or self.noise > 0
        return self._add_noise if has_noise else None

    def _changes_samples_alone(self) -> bool:
        is_own_noise = not callable(self.noise) or is_own_augmentation(self.noise)
        return is_own_noise and super()._changes_samples_alone()

    def _add_noise(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Return a batch ``(batch, n_features)`` with noise."""
        if not callable(self.noise):
            drawn = torch.empty_like(samples).normal_(generator=generator)
            return torch.add(samples, drawn, alpha=float(self.noise))
        samples = samples.clone()  # these samples are the targets too
        shape = self.image_shape_
        if shape is not None:
            return augment_samples(self.noise, shape, generator, samples, "noise")
        changed = self.noise(samples, generator)
        if changed.shape != samples.shape:
            raise ValueError(
                f"noise made samples of shape {tuple(changed.shape)} from samples of "
                f"shape {tuple(samples.shape)}; it has to keep the shape."
            )
        return changed.to(samples.dtype)

    def _make_scorer(self, data: FitData, net: Net) -> Callable[[Tensor], float]:
        if self.scoring is not None:
            return super()._make_scorer(data, net)
        X, weight = data.X, data.loss_weight
        index = np.arange(X.shape[0]) if data.indices is None else data.indices
        weight = None if weight is None else weight[index]
        size = samples_per_block(X.shape[1])

        def score(logits: Tensor) -> float:
            blocks = (
                (to_dense_rows(X[index[rows]]), logits[rows].cpu())
                for rows in slices_of_size(len(index), size)
            )
            return negative_error(blocks, weight)

        return score

    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        raise AssertionError("the scorer of an autoencoder needs the features")

    # The parts of the network

    def _parts(self) -> AutoencoderParts:
        """Return encoder and decoder on the device of predictions."""
        network = cast(nn.Sequential, self._network_to_predict())
        return split_autoencoder(network)

    @property
    def _n_features_out(self) -> int:
        """The number of columns that `transform` returns."""
        return cast(nn.Linear, self.net_.module_.get_submodule("code")).out_features

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
