"""Where TFLite has an int8 tensor of its own, and which of them share a scale, told from the graph of a flat model."""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import layers

from edgekit.compression.graph import Graph, Node
from edgekit.models.fake_quant import PASSING, QUANTIZED

# What one operator of TFLite computes together with a ReLU behind it.
WITH_RELU = (*QUANTIZED, layers.Add, layers.Subtract, layers.Multiply, layers.Rescaling)
# Operators whose inputs and output all have one scale.
JOINING = (layers.Concatenate, layers.Maximum, layers.Minimum)
# The range that TFLite prescribes for what these functions give (its quantization specification).
PRESCRIBED = {
    keras.activations.sigmoid: (0.0, 255 / 256),
    keras.activations.softmax: (0.0, 255 / 256),
    keras.activations.tanh: (-1.0, 127 / 128),
}


class Points:
    """The int8 tensors of a flat model that was built as a functional one."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def fused(self, node: Node) -> bool:
        """Whether one operator computes this node together with the one before it."""
        before = self.graph.producer(node.inputs[0]) if len(node.inputs) == 1 else None
        if before is None or self.graph.only_consumer(node.inputs[0]) != node:
            return False
        if isinstance(node.layer, layers.BatchNormalization):
            return isinstance(before.layer, tuple(QUANTIZED))
        normalized = isinstance(before.layer, layers.BatchNormalization) and self.fused(before)
        return _is_relu(node.layer) and (isinstance(before.layer, WITH_RELU) or normalized)

    def first(self, node: Node) -> Node:
        """The first node of those that one operator computes: what it is named after."""
        while self.fused(node):
            before = self.graph.producer(node.inputs[0])
            assert before is not None
            node = before
        return node

    def rounds(self, node: Node) -> bool:
        """Whether the node's output is an int8 tensor of other values than its input's."""
        if len(node.outputs) != 1:
            return False
        after = self.graph.only_consumer(node.output)
        rounds = averages(node) or not isinstance(node.layer, PASSING)
        return rounds and not (after is not None and self.fused(after))

    @functools.cached_property
    def sharing(self) -> dict[int, frozenset[int]]:
        """Tensor -> all those, itself among them, whose range is one and the same, for those that have such company."""
        groups: dict[int, frozenset[int]] = {}
        for node in self.graph.nodes:
            if isinstance(node.layer, JOINING):
                found = [self._origin(tensor) for tensor in node.inputs]
                free = [tensor for tensor in found if prescribed(self.graph.producer(tensor)) is None]
                group = frozenset[int]().union(*(groups.get(t, {t}) for t in (*free, node.output)))
                groups.update(dict.fromkeys(group, group))
        return groups

    def _origin(self, tensor: int) -> int:
        """The tensor that this one has its codes from, through pooling and reshaping."""
        node = self.graph.producer(tensor)
        while node is not None and isinstance(node.layer, PASSING):
            tensor = node.inputs[0]
            node = self.graph.producer(tensor)
        return tensor


def prescribed(node: Node | None) -> tuple[float, float] | None:
    """The range of a node's output where TFLite prescribes one."""
    if node is not None and isinstance(node.layer, layers.Softmax):
        return PRESCRIBED[keras.activations.softmax]
    return PRESCRIBED.get(getattr(node.layer, "activation", None)) if node else None


def averages(node: Node | None) -> bool:
    """Average pooling: it rounds, to the codes of its input."""
    return node is not None and isinstance(node.layer, layers.AveragePooling2D)


def _is_relu(layer: Any) -> bool:
    """ReLU and ReLU6, which TFLite computes with the operator before them."""
    plain = isinstance(layer, layers.ReLU) and not layer.negative_slope and not layer.threshold
    return plain and layer.max_value in (None, 6)
