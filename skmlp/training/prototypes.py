"""Prototypes of nets: many nets with networks of the same structure are made quickly.

The constructors of torch and the set-up of skorch take longer than an epoch of a small
network. A search needs them once for all candidates and folds.
"""

from torch import nn

from skmlp.training.modules.introspection import known_modules
from skmlp.training.net import Net
from skmlp.training.optimizers.flat_parameters import FlatParameters

# The attributes in which skorch registers the modules and optimizers of a net.
_REGISTERS = (
    "_modules",
    "_criteria",
    "_optimizers",
    "prefixes_",
    "cuda_dependent_attributes_",
    "virtual_params_",
)


class NetPrototype:
    """Makes copies of the network of a net, and sets up the nets of the copies.

    Parameters
    ----------
    net : Net
        Initialized, not trained yet, and without callbacks of the user. All parameters
        of its network are trainable. The prototype has its own copy of the network, so
        later changes of the net have no effect.
    """

    def __init__(self, net: Net) -> None:
        self._network, self._flat = net.flat_.copy_network(net.module_)
        self._registers = {name: vars(net)[name] for name in _REGISTERS}

    @classmethod
    def of(cls, net: Net) -> "NetPrototype | None":
        """Return a prototype, or None if its copies could differ from the network."""
        has_frozen = any(not p.requires_grad for p in net.module_.parameters())
        if has_frozen or net.user_callbacks() or known_modules(net.module_) is None:
            return None
        return cls(net)

    def copy(self) -> "CopiedNetwork":
        """Return a copy of the network, whose weights have to be drawn again."""
        return CopiedNetwork(self, *self._flat.copy_network(self._network))

    def set_up(self, net: Net, flat: FlatParameters) -> None:
        """Do what ``net.initialize`` does, for the copy of a network."""
        attributes = net.__dict__
        for name, register in self._registers.items():
            attributes[name] = register.copy()
        net.callbacks_ = [
            (name, callback.initialize()) for name, callback in net._default_callbacks
        ]
        attributes["module_"] = net.module
        net.initialize_criterion()
        attributes.update(flat_=flat, optimizer_=net.make_optimizer(flat))
        net.set_rate_factors()
        net.initialize_history()
        net.initialized_ = True


class CopiedNetwork:
    """A copy of the network of a prototype.

    Attributes
    ----------
    network : nn.Module
    flat : FlatParameters
        Its parameters.
    """

    def __init__(
        self, prototype: NetPrototype, network: nn.Module, flat: FlatParameters
    ) -> None:
        self._prototype = prototype
        self.network = network
        self.flat = flat

    def set_up(self, net: Net) -> None:
        """Set up a net of this network, as ``net.initialize`` does."""
        self._prototype.set_up(net, self.flat)
