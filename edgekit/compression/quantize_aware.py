"""The fake-quantized model: what a model computes once it is int8, as a Keras model that can be trained.

Every tensor that TFLite will hold as int8 is rounded, and no other: a convolution, the batch normalization and the ReLU
behind it are one operator there, and so are an addition and its ReLU; pooling and reshaping keep the scale of their
input. Batch normalization needs no folding by hand: rounding per channel commutes with its factor per channel.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from edgekit.compression.graph import Graph, Node, clone, graph_of, rebuilt
from edgekit.compression.lower import lower
from edgekit.compression.step import Note, Stepped
from edgekit.errors import BadInput, unknown
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import observe_taps
from edgekit.exporting.freeze import freeze
from edgekit.models.fake_quant import (
    PASSING,
    QUANTIZED,
    FakeQuantize,
    QuantizedBatchNormalization,
    is_fake_quantized,
)
from edgekit.models.head import move_weights

# What one operator of TFLite computes together with a ReLU behind it.
WITH_RELU = (*QUANTIZED, layers.Add, layers.Subtract, layers.Multiply, layers.Rescaling)
# The range that TFLite prescribes for what these functions give (its quantization specification).
FIXED = {
    keras.activations.sigmoid: (0.0, 255 / 256),
    keras.activations.softmax: (0.0, 255 / 256),
    keras.activations.tanh: (-1.0, 127 / 128),
}


def prepare(
    model: Any,
    calibration: Calibration,
    *,
    weight_bits: int = 8,
    eight_bits: Collection[str] = (),
    exclude: Collection[str] = (),
    batch_norm: Literal["frozen", "live"] = "frozen",
) -> Stepped:
    """The fake-quantized model of a functional or sequential one, its ranges those of the calibration samples.

    Without training it answers as the int8 file of the model does. `exclude`: names, or patterns of names, of layers
    that stay float; `eight_bits`: of those whose weights have 8 bits where the others have 4. With `batch_norm` frozen
    the normalizations keep their statistics, scale and shift; one that follows no convolution always does. The model is
    lowered first (`lower`), its layers keep their names. Raises BadInput: no graph of layers; fake-quantized already; a
    layer with weights of a kind that cannot be rounded, unless it is excluded; a pattern that fits no layer.
    """
    if is_fake_quantized(model):
        raise BadInput(f"{model.name} is fake-quantized already.", "Give the float model it was made from.")
    lowered = lower(model)
    graph = graph_of(lowered.model)
    float_layers = {_first(graph, node).layer.name for node in _matching(graph, exclude)}
    _check_kinds(graph, float_layers)
    plain = _standalone(lowered.model, float_layers)
    stay = {node.layer.name for node in _matching(graph, eight_bits)}
    placed = _placed(plain, _Wanted(float_layers, weight_bits, stay, batch_norm))
    _observe(placed, calibration)
    points = [layer for layer in placed.layers if isinstance(layer, FakeQuantize)]
    rounded = [layer for layer in placed.layers if isinstance(layer, tuple(QUANTIZED.values()))]
    skipped = [Note(name, "excluded: it stays float") for name in sorted(float_layers)]
    return Stepped(
        placed,
        (*lowered.done, *_said(rounded)),
        (*lowered.skipped, *skipped),
        {"activations": len(points), "layers": len(rounded), "float_layers": sorted(float_layers)},
    )


@dataclass(frozen=True)
class _Wanted:
    float_layers: Collection[str]
    weight_bits: int
    eight_bits: Collection[str]
    batch_norm: str

    def bits(self, name: str) -> int:
        return 8 if name in self.eight_bits else self.weight_bits


def _said(rounded: Iterable[Any]) -> list[Note]:
    return [Note(layer.name, f"weights of {layer.weight_bits} bits") for layer in rounded]


def _matching(graph: Graph, patterns: Collection[str]) -> list[Node]:
    """The nodes whose names a pattern fits. Raises BadInput for one that fits none."""
    names = [node.layer.name for node in graph.nodes]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise unknown("layer", pattern, names)
    return [node for node in graph.nodes if any(fnmatch.fnmatch(node.layer.name, one) for one in patterns)]


def _check_kinds(graph: Graph, float_layers: Collection[str]) -> None:
    """Raises BadInput for weights of the user's own layers: what the file makes of them is not known here."""
    for node in graph.nodes:
        layer = node.layer
        own = isinstance(layer, layers.Layer) and not type(layer).__module__.startswith("keras.")
        if own and layer.weights and layer.name not in float_layers:
            raise BadInput(
                f"The layer {layer.name!r} ({type(layer).__name__}) is not Keras's: its weights cannot be "
                "fake-quantized.",
                f"Exclude it (exclude: [{layer.name}]): it then stays float.",
            )


# ---- what follows no convolution ------------------------------------------------------------------------------------


def _standalone(model: Any, float_layers: Collection[str]) -> Any:
    """The same model, each normalization and each scale per channel that no convolution can take in as a depthwise
    convolution of 1x1 with a bias, which is one int8 operator; where there is no map, as a scale and a shift."""
    graph = graph_of(model)

    def call(node: Node, tensors: list[Any]) -> Any:
        found = None if node.layer.name in float_layers else _factors(graph, node)
        if found is None:
            return None
        scale, offset = found
        x, name = tensors[0], node.layer.name
        if len(x.shape) == 4:
            made = layers.DepthwiseConv2D(1, name=name)
            y = made(x)
            made.set_weights([scale.reshape(1, 1, -1, 1), offset])
            return y
        x = layers.Rescaling(scale, name=f"{name}_scale")(x)
        return layers.Rescaling(1.0, offset, name=name)(x)

    return rebuilt(model, call)


