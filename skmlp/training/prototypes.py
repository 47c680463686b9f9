"""Prototypes of nets: many nets with networks of the same structure are made quickly.

The constructors of torch and the set-up of skorch take longer than an epoch of a small
network. A search needs them once for each fold.
"""

from torch import nn

from skmlp.training.modules.introspection import known_modules
from skmlp.training.modules.layers import Dropout
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
    """Makes copies of the network of a net.

    Parameters
    ----------
    net : Net
        Initialized, not trained yet, and without callbacks of the user. All parameters
        of its network are trainable. The prototype has its own copy of the network, so
        later changes of the net have no effect.

    Attributes
    ----------
    has_parameters_only : bool
        Whether the network holds nothing else that training reads or changes: no
        running statistics, and no generators of dropout.
    registers : dict of str to object
        The attributes of the net in which skorch registers modules and optimizers.
    """

    def __init__(self, net: Net) -> None:
        self._flat = net.flat_.copy()
        self._network = net.flat_.copy_modules(net.module_, self._flat)
        self.registers = {name: vars(net)[name] for name in _REGISTERS}
        self.has_parameters_only = not any(
            module._buffers or isinstance(module, Dropout)
            for module in self._network.modules()
        )

    @classmethod
    def of(cls, net: Net) -> "NetPrototype | None":
        """Return a prototype, or None if its copies could differ from the network."""
        has_frozen = any(not p.requires_grad for p in net.module_.parameters())
        if has_frozen or net.user_callbacks() or known_modules(net.module_) is None:
            return None
        return cls(net)

    def copy(self) -> "CopiedNetwork":
        """Return a copy of the network, whose weights have to be drawn again."""
        return CopiedNetwork(self, self._flat.copy())

    def copy_modules(self, flat: FlatParameters) -> nn.Module:
        """Return the network with the parameters of a copy."""
        return self._flat.copy_modules(self._network, flat)


class CopiedNetwork:
    """A copy of the network of a prototype.

    Attributes
    ----------
    flat : FlatParameters
        Its parameters.
    """

    def __init__(self, prototype: NetPrototype, flat: FlatParameters) -> None:
        self._prototype = prototype
        self._network: nn.Module | None = None
        self.flat = flat

    @property
    def network(self) -> nn.Module:
        """The modules, which are made when they are first read."""
        if self._network is None:
            self._network = self._prototype.copy_modules(self.flat)
        return self._network

    def set_up(self, net: Net) -> None:
        """Set up a net of this network, as ``net.initialize`` does.

        If the module of the net is None, the modules are made when they are first read.
        """
        attributes = net.__dict__
        for name, register in self._prototype.registers.items():
            attributes[name] = register.copy()
        net.callbacks_ = [
            (name, callback.initialize()) for name, callback in net._default_callbacks
        ]
        if net.module is None:
            net.defer_network(lambda: self.network.eval())
        else:
            attributes["module_"] = net.module
        net.initialize_criterion()
        attributes.update(flat_=self.flat, optimizer_=net.make_optimizer(self.flat))
        net.set_rate_factors()
        net.initialize_history()
        net.initialized_ = True
