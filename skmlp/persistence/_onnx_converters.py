"""Converters from estimators of skmlp to nodes of an ONNX graph.

A converter gets a scope of skl2onnx, which makes unique names, an operator, which has
the estimator with the names of its inputs and outputs, and a container, which takes
the nodes. torch's exporter turns a network into nodes. A new kind of network therefore
needs no converter of its own.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from skmlp.persistence._export import to_torch

Conversion = Callable[[Any, Any, Any], None]

# Version of ONNX's operators that torch's exporter writes.
_OPSET = 18

_ACTIVATIONS = {"softmax": "Softmax", "logistic": "Sigmoid", "exp": "Exp"}


class GraphWriter:
    """Adds nodes to the graph of an operator, in one dtype and with unique names."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import guess_proto_type
        from skl2onnx.proto import onnx_proto

        types = onnx_proto.TensorProto
        given = guess_proto_type(operator.inputs[0].type)
        self._scope, self._container = scope, container
        self.is_double = given == types.DOUBLE
        self.proto_type = types.DOUBLE if self.is_double else types.FLOAT
        self.dtype = np.float64 if self.is_double else np.float32
        self.X = operator.inputs[0].full_name
        if given != self.proto_type:
            self.X = self.node("Cast", self.X, to=self.proto_type)

    def node(self, kind: str, *inputs: str, output: str | None = None, **k: Any) -> str:
        """Add a node; return the name of its output."""
        if output is None:
            output = self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(
            kind, list(inputs), [output], name=name, op_version=None, **k
        )
        return output

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Add an array of numbers or strings; return its name."""
        from onnx import numpy_helper

        array = np.asarray(values, dtype or self.dtype)
        name = self._scope.get_unique_variable_name("constant")
        self._container.initializers.append(numpy_helper.from_array(array, name))
        return name

    def network(self, network: nn.Module, n_features: int) -> str:
        """Add the nodes of a torch network; return the name of its output."""
        if self._container.target_opset_any_domain("") < _OPSET:
            raise TypeError(f"Networks of skmlp need target_opset={_OPSET} or more.")
        graph = _export(network, n_features, self.is_double)
        names = {"": "", graph.input[0].name: self.X}
        for tensor in graph.initializer:
            names[tensor.name] = self._scope.get_unique_variable_name("weight")
            tensor.name = names[tensor.name]
            self._container.initializers.append(tensor)
        for node in graph.node:
            for name in node.output:
                names[name] = self._scope.get_unique_variable_name("hidden")
            node.input[:] = [names[name] for name in node.input]
            node.output[:] = [names[name] for name in node.output]
            node.name = self._scope.get_unique_operator_name(node.op_type)
            self._container.nodes.append(node)
        self._container.node_domain_version_pair_sets.add(("", _OPSET))
        return names[graph.output[0].name]


def _export(network: nn.Module, n_features: int, is_double: bool) -> Any:
    """Return the ONNX graph of a network, from samples to its output."""
    dtype = torch.float64 if is_double else torch.float32
    network = network.to(dtype)
    samples = torch.zeros(2, n_features, dtype=dtype)
    program = torch.onnx.export(
        network,
        (samples,),
        input_names=["X"],
        output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto.graph


def set_output_types(operator: Any) -> None:
    """Set types and shapes of the outputs of an operator, as skl2onnx needs them."""
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    estimator, n_samples = operator.raw_operator, operator.inputs[0].type.shape[0]
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    numbers = DoubleTensorType if is_double else FloatTensorType
    *_, output = operator.outputs
    if not is_classifier(estimator):
        n_outputs = getattr(estimator, "n_outputs_", None)
        if hasattr(estimator, "transform"):
            default = estimator.n_features_in_
            n_outputs = getattr(estimator, "_n_features_out", default)
        output.set_type(numbers([n_samples, n_outputs]))
        return
    n_classes = len(estimator.classes_)
    is_text = _stored_classes(estimator).dtype.kind == "U"
    label_shape = [n_samples, n_classes] if _is_multilabel(estimator) else [n_samples]
    label_type = StringTensorType if is_text else Int64TensorType
    operator.outputs[0].set_type(label_type(label_shape))
    output.set_type(numbers([n_samples, max(2, n_classes)]))


def convert_network(scope: Any, operator: Any, container: Any) -> None:
    """Convert a network: its logits, then their activation and the labels."""
    graph = GraphWriter(scope, operator, container)
    estimator = operator.raw_operator
    if hasattr(estimator, "inverse_transform"):  # an autoencoder
        encoder = copy.deepcopy(estimator._parts().encoder).cpu()
        codes = graph.network(encoder, estimator.n_features_in_)
        graph.node("Identity", codes, output=operator.outputs[0].full_name)
        return
    logits = graph.network(to_torch(estimator), estimator.n_features_in_)
    name = estimator.out_activation_
    if not is_classifier(estimator):
        kind = _ACTIVATIONS.get(name, "Identity")
        graph.node(kind, logits, output=operator.outputs[0].full_name)
        return
    temperature = float(getattr(estimator, "temperature_", estimator.temperature))
    scaled = logits
    if temperature != 1.0:
        scaled = graph.node("Div", logits, graph.constant(temperature))
    options = {"axis": 1} if name == "softmax" else {}
    labels, output = (variable.full_name for variable in operator.outputs[:2])
    if estimator.n_outputs_ > 1:
        graph.node(_ACTIVATIONS[name], scaled, output=output, **options)
        _write_labels(graph, estimator, logits, 0.0, labels)
        return
    positive = graph.node(_ACTIVATIONS[name], scaled)
    negative = graph.node("Sub", graph.constant(1.0), positive)
    graph.node("Concat", negative, positive, output=output, axis=1)
    zeros = graph.node("Mul", logits, graph.constant(0.0))
    both = graph.node("Concat", zeros, logits, axis=1)
    _write_labels(graph, estimator, both, 0.0, labels)


def convert_ensemble(scope: Any, operator: Any, container: Any) -> None:
    """Convert an ensemble: the average of its members' outputs, and the labels."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common.data_types import Int64TensorType

    graph = GraphWriter(scope, operator, container)
    estimator, predicted = operator.raw_operator, []
    for member in estimator.estimators_:
        alias = sklearn_operator_name_map[type(member)]
        of_member = scope.declare_local_operator(alias, member)
        of_member.inputs = operator.inputs
        if is_classifier(estimator):
            label = scope.declare_local_variable("label", Int64TensorType())
            of_member.outputs.append(label)
        kind = operator.outputs[-1].type.__class__()
        variable = scope.declare_local_variable("predicted", kind)
        of_member.outputs.append(variable)
        predicted.append(variable.full_name)
    total = graph.node("Sum", *predicted)
    count = graph.constant(float(len(predicted)))
    average = graph.node("Div", total, count)
    output = operator.outputs[-1].full_name
    if is_classifier(estimator):
        _write_labels(graph, estimator, average, 0.5, operator.outputs[0].full_name)
    temperature = getattr(estimator, "temperature_", 1.0)
    if temperature == 1.0:
        graph.node("Identity", average, output=output)
        return
    smallest = graph.constant(np.finfo(graph.dtype).tiny)
    logits = graph.node("Log", graph.node("Max", average, smallest))
    multilabel = _is_multilabel(estimator)
    if multilabel:
        others = graph.node("Sub", graph.constant(1.0), average)
        logs = graph.node("Log", graph.node("Max", others, smallest))
        logits = graph.node("Sub", logits, logs)
    scaled = graph.node("Div", logits, graph.constant(temperature))
    options = {} if multilabel else {"axis": 1}
    graph.node("Sigmoid" if multilabel else "Softmax", scaled, output=output, **options)


