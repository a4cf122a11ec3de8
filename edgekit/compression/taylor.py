"""How much each channel matters to the loss: the squared first-order change when it is silenced where it is read.

That is (gradient x value)^2, averaged over samples (Molchanov et al. 2019, arXiv:1906.10771). It compares channels of
all layers by what they do for the answer. Needs the TensorFlow backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgekit.compression.channel_groups import ChannelGraph
from edgekit.compression.importance import TINY, Importance
from edgekit.compression.step_context import StepContext
from edgekit.data.arrays import ArrayData
from edgekit.data.calibration import choose
from edgekit.data.dataset import Dataset
from edgekit.data.images import normalize
from edgekit.errors import UsageError
from edgekit.models.head import ends_in_softmax

BATCH = 32
SAMPLES = 512  # images of the training set


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


def evidence_of(context: StepContext) -> Evidence:
    """What a recipe's step has: training images, or the arrays that calibrate. Models of recipes are on logits."""
    data = context.data
    if isinstance(data, Dataset):
        return _of_images(data, context.classifier, False, context.seed)
    return Evidence(tuple(data.calibration), None, context.classifier, False, context.seed)


def given_evidence(model: Any, data: Any, seed: int) -> Evidence:
    """Of what was given with any model: a Dataset, ArrayData, or an array [n, ...] an input. UsageError for None."""
    if data is None:
        raise UsageError("taylor needs samples to measure the loss on.", "Give data, or choose l1 or bn.")
    softmax = ends_in_softmax(model)
    if isinstance(data, Dataset):
        scores = softmax or tuple(model.outputs[0].shape[1:]) == (len(data.class_names),)
        return _of_images(data, scores, softmax, seed)
    arrays = data.calibration if isinstance(data, ArrayData) else data if isinstance(data, tuple) else (data,)
    return Evidence(tuple(arrays), None, softmax, softmax, seed)


def _of_images(data: Dataset, classifier: bool, softmax: bool, seed: int) -> Evidence:
    """Training images with their labels, evenly over the classes; without labels the loss needs none."""
    split = choose(data.train, min(SAMPLES, len(data.train)), seed)
    images = normalize(split.read(range(len(split))), data.preprocess)
    return Evidence((images,), split.labels if classifier and data.class_names else None, classifier, softmax, seed)


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