def _factors(graph: Graph, node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """float32 (scale [C], offset [C]) of a layer that is to be exchanged."""
    layer, channels = node.layer, graph.shapes[node.output][-1]
    if isinstance(layer, layers.BatchNormalization) and not _fused(graph, node):
        return _norm_factors(layer)
    if not isinstance(layer, layers.Rescaling):
        return None
    scale, offset = np.asarray(layer.scale, np.float32), np.asarray(layer.offset, np.float32)
    single = scale.size == offset.size == 1 and (np.all(scale == 1) or np.all(offset == 0))
    return None if single else (np.broadcast_to(scale, channels).copy(), np.broadcast_to(offset, channels).copy())


def _norm_factors(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = (np.asarray(layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    offset = (np.asarray(layer.beta) if layer.center else 0.0) - mean * scale
    return np.asarray(scale, np.float32), np.asarray(offset, np.float32)


# ---- where TFLite has an int8 tensor --------------------------------------------------------------------------------


def _fused(graph: Graph, node: Node) -> bool:
    """Whether one operator computes this node together with the one before it."""
    before = graph.producer(node.inputs[0]) if len(node.inputs) == 1 else None
    if before is None or graph.only_consumer(node.inputs[0]) != node:
        return False
    if isinstance(node.layer, layers.BatchNormalization):
        return isinstance(before.layer, tuple(QUANTIZED))
    if not _is_relu(node.layer):
        return False
    return isinstance(before.layer, WITH_RELU) or (
        isinstance(before.layer, layers.BatchNormalization) and _fused(graph, before)
    )


def _is_relu(layer: Any) -> bool:
    """ReLU and ReLU6, which TFLite computes with the operator before them."""
    plain = isinstance(layer, layers.ReLU) and not layer.negative_slope and not layer.threshold
    return plain and layer.max_value in (None, 6)


def _first(graph: Graph, node: Node) -> Node:
    """The first node of those that one operator computes: what it is named after."""
    while _fused(graph, node):
        before = graph.producer(node.inputs[0])
        assert before is not None
        node = before
    return node


def _held(graph: Graph, node: Node) -> bool:
    """Whether the node's output is an int8 tensor of other values than those of its input."""
    after = graph.only_consumer(node.output)
    averages = isinstance(node.layer, layers.AveragePooling2D)  # rounds, to the codes of its input
    return (averages or not isinstance(node.layer, PASSING)) and not (after is not None and _fused(graph, after))


def _placed(model: Any, wanted: _Wanted) -> Any:
    """The model with its weights rounded and a FakeQuantize behind every int8 tensor."""
    graph = graph_of(model)
    made: dict[int, Any] = {}

    def is_float(node: Node | None) -> bool:
        return node is not None and _first(graph, node).layer.name in wanted.float_layers

    def passes(tensor: int, node: Node | None) -> bool:
        """Nobody reads it as int8."""
        readers = graph.consumers(tensor)
        return (is_float(node) or node is None) and all(map(is_float, readers)) and bool(readers or node)

    def behind(x: Any, tensor: int, node: Node | None, name: str) -> Any:
        source = _first(graph, node).layer.name if node else name
        function = getattr(node.layer, "activation", None) if node else None
        function = keras.activations.softmax if node and isinstance(node.layer, layers.Softmax) else function
        point = FakeQuantize(
            source,
            wanted.bits(source),
            passes=passes(tensor, node),
            left_float=is_float(node),
            fixed=node is None or function in FIXED,
            follows=node is not None and isinstance(node.layer, layers.AveragePooling2D),
            name=f"{name}_int8",
        )
        y = point(x)
        point.set_range(*FIXED.get(function, (-1.0, 1.0)))
        return y

    def call(node: Node, tensors: list[Any]) -> Any:
        y = _layer(node, tensors, wanted, is_float(node), made)
        number = sum(1 for one in graph.nodes[: graph.nodes.index(node)] if one.layer is node.layer)
        name = f"{node.layer.name}_call{number}" if number else node.layer.name
        return behind(y, node.output, node, name) if len(node.outputs) == 1 and _held(graph, node) else y

    def enter(x: Any, tensor: int) -> Any:
        return behind(x, tensor, None, x.name)

    return rebuilt(model, call, enter=enter)


def _layer(node: Node, tensors: list[Any], wanted: _Wanted, is_float: bool, made: dict[int, Any]) -> Any:
    """The output of the node's layer, or of the one that takes its place; one that is called again is the same one."""
    layer = node.layer
    if id(layer) in made:
        return node.apply(made[id(layer)], tensors)
    norm = isinstance(layer, layers.BatchNormalization)
    if is_float or not (norm or type(layer) in QUANTIZED):
        new = clone(layer)
    elif norm:
        new = QuantizedBatchNormalization.from_config(layer.get_config())
    else:
        new = QUANTIZED[type(layer)].from_config({**layer.get_config(), "weight_bits": wanted.bits(layer.name)})
    made[id(layer)] = new
    y = node.apply(new, tensors)
    move_weights(layer, new)
    if norm and wanted.batch_norm == "frozen":
        new.trainable = False
    return y


def _observe(model: Any, calibration: Calibration) -> None:
    """Sets every range that is not prescribed to that of the calibration samples (`exporting.calibration`)."""
    ranges: Mapping[str, tuple[float, float]] = observe_taps(freeze(model, softmax=False), calibration)
    for layer in model.layers:
        if layer.name in ranges and not (layer.fixed and layer.get_range() in FIXED.values()):
            layer.set_range(*ranges[layer.name])
