"""Parameters and multiply-accumulates of a Keras model, counted from its layers.

MACs are those of the convolutions and dense layers for one image, as the literature counts them (often under the name
of FLOPs). Normalization, activations, pooling and additions are not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgekit.errors import BadInput
from edgekit.models.backend import import_keras

keras = import_keras("Counting a model")


@dataclass(frozen=True)
class LayerCost:
    """One layer: `params` as Keras holds them, `deployed_params` as the .tflite file does, `output` without batch."""

    name: str
    kind: str
    output: tuple[int, ...]
    params: int
    deployed_params: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """A whole model, for one image. `layers` are those with weights, in the model's order.

    `deployed_params` has batch normalization folded into the convolution before it, as the converter does;
    `final_map` is the height and width before the last global pooling or, without one, before flattening; else None.
    """

    params: int
    deployed_params: int
    macs: int
    final_map: tuple[int, int] | None
    layers: tuple[LayerCost, ...]


def count(model: Any) -> Cost:
    """Counts a functional model with a fixed input size, models nested in it included.

    Raises BadInput naming the layer if its kind is unknown and has weights, if it is used twice, or if its size is
    not fixed.
    """
    flat = list(_flat(model))
    layers = tuple(_cost(layer) for layer in flat if layer.weights and type(layer).__name__ != RANGES)
    return Cost(
        params=sum(layer.params for layer in layers),
        deployed_params=sum(layer.deployed_params for layer in layers),
        macs=sum(layer.macs for layer in layers),
        final_map=_final_map(flat),
        layers=layers,
    )


def _final_map(flat: list[Any]) -> tuple[int, int] | None:
    for kinds in ((keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D), keras.layers.Flatten):
        once = [layer for layer in flat if isinstance(layer, kinds) and len(layer._inbound_nodes) == 1]
        maps = [layer.input.shape[1:3] for layer in once if len(layer.input.shape) == 4]
        if maps:
            height, width = maps[-1]
            return height, width
    return None


def _flat(model: Any) -> Iterator[Any]:
    graph = getattr(model, "_functional", model)  # a Sequential has its graph inside
    used = Counter(id(node.operation) for nodes in getattr(graph, "_nodes_by_depth", {}).values() for node in nodes)
    for layer in model.layers:
        if used[id(layer)] > 1 and layer.weights:
            raise BadInput(f"The layer {layer.name!r} is used more than once.", "Use each layer once.")
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        else:
            yield layer


def _cost(layer: Any) -> LayerCost:
    kind = type(layer).__name__
    if kind not in MACS:
        raise BadInput(
            f"The layer {layer.name!r} is a {kind}, whose parameters and MACs cannot be counted.",
            f"Countable layers with weights are: {', '.join(MACS)}.",
        )
    try:
        output, macs = tuple(layer.output.shape[1:]), MACS[kind](layer)
    except (AttributeError, TypeError) as problem:  # two shapes, or None in one
        raise BadInput(
            f"The layer {layer.name!r} is used more than once or has no fixed size.",
            "Build the model with a fixed input size and each layer used once.",
        ) from problem
    params = sum(math.prod(weight.shape) for weight in layer.weights)
    return LayerCost(layer.name, kind, output, params, _deployed(layer, params), macs)


def _deployed(layer: Any, params: int) -> int:
    """A folded normalization leaves one bias a channel if the convolution had none; alone it is a scale and a shift."""
    if not isinstance(layer, keras.layers.BatchNormalization):
        return params
    channels = layer.input.shape[-1]
    before = layer.input._keras_history.operation
    if type(before).__name__ not in FOLDING or len(before._outbound_nodes) != 1:
        return 2 * channels
    return 0 if before.use_bias else channels


def _area(tensor: Any) -> int:
    return math.prod(tensor.shape[1:-1])


def _conv(layer: Any) -> int:
    return _area(layer.output) * math.prod(layer.kernel.shape)


def _separable(layer: Any) -> int:
    return _area(layer.output) * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))


def _dense(layer: Any) -> int:
    return math.prod(layer.input.shape[1:-1]) * math.prod(layer.kernel.shape)


def _transposed(layer: Any) -> int:
    return _area(layer.input) * math.prod(layer.kernel.shape)


def _none(layer: Any) -> int:
    return 0


MACS: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"), _conv),
    **dict.fromkeys(("QuantizedConv2D", "QuantizedDepthwiseConv2D"), _conv),  # of models.fake_quant
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("Dense", "QuantizedDense"), _dense),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization"), _none),
    "QuantizedBatchNormalization": _none,
    **dict.fromkeys(("LayerScale", "PReLU", "Embedding"), _none),  # LayerScale is ConvNeXt's
}
FOLDING = frozenset({
    *("Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"),
    *("QuantizedConv2D", "QuantizedDepthwiseConv2D", "QuantizedDense"),
})  # fmt: skip
RANGES = "FakeQuantize"  # its variables are the ranges of the tensors, which a file holds as scales
