"""The head of a network: the classifier at its end, found by walking back from the output, and exchanged.

The head is what depends on the classes: the last layer with weights, the dropout in front of it and all behind
it. What comes before, dense layers between the pooling and the classifier included, is the base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgekit.errors import BadInput
from edgekit.models.backend import import_keras
from edgekit.models.fake_quant import FakeQuantize

keras = import_keras("A new head")
layers = keras.layers

DROPOUTS = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout, layers.SpatialDropout2D)
CLASSIFIERS = (layers.Dense, layers.Conv2D)


@dataclass(frozen=True)
class Head:
    """`features` is the tensor [n, ...] of the model's graph that the first of `chain` takes; the last one gives
    the model's output. `classifier` is the one with weights."""

    features: Any
    chain: tuple[Any, ...]
    classifier: Any


def find_head(model: Any) -> Head:
    """Where the classifier begins. Raises BadInput where the output is not that of one layer on one tensor."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise _headless(model, "it is not a graph of layers with one input and one output")
    if len(model.outputs[0].shape) != 2:
        raise _headless(model, f"its output has the shape {model.outputs[0].shape}, not (n, classes)")
    chain: list[Any] = []
    features = _walk(model, model.outputs[0], chain)
    classifier = next((step for step in chain if getattr(step, "weights", ())), None)
    if features is None or not isinstance(classifier, CLASSIFIERS):
        kind = f"the last layer with weights is a {type(classifier).__name__}" if classifier else "it joins branches"
        raise _headless(model, f"at its end {kind}")
    return Head(features, tuple(chain), classifier)


def head_layers(model: Any) -> tuple[str, ...]:
    """The names of the head's layers, from the features on: dropout, classifier, softmax. BadInput as in find_head."""
    return tuple(step.name for step in find_head(model).chain)


def with_new_head(model: Any, classes: int, dropout: float = 0.0) -> Any:
    """The same network on logits [n, classes] of a new, random classifier; the base's layers are shared with `model`.

    The old head goes as a whole, with its dropout and its softmax. Features that are still a map are averaged over
    it. Raises BadInput where there is no such place, or for fewer than 2 classes.
    """
    if classes < 2:
        raise BadInput(f"A classifier needs at least 2 classes, not {classes}.", "Check the data's class folders.")
    head = find_head(model)
    taken = {layer.name for layer in model.layers} - {step.name for step in head.chain}
    x = head.features
    if len(x.shape) > 2:
        kind = layers.Flatten if math.prod(x.shape[1:-1]) == 1 else layers.GlobalAveragePooling2D
        x = kind(name=_free("head_pool", taken))(x)
    if dropout:
        x = layers.Dropout(dropout, name=_free("head_dropout", taken))(x)
    logits = layers.Dense(classes, name=_free("logits", taken))(x)
    return keras.Model(model.inputs, logits, name=model.name)


def on_logits(model: Any) -> Any:
    """The same network with the same weights, without the softmax at its end; `model` itself where it has none."""
    head = find_head(model)
    if not ends_in_softmax(model):
        return model
    x = head.features
    for copy, step in zip(copies(head.chain), head.chain, strict=True):
        if isinstance(step, layers.Softmax) or (_is_softmax(step) and not isinstance(step, CLASSIFIERS)):
            continue
        if _is_softmax(step):
            copy.activation = keras.activations.linear
        x = copy(x)
        move_weights(step, copy)
    return keras.Model(model.inputs, x, name=model.name)


def ends_in_softmax(model: Any) -> bool:
    """Whether the outputs are probabilities rather than logits, as far as the layers of the head tell."""
    try:
        return any(_is_softmax(step) for step in find_head(model).chain)
    except BadInput:
        return False


def copies(chain: tuple[Any, ...]) -> list[Any]:
    """New layers of the same kinds and names, not yet built: calling the model's own would add to its graph."""
    return [type(step).from_config(step.get_config()) for step in chain]


def move_weights(source: Any, target: Any) -> None:
    """Sets all variables of a built layer, the state of its random numbers included, to those of another."""
    pairs = zip(getattr(source, "variables", ()), getattr(target, "variables", ()), strict=True)
    for there, here in pairs:
        here.assign(there)


def _walk(model: Any, tensor: Any, chain: list[Any]) -> Any:
    """Goes back from `tensor` through the layers on one tensor, into `chain`, until behind the classifier.

    Returns the features; where the model begins, or branches join, before there was a classifier: None. A model
    nested at the end is walked through in its own graph, and its front becomes part of the base.
    """
    while True:
        step, node_index, tensor_index = tensor._keras_history
        sources = step._inbound_nodes[node_index].input_tensors
        found = any(getattr(one, "weights", ()) for one in chain)
        if found and not isinstance(step, DROPOUTS):
            return tensor
        if len(sources) != 1:
            return None
        if isinstance(step, FakeQuantize):  # it rounds, and is no layer of the network
            tensor = sources[0]
            continue
        if _nested(step) and step.weights:
            inside = _walk(step, step.outputs[tensor_index], chain)
            if inside is None or inside is step.inputs[0]:
                return None if inside is None else sources[0]
            return keras.Model(step.inputs, inside, name=step.name)(sources[0])
        chain.insert(0, step)
        tensor = sources[0]


def _nested(step: Any) -> bool:
    return isinstance(step, keras.Model) and bool(getattr(step, "outputs", None))


def _is_softmax(step: Any) -> bool:
    return isinstance(step, layers.Softmax) or getattr(step, "activation", None) is keras.activations.softmax


def _free(name: str, taken: set[str]) -> str:
    return next(free for free in (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2))) if free not in taken)


def _headless(model: Any, why: str) -> BadInput:
    return BadInput(
        f"The model {model.name!r} has no classifier that a head could replace: {why}.",
        "Give a classifier on (n, classes) that ends in a dense layer, or a 1x1 convolution, on pooled features.",
    )
