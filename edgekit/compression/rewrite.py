"""Rewrites: the same network from operators that are fast in int8, or that old runtimes have.

Hard-swish, x * relu6(x + 3) / 6, has no int8 kernel in XNNPACK and cuts a network into pieces; an addition, a ReLU6 and
a multiplication have. The 1/6 costs an operator of its own unless the weights behind it take it in, and so does that of
a hard-sigmoid gate: a scale travels with its tensor through whatever is linear until a layer absorbs it.

A dense layer of dynamic range with a scale an output is version 12 of its operator, which came with TensorFlow 2.17; a
convolution has one since 2.4. The runtime of 32-bit Raspberry Pis, tflite-runtime, ended with 2.14.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import activations, layers

from edgekit.compression.graph import Graph, Node, clone, graph_of, rebuilt
from edgekit.compression.lower import lower
from edgekit.compression.step import Note, Stepped
from edgekit.models.head import move_weights
from edgekit.step_config import Rewrite

# Layers through which a positive factor passes: f(k * x) = k * f(x).
LINEAR = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
    layers.Flatten, layers.Reshape, layers.Permute, layers.ZeroPadding2D, layers.Cropping2D, layers.UpSampling2D,
    layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.LeakyReLU, layers.PReLU,
)  # fmt: skip
JOINING = (layers.Add, layers.Subtract, layers.Maximum, layers.Minimum, layers.Concatenate)
ABSORBING = (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose, layers.Dense)


def rewrite(model: Any, config: Rewrite | None = None) -> Stepped:
    """The model, lowered, with its activations and dense layers as `config` says. Without changes of the function its
    outputs are equal within 1e-5 of the largest; `figures["exact"]` says whether it has none.

    Raises BadInput where the model cannot be lowered.
    """
    config = config or Rewrite()
    lowered = lower(model)
    swapped, notes = _swapped(lowered.model, config)
    work = _Scales(swapped)
    scaled = rebuilt(swapped, work.call)
    outputs = [work.unscaled(tensor, number, "output") for tensor, number in zip(
        scaled.outputs, work.graph.outputs, strict=True)]  # fmt: skip
    done = keras.Model(scaled.inputs, outputs[0] if len(outputs) == 1 else outputs, name=model.name)
    dense: list[Note] = []
    kept: list[Note] = []
    if config.dense == "conv":
        convolved = _Convolved(done)
        done, dense, kept = convolved.model, convolved.done, convolved.kept
    exact = all(note.text == EXACT for note in notes)
    figures = {"exact": exact, "activations": len(notes), "scales_absorbed": len(work.absorbed), "dense": len(dense)}
    told = (*lowered.done, *notes, *work.absorbed, *dense)
    return Stepped(done, told, (*lowered.skipped, *work.kept, *kept), figures)


# ---- activations ----------------------------------------------------------------------------------------------------

EXACT = "hard-swish as x * relu6(x + 3)"


def _swapped(model: Any, config: Rewrite) -> tuple[Any, list[Note]]:
    """The model with other activations; each hard-swish then is a multiplication by 6 too much and one by 1/6."""
    graph = graph_of(model)
    notes: list[Note] = []

    def call(node: Node, tensors: list[Any]) -> Any:
        name, layer = node.layer.name, node.layer
        hard = isinstance(layer, layers.Activation) and layer.activation is activations.hard_silu
        if hard and config.hard_swish != "keep":
            notes.append(Note(name, SAID[config.hard_swish]))
            return FORMS[config.hard_swish](tensors[0], name)
        source = _swish_of(graph, node)
        if source is not None and config.swish != "keep":
            notes.append(Note(name, f"swish exchanged for {config.swish.replace('_', '-')}"))
            x = tensors[0] if node.inputs[0] == source else tensors[1]
            return FORMS["exact" if config.swish == "hard_swish" else "relu6"](x, name)
        return None

    return rebuilt(model, call), notes


SAID = {"exact": EXACT, "relu6": "a ReLU6 instead of hard-swish: another function"}


def _hard_swish(x: Any, name: str) -> Any:
    gate = layers.ReLU(6.0, name=f"{name}_relu6")(layers.Rescaling(1.0, 3.0, name=f"{name}_shift")(x))
    return layers.Rescaling(1 / 6, name=f"{name}_scale")(layers.Multiply(name=name)([x, gate]))


FORMS: dict[str, Callable[[Any, str], Any]] = {
    "exact": _hard_swish,
    "relu6": lambda x, name: layers.ReLU(6.0, name=name)(x),
}


def _swish_of(graph: Graph, node: Node) -> int | None:
    """x where the node is x * sigmoid(x), as lowering writes it."""
    if not isinstance(node.layer, layers.Multiply) or len(node.inputs) != 2:
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        producer = graph.producer(gate)
        function = producer and getattr(producer.layer, "activation", None)
        if producer and function is activations.sigmoid and producer.inputs == (x,):
            return x
    return None


# ---- scales ---------------------------------------------------------------------------------------------------------


class _Scales:
    """Carries scalar factors to the weights that can take them in: `factors[t]` is how many times too large the new
    tensor t is."""

    def __init__(self, model: Any) -> None:
        self.graph = graph_of(model)
        self.factors: dict[int, float] = dict.fromkeys(self.graph.inputs, 1.0)
        self.absorbed: list[Note] = []
        self.kept: list[Note] = []

    def call(self, node: Node, tensors: list[Any]) -> Any:
        layer = node.layer
        given = [self.factors[number] for number in node.inputs]
        scale = _pure_scale(layer)
        if scale is not None:
            self.factors[node.output] = given[0] / scale
            return tensors[0]
        result, factor = self._passed(node, tensors, given)
        self.factors.update(dict.fromkeys(node.outputs, factor))
        return result

    def _passed(self, node: Node, tensors: list[Any], given: list[float]) -> tuple[Any, float]:
        """The node's outputs, None for those of a copy of its layer, and how many times too large they are."""
        layer = node.layer
        homogeneous = isinstance(layer, LINEAR) or (
            isinstance(layer, layers.ReLU) and layer.max_value is None and not layer.threshold
        )
        if isinstance(layer, layers.Multiply):
            return None, math.prod(given)
        if homogeneous or (isinstance(layer, JOINING) and len(set(given)) == 1):
            return None, given[0]
        if set(given) == {1.0}:
            return None, 1.0
        if isinstance(layer, JOINING) and self._raise_others(node, tensors, max(given)):
            return None, max(given)
        if self.graph.calls(layer) == 1 and isinstance(layer, (*ABSORBING, layers.BatchNormalization)):
            self.absorbed.append(Note(layer.name, f"its weights take in the factor 1/{given[0]:g}"))
            return _absorbing(node, tensors, given[0]), 1.0
        plain = [self.unscaled(*pair, layer.name) for pair in zip(tensors, node.inputs, strict=True)]
        copied = clone(layer)
        result = node.apply(copied, plain)
        move_weights(layer, copied)
        return result, 1.0

    def _raise_others(self, node: Node, tensors: list[Any], factor: float) -> bool:
        """Makes the inputs that are not too large so, in the weights that give them; False, and nothing, where one of
        them comes from elsewhere."""
        others = [pair for pair in zip(tensors, node.inputs, strict=True) if self.factors[pair[1]] != factor]
        sources = [self.graph.producer(number) for _, number in others]
        own = all(self.factors[n] == 1.0 and self.graph.only_consumer(n) == node for _, n in others)
        if not own or not all(s and self.graph.calls(s.layer) == 1 and _scalable(s.layer) for s in sources):
            return False
        for tensor, _ in others:
            made = tensor._keras_history.operation
            for weights in (made.gamma, made.beta) if isinstance(made, layers.BatchNormalization) else made.weights:
                weights.assign(weights * factor)
            self.absorbed.append(Note(made.name, f"its weights give {factor:g} times as much, for {node.layer.name}"))
        return True

    def unscaled(self, tensor: Any, number: int, name: str) -> Any:
        """The tensor as it was, by an operator of its own where it is too large."""
        factor = self.factors[number]
        if factor == 1.0:
            return tensor
        self.kept.append(Note(name, f"the factor 1/{factor:g} before it stays an operator: nothing behind takes it in"))
        return layers.Rescaling(1 / factor, name=f"{name}_unscale{number}")(tensor)


