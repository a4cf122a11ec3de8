"""How much each channel matters: by its weights, by its normalization, or by what the loss loses without it.

- `l1`: the sum of |kernel| of the filter that computes it (Li et al. 2017, arXiv:1608.08710), divided by the mean over
  the layer's filters so that layers compare; of all layers that compute the channel, the sum.
- `bn`: |gamma| of every normalization that it goes through (Liu et al. 2017, arXiv:1708.06519), likewise divided by the
  layer's mean; where there is none, `l1`.
- `taylor`: the squared first-order change of the loss when the channel is silenced where it is read, (gradient x
  value)^2, averaged over samples (Molchanov et al. 2019, arXiv:1906.10771).

The first two say how channels of one layer rank; only the last one compares layers by what they do for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph
from edgekit.compression.graph import Node
from edgekit.compression.step import Note

TINY = 1e-12
BATCH = 32


@dataclass(frozen=True, eq=False)
class Importance:
    """`values`: float64 [channels of the ChannelGraph]. `relative`: they rank within a group and say nothing of another
    one. `notes`: groups that were measured otherwise than asked."""

    values: np.ndarray
    relative: bool
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What Taylor importance is measured on: an array [n, ...] an input as the model takes it, and int64 [n] labels.

    `classifier`: the one output [n, classes] is logits, or probabilities where `softmax`.
    """

    inputs: tuple[np.ndarray, ...]
    labels: np.ndarray | None = None
    classifier: bool = True
    softmax: bool = False
    seed: int = 0


def by_l1(found: ChannelGraph) -> Importance:
    values = np.zeros(found.channels)
    for node in found.graph.nodes:
        if found.opens(node):
            kernel = np.abs(np.asarray(node.layer.kernel, np.float64))
            filters = kernel.ndim - (2 if isinstance(node.layer, layers.Conv2DTranspose) else 1)
            sums = kernel.sum(axis=tuple(axis for axis in range(kernel.ndim) if axis != filters))
            np.add.at(values, found.layouts[node.output], _over_mean(sums))
    return Importance(values, relative=True)


def by_bn(found: ChannelGraph) -> Importance:
    values, seen = np.zeros(found.channels), np.zeros(found.channels, bool)
    for node in found.graph.nodes:
        if _scales(found, node):
            channels = found.layouts[node.inputs[0]]
            np.add.at(values, channels, _over_mean(np.abs(np.asarray(node.layer.gamma, np.float64))))
            seen[channels] = True
    without = [group for group in found.free if not seen[group.first]]
    notes = tuple(Note(group.name, "ranked by l1: no batch normalization scales its channels") for group in without)
    return Importance(np.where(seen, values, by_l1(found).values), True, notes)


def _scales(found: ChannelGraph, node: Node) -> bool:
    """Whether it is a normalization with a gamma for each channel, and called once."""
    layer = node.layer
    if not isinstance(layer, layers.BatchNormalization) or not layer.scale or found.graph.calls(layer) > 1:
        return False
    return len(found.layouts[node.inputs[0]]) == layer.gamma.shape[0]


def _over_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values / max(float(values.mean()), TINY))


# ---- Taylor ---------------------------------------------------------------------------------------------------------


def by_taylor(found: ChannelGraph, evidence: Evidence) -> Importance:
    """The loss is the cross-entropy with the labels. Without labels it is that with labels drawn from the model's own
    answers: against itself a model has no gradient, and the expected square of this one is the curvature of the
    divergence from its own answers (the Fisher information; Theis et al. 2018, arXiv:1801.05787). For what is no
    classifier it is the outputs times random signs, whose expected square is that of the outputs' change.
    """
    import tensorflow as tf

    generator = np.random.default_rng(evidence.seed)
    total = np.zeros(found.channels)
    count = len(evidence.inputs[0])
    for start in range(0, count, BATCH):
        chunk = [tf.constant(values[start : start + BATCH], tf.float32) for values in evidence.inputs]
        labels = None if evidence.labels is None else evidence.labels[start : start + BATCH]
        gates = tf.ones((len(chunk[0]), found.channels))
        with tf.GradientTape() as tape:
            tape.watch(gates)
            loss = _loss(_gated(found, chunk, gates), labels, evidence, generator)
        slope = tape.gradient(loss, gates, unconnected_gradients="zero")
        total += np.square(np.asarray(slope, np.float64)).sum(axis=0)
    return Importance(total / count, relative=False)


def _gated(found: ChannelGraph, inputs: Sequence[Any], gates: Any) -> list[Any]:
    """The outputs, with each channel multiplied by its gate, float32 [n, channels], wherever it is read."""
    values = dict(zip(found.graph.inputs, inputs, strict=True))
    for node in found.graph.nodes:
        taken = [values[number] for number in node.inputs]
        if found.opens(node):
            own = keras.ops.take(gates, found.layouts[node.inputs[0]], axis=1)
            shape = (-1, *[1] * (len(taken[0].shape) - 2), own.shape[1])
            taken = [taken[0] * keras.ops.reshape(own, shape)]
        made = node.apply(node.layer, taken)
        values.update(zip(node.outputs, keras.tree.flatten(made), strict=True))
    return [values[number] for number in found.graph.outputs]


def _loss(outputs: list[Any], labels: np.ndarray | None, evidence: Evidence, generator: np.random.Generator) -> Any:
    """Summed over the samples."""
    ops = keras.ops
    if not evidence.classifier:
        signs = [generator.choice([-1.0, 1.0], size=tuple(one.shape)).astype(np.float32) for one in outputs]
        return sum(ops.sum(one * sign) for one, sign in zip(outputs, signs, strict=True))
    logarithms = ops.log(outputs[0] + TINY) if evidence.softmax else ops.log_softmax(outputs[0], axis=-1)
    if labels is None:
        drawn = np.asarray(logarithms) + generator.gumbel(size=tuple(logarithms.shape))  # a draw from their softmax
        labels = drawn.argmax(axis=1)
    return -ops.sum(logarithms * ops.one_hot(labels, logarithms.shape[-1]))
