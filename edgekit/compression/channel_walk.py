"""The channels of a flat graph, followed from the layers that open them through everything that hands them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from keras import activations, layers

from edgekit.compression.graph import Graph, Node

# Layers that open channels of their own: each output reads all inputs. Their kernels end in [..., in, out].
OPENING = (layers.Conv2D, layers.Dense, layers.Conv2DTranspose)  # but the transposed one's, in [..., out, in]


class Walk:
    """The channels as they are opened, numbered; which of them are the same one, and which must stay."""

    def __init__(self, graph: Graph, excluded: Collection[str]) -> None:
        self.graph = graph
        self.layouts: dict[int, np.ndarray] = {}
        self.opened: list[tuple[str, np.ndarray]] = []
        self.joined: list[tuple[np.ndarray, np.ndarray]] = []
        self.blocked: list[tuple[np.ndarray, str]] = []
        self.count = 0
        for number in graph.inputs:
            self._fixed(number, "they are an input of the model")
        left: list[tuple[np.ndarray, str]] = []
        for node in graph.nodes:
            self._visit(node)
            if node.layer.name in excluded:
                left.append((self.layouts[node.output], f"{node.layer.name} is excluded"))
        for number in graph.outputs:
            self.blocked.append((self.layouts[number], "they are an output of the model"))
        self.blocked = [*left, *self.blocked]  # what is told of a channel is the first of its reasons

    def open(self, tensor: int, layer: Any = None) -> np.ndarray:
        """New channels for a tensor; `layer` computes them, where it is one with weights."""
        shape = self.graph.shapes[tensor]
        layout = np.arange(self.count, self.count + ((shape[-1] or 1) if shape else 1))
        self.count += len(layout)
        if getattr(layer, "weights", ()):
            self.opened.append((layer.name, layout))
        return layout

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        self.joined.append((one, other))

    def _visit(self, node: Node) -> None:
        given = [self.layouts[number] for number in node.inputs]
        found = self._why_not(node) or RULES[type(node.layer)](self, node, given)
        if not isinstance(found, str) and len(found) != self.graph.shapes[node.output][-1]:
            found = f"{node.layer.name} makes several channels out of one"
        if not isinstance(found, str):
            self.layouts[node.output] = found
            return
        self.blocked += [(layout, found) for layout in given]
        for number in node.outputs:
            self._fixed(number, found, node.layer)

    def _fixed(self, tensor: int, why: str, layer: Any = None) -> None:
        self.layouts[tensor] = self.open(tensor, layer)
        self.blocked.append((self.layouts[tensor], why))

    def _why_not(self, node: Node) -> str | None:
        """Why the channels at a node stay as they are, whatever its kind does; None where its rule decides."""
        layer, shapes = node.layer, [self.graph.shapes[number] for number in (*node.inputs, *node.outputs)]
        if type(layer) not in RULES:
            return f"what {layer.name} ({type(layer).__name__}) does with its channels is not known"
        if self.graph.calls(layer) > 1 and (layer.weights or isinstance(layer, (layers.Reshape, layers.Rescaling))):
            return f"{layer.name} is called more than once"
        if getattr(layer, "data_format", None) == "channels_first":
            return f"{layer.name} has its channels first"
        if any(not shape or shape[-1] is None for shape in shapes):
            return f"{layer.name} has no fixed number of channels"
        return None


Found = np.ndarray | str  # the layout of a node's output, or why its channels have to stay


def _opening(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    if getattr(node.layer, "groups", 1) > 1:
        return f"{node.layer.name} is a grouped convolution"
    return walk.open(node.output, node.layer)


def _keeping(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    return given[0]


def _depthwise(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    return np.repeat(given[0], node.layer.depth_multiplier)


def _normalizing(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    last = len(walk.graph.shapes[node.output])
    axis = node.layer.axis[0] if isinstance(node.layer.axis, (list, tuple)) else node.layer.axis
    return given[0] if axis in (-1, last) else f"{node.layer.name} normalizes axis {axis}, not the channels"


def _activating(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    function = node.layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    return given[0] if function in ELEMENTWISE else f"{node.layer.name} ({name}) works across channels"


def _dropping(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    shape = node.layer.noise_shape  # it may fix the number of channels
    return given[0] if shape is None or shape[-1] in (None, 1) else f"{node.layer.name} has a noise_shape"


def _permuting(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    return given[0] if node.layer.dims[-1] == len(node.layer.dims) else f"{node.layer.name} moves the channels"


def _joining(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    """One channel beside many is a number for all of them: it stays what it is, and theirs are the result's."""
    widest = max(given, key=len)
    for layout in given:
        if len(layout) == len(widest):
            walk.join(widest, layout)
    return widest


def _concatenating(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    rank = len(walk.graph.shapes[node.output])
    if node.layer.axis in (-1, rank):
        return np.concatenate(given)
    return _joining(walk, node, given)


def _reshaping(walk: Walk, node: Node, given: list[np.ndarray]) -> Found:
    """Row by row, as the values lie in memory: a new channel is all the old ones that come to lie in it."""
    before, after = (walk.graph.shapes[number] for number in (node.inputs[0], node.output))
    if before[-1] == after[-1]:
        return given[0]
    if None in before or None in after:
        return f"{node.layer.name} reshapes a map of no fixed size"
    values = np.tile(given[0], math.prod(before[:-1])).reshape(-1, after[-1])  # type: ignore[arg-type]
    for row in values[1:]:
        walk.join(values[0], row)
    return np.asarray(values[0])


ELEMENTWISE = frozenset({
    activations.linear, activations.relu, activations.relu6, activations.leaky_relu, activations.elu, activations.celu,
    activations.selu, activations.gelu, activations.silu, activations.hard_silu, activations.mish, activations.tanh,
    activations.hard_tanh, activations.tanh_shrink, activations.sigmoid, activations.hard_sigmoid,
    activations.log_sigmoid, activations.softplus, activations.softsign, activations.exponential,
})  # fmt: skip
KEEPING = (
    layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.MaxPooling2D, layers.AveragePooling2D,
    layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.ZeroPadding2D, layers.Cropping2D,
    layers.UpSampling2D, layers.Rescaling, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise,
    layers.ActivityRegularization,
)  # fmt: skip
JOINING = (layers.Add, layers.Multiply, layers.Subtract, layers.Maximum, layers.Minimum, layers.Average)
RULES: dict[Any, Callable[[Walk, Node, list[np.ndarray]], Found]] = {
    **dict.fromkeys(OPENING, _opening),
    **dict.fromkeys(KEEPING, _keeping),
    **dict.fromkeys(JOINING, _joining),
    **dict.fromkeys((layers.Flatten, layers.Reshape), _reshaping),
    **dict.fromkeys((layers.Dropout, layers.AlphaDropout), _dropping),
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _normalizing,
    layers.Activation: _activating,
    layers.Permute: _permuting,
    layers.Concatenate: _concatenating,
}
