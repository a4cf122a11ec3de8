"""What a network costs as a function of how many channels its groups keep: MACs and parameters, without building it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph
from edgekit.compression.channel_walk import OPENING
from edgekit.compression.graph import Node
from edgekit.errors import BadInput
from edgekit.models.count import MACS


@dataclass(frozen=True, eq=False)
class Cost:
    """The sum over terms of factor * (rows of `left` . k) * (rows of `right` . k), k = [kept of each group..., 1].

    `factors` [terms], `left` and `right` [terms, groups + 1], all float64. `uncounted`: layers of unknown MACs.
    """

    factors: np.ndarray
    left: np.ndarray
    right: np.ndarray
    uncounted: tuple[str, ...] = ()

    def of(self, kept: np.ndarray) -> int:
        """For `kept` channels of each group, int64 [groups]."""
        one, other = self._sides(kept)
        return round(float((self.factors * one * other).sum()))

    def slope(self, kept: np.ndarray) -> np.ndarray:
        """float64 [groups]: what a single channel of each group costs, the others being as they are."""
        one, other = self._sides(kept)
        return np.asarray(((self.factors * other) @ self.left + (self.factors * one) @ self.right)[:-1])

    def _sides(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = np.append(np.asarray(kept, np.float64), 1.0)
        return self.left @ counts, self.right @ counts


def macs_cost(found: ChannelGraph) -> Cost:
    """Multiply-accumulates of one image, as `edgekit.models.count` counts them. Raises BadInput for an open size."""
    terms = _Terms(found)
    uncounted = []
    for node in found.graph.nodes:
        layer = node.layer
        if type(layer) in OPENING and getattr(layer, "groups", 1) == 1:
            within = node.inputs[0] if isinstance(layer, (layers.Conv2DTranspose, layers.Dense)) else node.output
            factor = _area(found, within, layer) * math.prod(layer.kernel.shape[:-2])
            terms.add(factor, node.inputs[0], node.output)
        elif type(layer) is layers.DepthwiseConv2D:
            terms.add(_area(found, node.output, layer) * math.prod(layer.kernel.shape[:2]), node.output)
        elif getattr(layer, "weights", None) and type(layer) not in CHANNELWISE:
            known = _known_macs(found, node)
            uncounted += [layer.name] if known is None else []
            terms.add(known or 0)
    return terms.cost(tuple(dict.fromkeys(uncounted)))


def params_cost(found: ChannelGraph) -> Cost:
    """Parameters as Keras holds them, the statistics of normalizations included."""
    terms = _Terms(found)
    counted = set()
    for node in found.graph.nodes:
        if id(node.layer) not in counted and getattr(node.layer, "weights", None):
            counted.add(id(node.layer))
            PARAMS.get(type(node.layer), _constant)(terms, node)
    return terms.cost()


def _area(found: ChannelGraph, tensor: int, layer: Any) -> int:
    sides = found.graph.shapes[tensor][:-1]
    if None in sides:
        raise BadInput(
            f"The MACs of {layer.name} depend on the input's size, which is not fixed.",
            "Build the model with a fixed input size.",
        )
    return math.prod(side for side in sides if side is not None)


def _known_macs(found: ChannelGraph, node: Node) -> int | None:
    """Of a layer whose channels stay as they are; None for a kind that cannot be counted."""
    counted = MACS.get(type(node.layer).__name__)
    if isinstance(node.layer, layers.Conv2D):
        return _area(found, node.output, node.layer) * math.prod(node.layer.kernel.shape)
    return counted(node.layer) if counted and found.graph.calls(node.layer) == 1 else None


class _Terms:
    """Terms as they are found; a tensor stands for the number of its channels."""

    def __init__(self, found: ChannelGraph) -> None:
        self._found, self._rows = found, {}  # type: ignore[var-annotated]
        self._terms: list[tuple[float, np.ndarray, np.ndarray]] = []
        self._first = np.array([group.first for group in found.groups])

    def add(self, factor: float, *tensors: int) -> None:
        rows = [self._row(tensor) for tensor in tensors] + [self._row(None)] * (2 - len(tensors))
        self._terms.append((factor, rows[0], rows[1]))

    def _row(self, tensor: int | None) -> np.ndarray:
        """float64 [groups + 1]: how often a tensor has each channel of a group; None: the number 1."""
        if tensor not in self._rows:
            row = np.zeros(len(self._first) + 1)
            if tensor is None:
                row[-1] = 1.0
            else:
                channels = self._found.layouts[tensor]
                times = np.bincount(channels, minlength=self._found.channels)
                row[:-1] = times[self._first]  # alike for all channels of a group
            self._rows[tensor] = row
        return self._rows[tensor]

    def cost(self, uncounted: tuple[str, ...] = ()) -> Cost:
        factors, left, right = zip(*self._terms or [(0.0, self._row(None), self._row(None))], strict=True)
        return Cost(np.array(factors, np.float64), np.array(left), np.array(right), uncounted)


# ---- parameters -----------------------------------------------------------------------------------------------------


def _dense(terms: _Terms, node: Node) -> None:
    if getattr(node.layer, "groups", 1) > 1:
        return _constant(terms, node)
    terms.add(math.prod(node.layer.kernel.shape[:-2]), node.inputs[0], node.output)
    terms.add(len(node.layer.weights) - 1, node.output)


def _depthwise(terms: _Terms, node: Node) -> None:
    terms.add(math.prod(node.layer.kernel.shape[:2]) + len(node.layer.weights) - 1, node.output)


def _channelwise(terms: _Terms, node: Node) -> None:
    for weight in node.layer.weights:
        if weight.shape[-1] > 1:
            terms.add(math.prod(weight.shape[:-1]), node.output)
        else:
            terms.add(math.prod(weight.shape))


def _constant(terms: _Terms, node: Node) -> None:
    terms.add(sum(math.prod(weight.shape) for weight in node.layer.weights))


CHANNELWISE = (layers.BatchNormalization, layers.PReLU)
PARAMS: dict[Any, Callable[[_Terms, Node], None]] = {
    **dict.fromkeys(OPENING, _dense),
    **dict.fromkeys(CHANNELWISE, _channelwise),
    layers.DepthwiseConv2D: _depthwise,
}
