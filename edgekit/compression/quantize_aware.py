"""The fake-quantized model: what a model computes once it is int8, as a Keras model that can be trained.

Every tensor that TFLite will hold as int8 is rounded, and no other: a convolution, the batch normalization and the ReLU
behind it are one operator there, and so are an addition and its ReLU; pooling and reshaping keep the scale of their
input. Batch normalization needs no folding by hand: rounding per channel commutes with its factor per channel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from keras import layers

from edgekit.compression.fold import norm_factors
from edgekit.compression.graph import Graph, Node, clone, graph_of, matching, rebuilt
from edgekit.compression.lower import lower
from edgekit.compression.points import PRESCRIBED, Points, averages, prescribed
from edgekit.compression.step import Note, Stepped
from edgekit.errors import BadInput
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import observe_taps
from edgekit.exporting.freeze import freeze
from edgekit.models.fake_quant import (
    QUANTIZED,
    ROUNDED,
    FakeQuantize,
    QuantizedBatchNormalization,
    is_fake_quantized,
)
from edgekit.models.head import move_weights


def prepare(
    model: Any,
    calibration: Calibration,
    *,
    weight_bits: int = 8,
    eight_bits: Collection[str] | None = None,
    exclude: Collection[str] = (),
    batch_norm: Literal["frozen", "live"] = "frozen",
) -> Stepped:
    """The fake-quantized model of a functional or sequential one, its ranges those of the calibration samples.

    Without training it answers as the int8 file of the model does. `exclude`: names, or patterns of names, of layers
    that stay float; `eight_bits`: of those whose weights have 8 bits where the others have 4; None: the first and the
    last one, and the depthwise ones, whose 4 bits would cost the most and save the least. With `batch_norm` frozen the
    normalizations keep their statistics, scale and shift; one that follows no convolution always does. The model is
    lowered first (`lower`), its layers keep their names. Raises BadInput: no graph of layers; fake-quantized already; a
    layer with weights of a kind that cannot be rounded, unless it is excluded; a pattern that fits no layer.
    """
    if is_fake_quantized(model):
        raise BadInput(f"{model.name} is fake-quantized already.", "Give the float model it was made from.")
    lowered = lower(model)
    graph = graph_of(lowered.model)
    float_layers = {Points(graph).first(node).layer.name for node in matching(graph, exclude)}
    _check_kinds(graph, float_layers)
    plain = _standalone(lowered.model, float_layers)
    stay = _best_in_8(plain) if eight_bits is None else {node.layer.name for node in matching(graph, eight_bits)}
    placing = _Placing(plain, _Wanted(float_layers, weight_bits, stay, batch_norm))
    placed = placing.model
    _observe(placed, placing.sharing, calibration)
    points = [layer for layer in placed.layers if isinstance(layer, FakeQuantize)]
    rounded = [layer for layer in placed.layers if isinstance(layer, ROUNDED)]
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


def _best_in_8(model: Any) -> set[str]:
    weighted = [node.layer for node in graph_of(model).nodes if type(node.layer) in QUANTIZED]
    depthwise = {layer.name for layer in weighted if isinstance(layer, layers.DepthwiseConv2D)}
    return depthwise | {layer.name for layer in (*weighted[:1], *weighted[-1:])}


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
    layer, channels = node.layer, graph.shapes[node.output][-1] or 1
    if isinstance(layer, layers.BatchNormalization) and not Points(graph).fused(node):
        factor, shift = norm_factors(layer)
        return factor.astype(np.float32), shift.astype(np.float32)
    if not isinstance(layer, layers.Rescaling):
        return None
    scale, offset = np.asarray(layer.scale, np.float32), np.asarray(layer.offset, np.float32)
    single = scale.size == offset.size == 1 and (np.all(scale == 1) or np.all(offset == 0))
    whole = np.ones(channels, np.float32)
    return None if single else (whole * scale, whole * offset)


# ---- int8 -----------------------------------------------------------------------------------------------------------


class _Placing:
    """The model with its weights rounded and a FakeQuantize behind every int8 tensor."""

    def __init__(self, model: Any, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._graph = graph_of(model)
        self._points = Points(self._graph)
        self._made: dict[int, Any] = {}  # by the id of the layer whose place it takes
        self._names: dict[int, str] = {}  # of the FakeQuantize, by tensor
        self.model = rebuilt(model, self._call, enter=self._enter)

    @property
    def sharing(self) -> set[frozenset[str]]:
        """Names of those FakeQuantize whose ranges are one."""
        groups = {frozenset(self._names[tensor] for tensor in group) for group in self._points.sharing.values()}
        return {group for group in groups if len(group) > 1}

    def _call(self, node: Node, tensors: list[Any]) -> Any:
        y = self._layer(node, tensors)
        if not self._points.rounds(node):
            return y
        earlier = sum(1 for one in self._graph.nodes[: self._graph.nodes.index(node)] if one.layer is node.layer)
        name = f"{node.layer.name}_call{earlier}" if earlier else node.layer.name
        return self._rounded(y, node.output, node, name, self._points.first(node).layer.name)

    def _enter(self, x: Any, tensor: int) -> Any:
        return self._rounded(x, tensor, None, x.name, x.name)

    def _rounded(self, x: Any, tensor: int, node: Node | None, name: str, source: str) -> Any:
        given = prescribed(node)
        point = FakeQuantize(
            source,
            self._wanted.bits(source),
            passes=self._passes(tensor, node),
            left_float=self._is_float(node),
            fixed=node is None or given is not None or len(self._points.sharing.get(tensor, ())) > 1,
            follows=averages(node),
            name=f"{name}_int8",
        )
        self._names[tensor] = point.name
        y = point(x)
        if given is not None:
            point.set_range(*given)
        return y

    def _is_float(self, node: Node | None) -> bool:
        return node is not None and self._points.first(node).layer.name in self._wanted.float_layers

    def _passes(self, tensor: int, node: Node | None) -> bool:
        """Nobody reads or writes it as int8."""
        readers = self._graph.consumers(tensor)
        return (node is None or self._is_float(node)) and all(map(self._is_float, readers))

    def _layer(self, node: Node, tensors: list[Any]) -> Any:
        """The output of the node's layer, or of what takes its place; one that is called again is the same one."""
        layer = node.layer
        if id(layer) in self._made:
            return node.apply(self._made[id(layer)], tensors)
        new = self._made[id(layer)] = self._exchanged(layer, self._is_float(node))
        y = node.apply(new, tensors)
        move_weights(layer, new)
        if isinstance(layer, layers.BatchNormalization) and self._wanted.batch_norm == "frozen":
            new.trainable = False
        return y

    def _exchanged(self, layer: Any, is_float: bool) -> Any:
        if not is_float and isinstance(layer, layers.BatchNormalization):
            return QuantizedBatchNormalization.from_config(layer.get_config())
        if is_float or type(layer) not in QUANTIZED:
            return clone(layer)
        bits = self._wanted.bits(layer.name)
        return QUANTIZED[type(layer)].from_config({**layer.get_config(), "weight_bits": bits})


def _observe(model: Any, sharing: Iterable[frozenset[str]], calibration: Calibration) -> None:
    """Sets every range that is not prescribed to that of the calibration samples (`exporting.calibration`)."""
    ranges = observe_taps(freeze(model, softmax=False), calibration)
    for group in sharing:
        low, high = (end(ranges[name][place] for name in group) for place, end in enumerate((min, max)))
        ranges.update(dict.fromkeys(group, (low, high)))
    for layer in model.layers:
        if layer.name in ranges and not (layer.fixed and layer.get_range() in PRESCRIBED.values()):
            layer.set_range(*ranges[layer.name])
