"""From an estimator's parameters to the objects that train it."""

import copy
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import check_scoring
from torch import nn

from skmlp.neural_network._fit.images import augment_rows
from skmlp.neural_network._fit.progress import prints_epochs
from skmlp.neural_network._fit.sample import FitData
from skmlp.neural_network._fit.transfer import freeze_layers, start_from
from skmlp.training.compute.devices import resolve_dtype
from skmlp.training.compute.seeds import torch_generator
from skmlp.training.data.batches import (
    BatchLoader,
    DeviceData,
    on_device,
    samples_per_chunk,
)
from skmlp.training.modules.introspection import weight_layers, widest_layer_size
from skmlp.training.modules.layers import Dropout, initialize, seed_dropout
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_optimizers import make_optimizer
from skmlp.training.schedules import Schedule
from skmlp.training.stopping import Monitor


def make_initialized_network(
    estimator: Any, X: Any, random_state: np.random.RandomState, device: torch.device
) -> nn.Sequential:
    """Build the network for the rows X and give it its initial weights."""
    dtype = resolve_dtype(estimator.dtype, X.dtype, device)
    network = estimator._make_network(X.shape[1], estimator.n_outputs_)
    first = next(network.parameters())
    if (first.device, first.dtype) != (device, dtype):
        network.to(device, dtype)
    initialize(
        network, estimator._initializer_name(), estimator.activation, random_state
    )
    if estimator.init_from is not None:
        start_from(network, estimator.init_from)
    if estimator.frozen_layers is not None:
        freeze_layers(network, estimator.frozen_layers)
    return network


def init_output_bias_from_priors(estimator: Any, net: Net, train: FitData) -> None:
    """Let the outputs start from the shares of the classes, by ``init='auto'``."""
    drawn = not estimator._uses_class_priors or estimator.init != "auto"
    if drawn or estimator.init_from is not None:
        return
    bias = cast(torch.Tensor, list(weight_layers(net.module_))[-1].bias)
    index = slice(None) if train.rows is None else train.rows
    y, weight = train.encoded[index], train.loss_weight
    weight = np.ones(len(y)) if weight is None else weight[index]
    rows = torch.from_numpy(y), torch.from_numpy(weight)
    with torch.no_grad():
        bias.copy_(net.criterion_.prior_logits(*rows, estimator.n_outputs_))


def make_generator(
    estimator: Any,
    network: nn.Sequential,
    random_state: np.random.RandomState,
    device: torch.device,
) -> torch.Generator | None:
    """Return the generator of dropout and augmentation, where there is any."""
    drops = any(isinstance(layer, Dropout) for layer in network.modules())
    if not drops and estimator.augmentation is None:
        return None
    generator = torch_generator(random_state, device)
    seed_dropout(network, generator)
    return generator


def make_net(
    estimator: Any, network: nn.Sequential, monitor: Monitor, device: torch.device
) -> Net:
    """Return an initialised net around the network."""
    net = Net(
        network,
        estimator._make_loss(),
        solver=estimator.solver,
        make_optimizer=partial(
            make_optimizer,
            estimator.solver,
            lr=estimator.learning_rate_init,
            momentum=estimator.momentum,
            nesterov=estimator.nesterovs_momentum,
            betas=(estimator.beta_1, estimator.beta_2),
            eps=estimator.epsilon,
            params=estimator.optimizer_params,
        ),
        schedule=Schedule.for_solver(
            estimator.solver,
            estimator.learning_rate,
            learning_rate_init=estimator.learning_rate_init,
            power_t=estimator.power_t,
            step_size=estimator.step_size,
            gamma=estimator.gamma,
            warmup_epochs=estimator.warmup_epochs,
            total_epochs=estimator.max_iter,
        ),
        monitor=monitor,
        alpha=estimator.alpha,
        max_grad_norm=estimator.max_grad_norm,
        weight_averaging=estimator.weight_averaging,
        amp=estimator.amp,
        verbose=prints_epochs(estimator.verbose),
        callbacks=[clone(callback) for callback in estimator.callbacks or ()],
        max_epochs=estimator.max_iter,
        device=None,  # where the network is by now
    )
    net.initialize().device = str(device)
    return net


