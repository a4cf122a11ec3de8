"""Batch normalization folded into the layer before it: the same outputs, with a bias in its place.

With the running statistics, BN(conv(x)) = conv'(x) where kernel' = kernel * g and bias' = beta + (bias - mean) * g,
g = gamma / sqrt(variance + epsilon), a factor an output channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from edgekit.compression.graph import Graph, Node, clone, graph_of, rebuilt
from edgekit.compression.step import Note, Stepped
from edgekit.models.fake_quant import QUANTIZED

WEIGHTED: tuple[Any, ...] = tuple(QUANTIZED)


def fold(model: Any) -> Stepped:
    """The model with every batch normalization folded that can be; the others are left, each with its reason.

    Takes a flat functional model and leaves it as it is. The outputs are the same up to rounding.
    """
    graph = graph_of(model)
    reasons = {node.output: _blocked(graph, node) for node in graph.nodes if is_norm(node)}
    norms = {graph.producer(n.inputs[0]): n for n in graph.nodes if is_norm(n) and reasons[n.output] is None}
    folded: dict[int, Any] = {}  # by the tensor that the weighted layer computes

    def call(node: Node, tensors: list[Any]) -> Any:
        if node in norms:
            layer = clone(node.layer, use_bias=True)
            made = node.apply(layer, tensors)
            layer.set_weights(_weights(node.layer, norms[node].layer))
            folded[node.output] = layer
            return made
        return tensors[0] if node in norms.values() else None

    made = rebuilt(model, call)
    done = tuple(Note(norm.layer.name, f"folded into {node.layer.name}") for node, norm in norms.items() if node)
    left = tuple(Note(n.layer.name, why) for n in graph.nodes if is_norm(n) and (why := reasons[n.output]))
    return Stepped(made, done, left, {"folded": len(done), "left": len(left)})


def is_norm(node: Node) -> bool:
    return isinstance(node.layer, layers.BatchNormalization)


def kernel_2d(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """A kernel as [weights an output channel, output channels]; a depthwise one's are (input, multiplier)."""
    rows = int(np.prod(kernel.shape[: 2 if is_depthwise(layer) else -1]))
    return kernel.reshape(rows, -1)


def is_depthwise(layer: Any) -> bool:
    return isinstance(layer, layers.DepthwiseConv2D)


def _blocked(graph: Graph, norm: Node) -> str | None:
    """Why a batch normalization stays; None if it can be folded."""
    before = graph.producer(norm.inputs[0])
    if before is None or not isinstance(before.layer, WEIGHTED):
        what = "the input" if before is None else f"{before.layer.name} ({type(before.layer).__name__})"
        return f"stays: it stands behind {what}, which has no weights to fold it into"
    if graph.only_consumer(before.output) is None:
        return f"stays: the output of {before.layer.name} is also used without it"
    if graph.calls(before.layer) > 1 or graph.calls(norm.layer) > 1:
        return f"stays: {before.layer.name} or it is called more than once"
    if before.layer.activation is not None and before.layer.activation.__name__ != "linear":
        return f"stays: {before.layer.name} has an activation, {before.layer.activation.__name__}, before it"
    rank = len(graph.shapes[norm.output]) + 1
    if norm.layer.axis not in (-1, rank - 1):
        return f"stays: it normalizes axis {norm.layer.axis}, not the channels"
    return None


def norm_factors(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """float64 (factor, shift), each [channels]: a batch normalization is x * factor + shift with its statistics."""
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor *= np.asarray(norm.gamma, np.float64)
    return factor, (np.asarray(norm.beta, np.float64) if norm.center else 0) - mean * factor


def _weights(layer: Any, norm: Any) -> list[np.ndarray]:
    """[kernel, bias] of the two as one; float32, computed in float64."""
    kernel, *bias = (np.asarray(value, np.float64) for value in layer.get_weights())
    factor, shift = norm_factors(norm)
    folded = shift + (bias[0] * factor if bias else 0)
    scaled = (kernel_2d(layer, kernel) * factor).reshape(kernel.shape)
    return [scaled.astype(np.float32), folded.astype(np.float32)]
