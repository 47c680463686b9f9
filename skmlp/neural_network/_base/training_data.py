"""Build the data sets of a training, their batches and their scorers."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import cache, partial
from inspect import signature

import numpy as np
import torch
from sklearn.metrics import check_scoring
from torch import Tensor

from skmlp._warnings import warn
from skmlp.neural_network._base.prediction import PredictingNetwork
from skmlp.neural_network._fit.fit_data import (
    FitData,
    FitInputs,
    TrainValidSplit,
    split_validation,
    take_train_size,
)
from skmlp.neural_network._fit.images import augment_samples, is_own_augmentation
from skmlp.training.data.batches import BatchLoader
from skmlp.training.data.device_data import DeviceData
from skmlp.training.data.device_tensors import to_device_tensor
from skmlp.training.data.slices import samples_per_chunk
from skmlp.training.modules.introspection import max_values_per_sample
from skmlp.training.net import Net


class TrainingDataBuilder(PredictingNetwork):
    """Builds data sets, batches and scorers of a fit; not for direct use."""

    batch_size: int | str
    shuffle: bool
    validation_fraction: float
    train_size: int | float | None
    scoring: str | Callable[..., float] | None

    # Hooks of the estimators

    @abstractmethod
    def _score_logits(
        self, logits: Tensor, y: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the value of `score` for these logits and encoded targets."""

    def _score_names(self) -> list[str]:
        """Return the names of the validation score in the history."""
        return ["valid_score"]

    def _give_classes_to_scorer(
        self, scorer: Callable[..., float]
    ) -> Callable[..., float]:
        """Return the scorer of a validation set that may lack some classes."""
        return scorer

    def _noise_function(self) -> Callable[..., Tensor] | None:
        """Return a function that adds noise to a batch of features, or None."""
        return None

    def _changes_samples_alone(self) -> bool:
        """Return whether augmentation and noise change each sample on its own.

        They then take no numbers from the host.
        """
        return is_own_augmentation(self.augmentation)

    def _validation_strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the strata of the validation split, or None for a random split."""
        return None

    def _train_size_strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the strata of ``train_size``, or None for a random subset."""
        return None

    # Training and validation set

    def _split(
        self, inputs: FitInputs, random_state: np.random.RandomState
    ) -> TrainValidSplit:
        """Return the training set and, if any, the validation set.

        With early stopping, the validation set is split off, unless X_val was given.
        """
        split = TrainValidSplit(train=inputs.data, valid=inputs.valid)
        if split.valid is None and self.early_stopping and self.solver != "lbfgs":
            strata = self._validation_strata(inputs.data.y)
            split = split_validation(
                inputs.data, self.validation_fraction, strata, random_state
            )
        train = self._take_train_size(split.train, random_state)
        if split.valid is None:
            return TrainValidSplit(train, None)
        return TrainValidSplit(train, split.valid.sorted_for_reading())

    def _take_train_size(
        self, train: FitData, random_state: np.random.RandomState
    ) -> FitData:
        """Reduce a training set to ``train_size``, sorted for reading."""
        if self.train_size is not None:
            strata = self._train_size_strata(train.select(train.y))
            train = take_train_size(train, self.train_size, strata, random_state)
        return train.sorted_for_reading()

    # Batches

    def _training_batches(
        self,
        train: FitData,
        net: Net,
        random_state: np.random.RandomState,
        generator: torch.Generator | None,
    ) -> BatchLoader:
        """Return the batches of the training set."""
        data = _device_data(net, train)
        if self.solver == "lbfgs":
            widest = max_values_per_sample(net.module_, train.X.shape[1])
            return BatchLoader(data, samples_per_chunk(widest, data.device.type))
        augment = None
        if self.augmentation is not None and generator is not None:
            assert self.image_shape_ is not None
            augment = partial(
                augment_samples, self.augmentation, self.image_shape_, generator
            )
        corrupt, noise = None, self._noise_function()
        if noise is not None and generator is not None:
            corrupt = partial(noise, generator=generator)
        return BatchLoader(
            data,
            self._resolve_batch_size(len(data)),
            random_state if self.shuffle else None,
            augment,
            corrupt,
            self._changes_samples_alone(),
        )

    def _resolve_batch_size(self, n_samples: int) -> int:
        """Return the number of samples in a batch, with scikit-learn's warning."""
        if isinstance(self.batch_size, str):
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped"
            )
        return min(int(self.batch_size), n_samples)

    def _validation_batches(
        self, valid: FitData, net: Net, train_data: DeviceData | None
    ) -> BatchLoader:
        """Return the batches of the validation set.

        `train_data` has the tensors of the training set, if both sets are parts of X.
        Otherwise it is None.
        """
        net.module_.eval()
        widest = max_values_per_sample(net.module_, valid.X.shape[1])
        if (
            train_data is None
            or valid.indices is None
            or not train_data.shares_features
        ):
            data = _device_data(net, valid)
        else:
            data = train_data.with_sample_indices(valid.indices)
        return BatchLoader(data, samples_per_chunk(widest, data.device.type))

    # Scores

    def _make_train_scorer(
        self, train: FitData, net: Net, data: DeviceData
    ) -> Callable[[], float]:
        """Return a function that scores the training set with the current weights."""
        if self.scoring not in (None, "loss"):
            score_estimator = self._make_estimator_scorer(train, net)

            def score_train() -> float:
                net.module_.eval()
                return score_estimator()

            return score_train
        score_logits = self._make_scorer(train, net)
        net.module_.eval()
        widest = max_values_per_sample(net.module_, train.X.shape[1])
        batches = BatchLoader(data, samples_per_chunk(widest, data.device.type))

        def score_train_logits() -> float:
            network = net.module_.eval()
            return score_logits(torch.cat([network(x) for x, *_ in batches]))

        return score_train_logits

    def _make_scorer(self, data: FitData, net: Net) -> Callable[[Tensor], float]:
        """Return a function that takes the logits of a set and returns their score.

        With `scoring`, the scorer predicts by itself and does not need the logits.
        """
        if self.scoring not in (None, "loss"):
            score_estimator = self._make_estimator_scorer(data, net)
            return lambda logits: score_estimator()
        targets, weight = data.select(data.targets), data.loss_weight
        weight = None if weight is None else data.select(weight)
        if self.scoring == "loss":
            return _make_loss_scorer(net, targets, weight)
        return lambda logits: self._score_logits(logits, targets, weight)

    def _make_estimator_scorer(self, data: FitData, net: Net) -> Callable[[], float]:
        """Return a function that calls the scorer `scoring` with the current net."""
        scored_estimator = copy.copy(self)
        # The scorer gets arrays without feature names. scikit-learn would warn if the
        # estimator had feature names.
        scored_estimator.__dict__.pop("feature_names_in_", None)
        scored_estimator.net_ = net
        scored_estimator.device_ = net.flat_.values.device
        scorer = self._give_classes_to_scorer(
            check_scoring(scored_estimator, scoring=self.scoring)
        )
        samples = data.gather()
        weights = {}
        if samples.weight is not None and _takes_sample_weight(scorer):
            weights["sample_weight"] = samples.weight
        return lambda: float(scorer(scored_estimator, samples.X, samples.y, **weights))