def train_batches(
    estimator: Any,
    train: FitData,
    net: Net,
    random_state: np.random.RandomState,
    generator: torch.Generator | None,
) -> BatchLoader:
    """Return the batches to train on."""
    rows = _rows(train, net)
    if estimator.solver == "lbfgs":
        return BatchLoader(
            rows, samples_per_chunk(widest_layer_size(net.module_, train.X.shape[1]))
        )
    augment = None
    if estimator.augmentation is not None and generator is not None:
        augment = partial(
            augment_rows, estimator.augmentation, estimator.image_shape_, generator
        )
    return BatchLoader(
        rows,
        _batch_size(estimator.batch_size, len(rows)),
        random_state if estimator.shuffle else None,
        augment,
    )


def _batch_size(batch_size: int | str, n_rows: int) -> int:
    """Return the number of rows in a batch, with scikit-learn's warning."""
    if isinstance(batch_size, str):
        return min(200, n_rows)
    if batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to "
            "be clipped",
            stacklevel=5,
        )
    return min(int(batch_size), n_rows)


def valid_batches(
    estimator: Any, valid: FitData, net: Net, beside: DeviceData | None
) -> BatchLoader:
    """Return the batches to validate on, and give the net their score.

    `beside` are the rows to train on if both are parts of one sample.
    """
    net.score = _make_score(estimator, valid, net)
    widest = widest_layer_size(net.module_.eval(), valid.X.shape[1])
    rows_on_device = (
        _rows(valid, net)
        if beside is None or valid.rows is None or not beside.shares_features
        else beside.with_indices(valid.rows)
    )
    return BatchLoader(rows_on_device, samples_per_chunk(widest))


def train_scorer(
    estimator: Any, train: FitData, net: Net, rows: DeviceData
) -> Callable[[], float]:
    """Return what scores the rows to train on by the net as it stands."""
    score = _make_score(estimator, train, net)
    widest = widest_layer_size(net.module_.eval(), train.X.shape[1])
    batches = BatchLoader(rows, samples_per_chunk(widest))

    def score_rows() -> float:
        network = net.module_.eval()
        if estimator.scoring is not None:
            return score(torch.empty(0))  # the scorer predicts by itself
        return score(torch.cat([network(x) for x, *_ in batches]))

    return score_rows


def _make_score(
    estimator: Any, sample: FitData, net: Net
) -> Callable[[torch.Tensor], float]:
    """Return what turns the logits of a sample's rows into their score."""
    if estimator.scoring is None:
        index = slice(None) if sample.rows is None else sample.rows
        encoded, weight = sample.encoded[index], sample.loss_weight
        weight = None if weight is None else weight[index]
        return lambda logits: estimator._score_logits(logits, encoded, weight)
    # The scorer sees arrays without names, by an estimator that knows none.
    scored = copy.copy(estimator)
    scored.__dict__.pop("feature_names_in_", None)
    scored.net_, scored.device_ = net, net.flat_.values.device
    scorer = check_scoring(scored, scoring=estimator.scoring)
    rows = sample.gather()
    weights = {}
    if rows.weight is not None and _takes_weights(scorer):
        weights["sample_weight"] = rows.weight
    return lambda _: float(scorer(scored, rows.X, rows.y, **weights))


def _takes_weights(scorer: Callable[..., float]) -> bool:
    """Whether weights of rows count in a score."""
    metric = getattr(scorer, "_score_func", scorer)  # scikit-learn's take them anyway
    return "sample_weight" in signature(metric).parameters


def _rows(sample: FitData, net: Net) -> DeviceData:
    """Put rows on the device of the net, once for all nets of the sample."""
    dtype, device = net.flat_.values.dtype, net.flat_.values.device
    tensors = {} if sample.tensors is None else sample.tensors
    if ("X", device, dtype) not in tensors:
        X = sample.X
        if isinstance(X, np.ndarray):
            X = on_device(X, dtype, device)
        tensors["X", device, dtype] = X
    if ("y", device, dtype) not in tensors:
        y = torch.from_numpy(sample.encoded)
        if y.is_floating_point():
            y = y.to(dtype)
        tensors["y", device, dtype] = y.to(device)
    X, y = tensors["X", device, dtype], tensors["y", device, dtype]
    return DeviceData(X, y, sample.loss_weight, dtype, device, sample.rows)
