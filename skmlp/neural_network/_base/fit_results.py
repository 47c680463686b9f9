"""Check the result of a training and set the fitted attributes."""

import copy
import math
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skmlp._warnings import warn
from skmlp.neural_network._base.pickling import PickledNetwork
from skmlp.training.modules.introspection import weight_layers
from skmlp.training.modules.layers import set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.run import TrainingRun

# scikit-learn's sentence.
_NON_FINITE_WEIGHTS = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed."
)


class TrainedNetwork(PickledNetwork):
    """Turns a trained run into a fitted estimator; not for direct use."""

    # Hooks of the estimators

    def _describe_target_scale(self, y: Tensor) -> str:
        """Return how large the targets are, for an error text."""
        return ""

    def _check_trained_run(self, run: TrainingRun, incremental: bool) -> None:
        """Raise an error or warn if the training of a run has failed."""
        self._raise_if_diverged(run)
        self._warn_if_not_converged(run.net, incremental)
        # The sum of finite weights is mostly finite, and takes less time.
        values = run.flat.values
        if not math.isfinite(values.sum()) and not torch.isfinite(values).all():
            raise ValueError(_NON_FINITE_WEIGHTS)

    def _raise_if_diverged(self, run: TrainingRun) -> None:
        """Raise an error if the loss became non-finite, or warn if a best epoch exists.

        Both texts give possible reasons. The error ends with scikit-learn's sentence.
        """
        if not run.diverged:
            return
        data, net = run.train_loader.data, run.net
        targets = "" if data.y is None else self._describe_target_scale(data.y)
        reasons = (
            "lower learning_rate_init or scale X (its values reach "
            f"{data.max_abs():g}){targets}."
        )
        if run.error is not None:  # its text is the number of the epoch
            raise ValueError(
                f"Training loss became non-finite at epoch {run.error}; {reasons} "
                f"{_NON_FINITE_WEIGHTS}"
            )
        warn(
            f"Training loss became non-finite at epoch {net.epochs_}. Training ended, "
            f"and the network has the weights of epoch {net.monitor.best_epoch}, which "
            f"has the best validation score; {reasons}",
            ConvergenceWarning,
        )

    def _warn_if_not_converged(self, net: Net, incremental: bool) -> None:
        """Warn if the maximum number of epochs was reached, as scikit-learn does.

        `partial_fit` warns instead if the learning rate schedule has ended.
        """
        schedule = net.schedule
        is_done = net.converged_ or schedule.has_planned_end or self.solver == "lbfgs"
        if not is_done and not incremental:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        if incremental and schedule.is_past_planned_end:
            warn(
                f"learning_rate={schedule.name!r} is planned for max_iter="
                f"{schedule.total_epochs} epochs, which have passed: partial_fit "
                "learns next to nothing more; set a larger max_iter."
            )

    def _set_fitted_attributes(self, net: Net) -> None:
        """Set the fitted attributes; with 'lbfgs', `_train` has set two of them."""
        monitor = net.monitor
        set_dropout_generator(net.module_, None)  # the generator is not stored
        self.net_, self._monitor = net, monitor
        self.device_ = torch.device(net.device)
        self.callbacks_ = [callback for _, callback in net.user_callbacks()]
        self.history_ = net.history
        self.n_layers_ = len(list(weight_layers(net.module_))) + 1
        self.n_parameters_ = sum(
            p.numel() for p in net.module_.parameters() if p.requires_grad
        )
        self.out_activation_ = net.criterion_.output_activation
        self.t_ = monitor.samples_seen
        if self.solver == "lbfgs":
            return
        scores = monitor.validation_scores
        self.n_iter_ = net.epochs_
        self.loss_curve_ = monitor.loss_curve
        self.loss_ = monitor.loss_curve[-1] if monitor.loss_curve else np.inf
        self.best_loss_ = None if self.early_stopping else monitor.best_loss
        self.validation_scores_ = scores or None
        self.best_validation_score_ = monitor.best_validation_score if scores else None
        self.best_epoch_ = monitor.best_epoch

    def _attributes_of_unfinished_fit(self, net: Net) -> dict[str, Any]:
        """Return the attributes that `fit` would set if it ended now."""
        fitted = copy.copy(self)
        copied = net.copy_for_prediction()
        fitted._set_fitted_attributes(copied)
        copied.release()
        attributes = {k: v for k, v in vars(fitted).items() if k.endswith("_")}
        return attributes | {"_monitor": fitted._monitor}
