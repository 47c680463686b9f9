"""A snapshot of a net, from which a failed fit restores it."""

from skmlp.training.modules.introspection import reference_parameter
from skmlp.training.modules.layers import set_dropout_generator
from skmlp.training.net import Net
from skmlp.training.snapshot import AttributeSnapshot


class NetSnapshot:
    """Weights, optimizer state, schedule, monitor, history and attributes of a net.

    A restored net can predict, and training can continue.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._device = reference_parameter(net.module_).device
        self._weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
        self._optimizer_state = net.copy_optimizer_state()
        owners = (net, net.schedule, net.monitor)
        self._attributes = [AttributeSnapshot(owner) for owner in owners]
        # Training only appends to these lists, so their lengths are enough.
        curves = (net.monitor.loss_curve, net.monitor.validation_scores, net.history)
        self._lengths = [(curve, len(curve)) for curve in curves]
        self._bests = net.bests_.copy()

    def restore(self) -> None:
        """Undo all training since the snapshot."""
        net = self._net
        for attributes in self._attributes:
            attributes.restore()
        net.module_.load_state_dict(self._weights)
        net.module_.to(self._device).eval()
        set_dropout_generator(net.module_, None)
        net.drop_optimizer(self._optimizer_state)
        net.bests_ = self._bests
        for curve, length in self._lengths:
            del curve[length:]
