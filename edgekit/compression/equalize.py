"""Cross-layer equalization: the ranges of channels evened out between consecutive layers; the same float function.

Nagel et al. 2019, arXiv:1906.04721, section 4.1. What scales with its input (ReLU, pooling) lets a factor a channel
pass: the layer before is divided by it and the layer behind is multiplied, so that both have the channel in one range.
A range for the whole tensor between them then fits every channel, and so does the grid of the layer behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from edgekit.compression.fold import WEIGHTED, fold, is_depthwise
from edgekit.compression.graph import Graph, Node, graph_of, rebuilt
from edgekit.compression.likeness import Likeness, likeness
from edgekit.compression.lower import lower
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.step import Note, Stepped
from edgekit.exporting.calibration import Calibration

SWEEPS, CLOSE = 30, 1e-3  # at most so many times over all pairs; until no factor is farther than this from 1
# What gives k times the output for k times the input, each channel for itself.
SCALING = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
    layers.ZeroPadding2D, layers.Cropping2D, layers.Dropout, layers.SpatialDropout2D,
)  # fmt: skip


@dataclass(frozen=True)
class _Pair:
    """Two layers with weights; only what scales is between them."""

    first: Any
    second: Any


def equalize(model: Any, calibration: Calibration | None = None) -> Stepped:
    """The float model with equalized weights, its normalizations folded, if int8 comes nearer to float by that.

    That is measured on the calibration samples (signal to noise of the fake-quantized model, before and after), and the
    model is kept as it was where nothing is won; without samples it is equalized unmeasured, and the report says so.
    Outputs stay the same within 1e-4. Raises BadInput for a model that is no graph of layers.
    """
    folded = fold(lower(model).model)
    graph = graph_of(folded.model)
    found = {node.layer.name: _behind(graph, node) for node in graph.nodes if isinstance(node.layer, WEIGHTED)}
    pairs = [_Pair(folded.model.get_layer(name), one) for name, one in found.items() if not isinstance(one, str)]
    skipped = tuple(Note(name, f"not equalized: {why}") for name, why in found.items() if isinstance(why, str))
    if not pairs:
        return Stepped(rebuilt(model), (), skipped, {"pairs": 0, "kept": False})
    before = _as_int8(model, folded.model, calibration)
    sweeps = _balance(pairs)
    after = _as_int8(model, folded.model, calibration)
    figures = {"pairs": len(pairs), "sweeps": sweeps, **_figures(before, after)}
    if before is not None and after is not None and not after.better_than(before):
        why = f"left as it was: equalization does not help, {before.said()} before and {after.said()} after"
        return Stepped(rebuilt(model), (), (*skipped, Note(model.name, why)), {**figures, "kept": False})
    measured = "" if before is not None else "; not measured, no calibration samples were given"
    done = tuple(Note(one.first.name, f"equalized with {one.second.name}{measured}") for one in pairs)
    return Stepped(folded.model, done, skipped, {**figures, "kept": True})


def _behind(graph: Graph, node: Node) -> Any:
    """The layer that a layer is equalized with, or the reason why there is none."""
    if graph.calls(node.layer) > 1:
        return "it is called more than once"
    while True:
        after = graph.only_consumer(node.output)
        if after is None:
            readers = [one.layer.name for one in graph.consumers(node.output)]
            return f"{' and '.join(readers)} use its output" if readers else "its output is the model's"
        if isinstance(after.layer, WEIGHTED):
            return _takes(graph, after)
        if not _scales(after.layer):
            return f"{after.layer.name} ({_kind(after.layer)}) behind it does not scale with its input"
        node = after


def _takes(graph: Graph, node: Node) -> Any:
    """The layer behind, if its weights belong to single input channels."""
    if graph.calls(node.layer) > 1:
        return f"{node.layer.name} behind it is called more than once"
    if getattr(node.layer, "groups", 1) > 1:
        return f"{node.layer.name} behind it is a grouped convolution"
    return node.layer


def _scales(layer: Any) -> bool:
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.threshold
    if isinstance(layer, layers.Activation):
        return layer.activation in (keras.activations.linear, keras.activations.relu)
    return isinstance(layer, SCALING)


def _kind(layer: Any) -> str:
    if isinstance(layer, layers.ReLU) and layer.max_value is not None:
        return f"ReLU up to {layer.max_value:g}"
    function = getattr(layer, "activation", None)
    return str(getattr(function, "__name__", type(layer).__name__))


def _balance(pairs: list[_Pair]) -> int:
    """Changes the weights of all pairs until they are even; how many sweeps it took."""
    for sweep in range(1, SWEEPS + 1):
        if max(_even(one.first, one.second) for one in pairs) < CLOSE:
            return sweep
    return SWEEPS


def _even(first: Any, second: Any) -> float:
    """Gives each channel between two layers the same range in both; how far the farthest factor was from 1."""
    kernel, *bias = first.get_weights()
    other, *rest = second.get_weights()
    out = np.abs(kernel).reshape(-1, _channels(first, kernel)).max(axis=0)
    taken = np.abs(other).max(axis=tuple(axis for axis in range(other.ndim) if axis != other.ndim - 2))
    used = (out > 0) & (taken > 0)
    factor = np.ones_like(out)
    factor[used] = np.sqrt(out[used] / taken[used])
    scaled = (kernel.reshape(-1, len(factor)) / factor).reshape(kernel.shape)
    first.set_weights([scaled, *(values / factor for values in bias)])
    second.set_weights([other * factor[:, None], *rest])  # input channels are the last axis but one in every kind
    return float(np.abs(factor - 1).max())


def _channels(layer: Any, kernel: np.ndarray) -> int:
    return int(kernel.shape[-2] * kernel.shape[-1]) if is_depthwise(layer) else int(kernel.shape[-1])


def _as_int8(reference: Any, model: Any, calibration: Calibration | None) -> Likeness | None:
    return None if calibration is None else likeness(reference, prepare(model, calibration).model, calibration)


def _figures(before: Likeness | None, after: Likeness | None) -> dict[str, Any]:
    return {name: None if one is None else one.to_json() for name, one in (("before", before), ("after", after))}
