"""How much each channel matters, by its weights or by its normalization (by the loss: `taylor`).

- `l1`: the sum of |kernel| of the filter that computes it (Li et al. 2017, arXiv:1608.08710), divided by the mean over
  the layer's filters so that layers compare; of all layers that compute the channel, the sum.
- `bn`: |gamma| of every normalization that it goes through (Liu et al. 2017, arXiv:1708.06519), likewise divided by the
  layer's mean; where there is none, `l1`.

Both say how channels of one layer rank, and little of how much one layer matters beside another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph
from edgekit.compression.graph import Node
from edgekit.compression.step import Note

TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Importance:
    """`values`: float64 [channels of the ChannelGraph]. `relative`: they rank within a group and say nothing of another
    one. `notes`: groups that were measured otherwise than asked."""

    values: np.ndarray
    relative: bool
    notes: tuple[Note, ...] = ()


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