def convert_pixel_scaler(scope: Any, operator: Any, container: Any) -> None:
    """Convert a `PixelScaler`."""
    graph = GraphWriter(scope, operator, container)
    divisor, low = operator.raw_operator._divisor_and_low()
    scaled = graph.node("Div", graph.X, graph.constant(divisor))
    output = operator.outputs[0].full_name
    graph.node("Add", scaled, graph.constant(low), output=output)


def convert_pixel_standardizer(scope: Any, operator: Any, container: Any) -> None:
    """Convert a `PixelStandardizer`; samples are flat, also those of images."""
    graph = GraphWriter(scope, operator, container)
    estimator, output = operator.raw_operator, operator.outputs[0].full_name
    if estimator._fitted_scope != "image":
        shift, scale = estimator._shift_and_scale(np.dtype(np.float64))
        centered = graph.node("Sub", graph.X, graph.constant(shift.ravel()))
        graph.node("Div", centered, graph.constant(scale.ravel()), output=output)
        return
    reduce_mean = partial(graph.node, "ReduceMean")
    axes = graph.constant([1], np.int64)
    mean = reduce_mean(graph.X, axes, keepdims=1)
    deviations = graph.node("Sub", graph.X, mean)
    squares = graph.node("Mul", deviations, deviations)
    deviation = graph.node("Sqrt", reduce_mean(squares, axes, keepdims=1))
    # An image of one value has no spread; its divisor is 1.
    zero = graph.constant(1e-6)
    constant = graph.node("Less", deviation, zero)
    scale = graph.node("Where", constant, graph.constant(1.0), deviation)
    centered = deviations if estimator.with_mean else graph.X
    divisor = scale if estimator.with_std else graph.constant(1.0)
    graph.node("Div", centered, divisor, output=output)


def _write_labels(
    graph: GraphWriter, estimator: Any, values: str, threshold: float, output: str
) -> None:
    """Add the labels of the largest values, or of those above the threshold."""
    from skl2onnx.proto import onnx_proto

    if _is_multilabel(estimator):
        above = graph.node("Greater", values, graph.constant(threshold))
        integer = onnx_proto.TensorProto.INT64
        graph.node("Cast", above, to=integer, output=output)
        return
    classes = _stored_classes(estimator)
    if len(classes) == 1:  # `predict` knows this class only
        values = graph.node("Gather", values, graph.constant([0], np.int64), axis=1)
    best = graph.node("ArgMax", values, axis=1, keepdims=0)
    is_text = classes.dtype.kind == "U"
    names = graph.constant(classes, object if is_text else np.int64)
    graph.node("Gather", names, best, output=output, axis=0)


def _is_multilabel(estimator: Any) -> bool:
    """Return whether a sample may have several labels."""
    of_ensemble = getattr(estimator, "_multilabel", False)
    return of_ensemble or estimator._target_type == "multilabel-indicator"


def _stored_classes(estimator: Any) -> np.ndarray:
    """Return the classes as strings or integers, which ONNX has as labels."""
    classes = np.asarray(estimator.classes_)
    if classes.dtype.kind in "biu":
        return classes.astype(np.int64)
    if classes.dtype.kind == "f" and (classes == np.rint(classes)).all():
        return classes.astype(np.int64)
    if classes.dtype.kind == "U" or all(isinstance(c, str) for c in classes):
        return classes.astype(str)
    raise TypeError(
        f"The labels have dtype {classes.dtype}, but ONNX has strings or integers; "
        "encode y before fit."
    )
