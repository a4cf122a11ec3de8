"""Removing channels: a smaller network of the same layers, which answers as the one whose channels are silenced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph, channel_groups
from edgekit.compression.graph import Node, clone, rebuilt
from edgekit.models.head import move_weights

Keep = Mapping[str, Sequence[int]]


def remove(model: Any, keep: Keep) -> Any:
    """A new functional model, lowered, that has of the groups in `keep` only the channels at those places.

    The groups are those of `channel_groups(model)`; layers keep their names and the weights that are left. The outputs
    are those of `mask(model, keep)` within 1e-5 of the largest. Raises BadInput, UsageError as `ChannelGraph.kept`.
    """
    return removed(channel_groups(model), keep)


def mask(model: Any, keep: Keep) -> Any:
    """The model, lowered, with the same channels silenced instead: whatever reads several channels finds 0 in them."""
    return masked(channel_groups(model), keep)


def removed(found: ChannelGraph, keep: Keep) -> Any:
    """As `remove`, of a model whose groups are known."""
    stays = found.kept(keep)

    def call(node: Node, tensors: list[Any]) -> Any:
        before, after = (stays[found.layouts[number]] for number in (node.inputs[0], node.output))
        cut = CUTS.get(type(node.layer))
        if cut is None or (before.all() and after.all()):
            return None
        layer, weights = cut(node.layer, before, after)
        made = node.apply(layer, tensors)
        if weights:
            layer.set_weights(weights)
        return made

    return rebuilt(found.model, call)


def masked(found: ChannelGraph, keep: Keep) -> Any:
    """As `mask`, of a model whose groups are known."""
    stays = found.kept(keep)

    def call(node: Node, tensors: list[Any]) -> Any:
        if not found.opens(node) or stays[found.layouts[node.inputs[0]]].all():
            return None
        silenced = stays[found.layouts[node.inputs[0]]].astype(np.float32)
        layer = clone(node.layer)
        made = node.apply(layer, [layers.Rescaling(silenced, name=f"{node.layer.name}_mask")(tensors[0])])
        move_weights(node.layer, layer)
        return made

    return rebuilt(found.model, call)


# ---- what is left of a layer ----------------------------------------------------------------------------------------

Cut = tuple[Any, list[np.ndarray]]  # the new layer, not yet built, and its weights


def _conv(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    kernel, *bias = layer.get_weights()
    size = {"units" if isinstance(layer, layers.Dense) else "filters": int(after.sum())}
    return clone(layer, **size), [kernel[..., before, :][..., after], *(values[after] for values in bias)]


def _transposed(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    kernel, *bias = layer.get_weights()
    smaller = clone(layer, filters=int(after.sum()))
    return smaller, [kernel[..., after, :][..., before], *(values[after] for values in bias)]


def _depthwise(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    kernel, *bias = layer.get_weights()
    return clone(layer), [kernel[:, :, before], *(values[after] for values in bias)]


def _channelwise(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    """Weights that have a value a channel as their last axis, or one for all."""
    return clone(layer), [values[..., after] if values.shape[-1] > 1 else values for values in layer.get_weights()]


def _rescaling(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    scale, offset = (np.asarray(value, np.float32) for value in (layer.scale, layer.offset))
    parts = [value.reshape(-1)[after] if value.size > 1 else float(value.reshape(())) for value in (scale, offset)]
    return layers.Rescaling(*parts, name=layer.name, dtype=layer.dtype_policy), []


def _reshaped(layer: Any, before: np.ndarray, after: np.ndarray) -> Cut:
    return clone(layer, target_shape=(*layer.target_shape[:-1], int(after.sum()))), []


# Kinds whose weights or configuration have to do with the number of channels; the others are copied.
CUTS: dict[Any, Callable[[Any, np.ndarray, np.ndarray], Cut]] = {
    layers.Conv2D: _conv,
    layers.Dense: _conv,
    layers.Conv2DTranspose: _transposed,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _channelwise,
    layers.PReLU: _channelwise,
    layers.Rescaling: _rescaling,
    layers.Reshape: _reshaped,
}