def _make_loss_scorer(
    net: Net, targets: np.ndarray, weight: np.ndarray | None
) -> Callable[[Tensor], float]:
    """Return a function that takes logits and returns the negative mean loss."""
    dtype = net.flat_.values.dtype

    @cache
    def tensors_on(device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return targets, and weights that sum to one."""
        y = torch.from_numpy(targets).to(device)
        shares = None
        if weight is not None:
            shares = torch.as_tensor(weight / weight.sum(), dtype=dtype, device=device)
        return y.to(dtype) if y.is_floating_point() else y, shares

    def score(logits: Tensor) -> float:
        y, shares = tensors_on(logits.device)  # those of a pack are on the CPU
        loss = net.criterion_.placed_like(logits)
        loss_terms, _ = loss.loss_terms_and_gradient(logits, y, shares)
        return -float(loss.mean_loss(loss_terms, shares))

    return score


def _takes_sample_weight(scorer: Callable[..., float]) -> bool:
    """Return whether a scorer's metric takes sample weights."""
    # A scorer object of scikit-learn always accepts sample weights, so its metric
    # function is inspected.
    metric = getattr(scorer, "_score_func", scorer)
    return "sample_weight" in signature(metric).parameters


def _device_data(net: Net, data: FitData) -> DeviceData:
    """Return the samples on the device of the net.

    The tensors are cached in ``data.device_tensors`` for other nets of the same data.
    """
    dtype, device = net.flat_.values.dtype, net.flat_.values.device
    tensors = {} if data.device_tensors is None else data.device_tensors
    if ("X", device, dtype) not in tensors:
        X = data.X
        if isinstance(X, np.ndarray):
            X = to_device_tensor(X, dtype, device)
        tensors["X", device, dtype] = X
    if ("y", device, dtype) not in tensors:
        tensors["y", device, dtype] = None
        if data.targets is not None:
            y = torch.from_numpy(data.targets)
            y = y.to(dtype) if y.is_floating_point() else y
            tensors["y", device, dtype] = y.to(device)
    X, y = tensors["X", device, dtype], tensors["y", device, dtype]
    return DeviceData(X, y, data.loss_weight, dtype, device, data.indices)