def _scalable(layer: Any) -> bool:
    """Whether the layer's output can be made a multiple of itself by its weights."""
    if isinstance(layer, layers.BatchNormalization):
        return bool(layer.scale and layer.center)
    return isinstance(layer, ABSORBING)


def _pure_scale(layer: Any) -> float | None:
    """The number that a Rescaling multiplies by, where that is all it does and is more than nothing."""
    if not isinstance(layer, layers.Rescaling) or np.size(layer.scale) != 1 or np.any(np.asarray(layer.offset) != 0):
        return None
    scale = float(np.asarray(layer.scale).reshape(()))
    return scale if scale > 0 else None


def _absorbing(node: Node, tensors: list[Any], factor: float) -> Any:
    """The output of the layer with weights for an input that is `factor` times too large."""
    layer = node.layer
    copied = clone(layer)
    result = node.apply(copied, tensors)
    move_weights(layer, copied)
    if isinstance(layer, layers.BatchNormalization):
        copied.moving_mean.assign(layer.moving_mean * factor)
        copied.moving_variance.assign((layer.moving_variance + layer.epsilon) * factor**2 - layer.epsilon)
    else:
        copied.kernel.assign(layer.kernel / factor)
    return result


# ---- dense layers ---------------------------------------------------------------------------------------------------


class _Convolved:
    """`model` with 1x1 convolutions of the same names and weights in the place of its dense layers."""

    def __init__(self, model: Any) -> None:
        self._graph = graph_of(model)
        self.done: list[Note] = []
        self.kept: list[Note] = []
        self.model = rebuilt(model, self._call)

    def _call(self, node: Node, tensors: list[Any]) -> Any:
        layer = node.layer
        if type(layer) is not layers.Dense:  # one of another class may compute something else
            return None
        rank = len(tensors[0].shape) - 1
        if self._graph.calls(layer) != 1 or rank not in (1, 3):
            why = "it is called several times" if self._graph.calls(layer) != 1 else f"its input has {rank} dimensions"
            self.kept.append(Note(layer.name, f"stays a dense layer: {why}"))
            return None
        self.done.append(Note(layer.name, "a 1x1 convolution instead of a dense layer"))
        if rank == 3:
            return _convolution(layer, tensors[0])
        image = layers.Reshape((1, 1, tensors[0].shape[1]), name=f"{layer.name}_as_image")(tensors[0])
        return layers.Reshape((layer.units,), name=f"{layer.name}_as_vector")(_convolution(layer, image))


def _convolution(layer: Any, image: Any) -> Any:
    """float32 [n, h, w, in] -> [n, h, w, units], with the weights of the dense layer."""
    conv = layers.Conv2D(layer.units, 1, use_bias=layer.use_bias, activation=layer.activation, name=layer.name)
    conv.trainable = layer.trainable
    result = conv(image)
    conv.kernel.assign(layer.kernel[None, None])
    if layer.use_bias:
        conv.bias.assign(layer.bias)
    return result
