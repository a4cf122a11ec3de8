"""Coupled channels: which channels of a network can only be removed together, and which not at all.

Every convolution and dense layer opens as many channels as it has filters. They are followed through the flat graph:
what works on each channel for itself (normalization, activations, pooling, depthwise convolution) hands them on, what
adds or multiplies two tensors makes their channels one and the same, a concatenation puts them side by side, and
flattening repeats them over the positions. Channels that go through the same tensors are a group: any of them can be
removed, from all of its layers at once. (The idea: Fang et al. 2023, arXiv:2301.12900; the code is our own.)
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import activations, layers

from edgekit.compression.graph import Graph, Node, graph_of
from edgekit.compression.lower import lower
from edgekit.compression.step import Note
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.models.fake_quant import is_fake_quantized

# Layers that open channels of their own: each output reads all inputs. Their kernels end in [..., in, out].
OPENING = (layers.Conv2D, layers.Dense, layers.Conv2DTranspose)  # but the transposed one's, in [..., out, in]


@dataclass(frozen=True)
class Group:
    """`size` channels that are alike to the network, numbered from `first` on; `layers` compute them.

    `blocked` says why none of them may go; None where they may. The name is that of the first of its layers.
    """

    name: str
    layers: tuple[str, ...]
    first: int
    size: int
    blocked: str | None = None


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """A flat model and its groups. `layouts`: for each tensor, int64 [its channels], the number of each channel.

    A channel may be in a tensor more than once, as behind flattening. `notes`: what lowering left as it is.
    """

    model: Any
    graph: Graph
    groups: tuple[Group, ...]
    layouts: Mapping[int, np.ndarray]
    notes: tuple[Note, ...] = ()

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that channels can be removed from."""
        return tuple(group for group in self.groups if group.blocked is None)

    @property
    def channels(self) -> int:
        return sum(group.size for group in self.groups)

    def opens(self, node: Node) -> bool:
        """Whether a node is a layer that opens channels, and the only call of it: one whose weights can be cut."""
        return type(node.layer) in OPENING and self.graph.calls(node.layer) == 1

    def kept(self, keep: Mapping[str, Sequence[int]]) -> np.ndarray:
        """bool [channels]: which stay. `keep` has for groups by name the places, from 0, of those that do.

        A group that is not named stays whole. Raises BadInput for a name that is unknown or of a blocked group,
        UsageError for places that are not there, or none.
        """
        known = {group.name: group for group in self.groups}
        stays = np.ones(self.channels, bool)
        for name, places in keep.items():
            if name not in known:
                raise unknown("group of channels", name, known)
            _check_places(known[name], chosen := np.unique(np.asarray(places, np.int64)))
            group = known[name]
            stays[group.first : group.first + group.size] = False
            stays[group.first + chosen] = True
        return stays


def _check_places(group: Group, places: np.ndarray) -> None:
    if group.blocked and len(places) < group.size:
        raise BadInput(f"The channels of {group.name} cannot be removed: {group.blocked}.", "Leave the group out.")
    if not len(places) or places[0] < 0 or places[-1] >= group.size:
        raise UsageError(
            f"{group.name} has {group.size} channels, and those to keep are not among them.",
            f"Name at least one of 0 to {group.size - 1}.",
        )


def channel_groups(model: Any, exclude: Collection[str] = ()) -> ChannelGraph:
    """The groups of a functional or sequential Keras model, which is lowered first.

    Channels of layers that `exclude` names, or fits as a pattern, stay. So do those of inputs and outputs and of all
    that is not known here, such as the user's own layers: their groups are `blocked`. Raises BadInput for a model that
    is no graph of layers or is fake-quantized, and for a pattern that fits no layer.
    """
    if is_fake_quantized(model):
        raise BadInput(
            f"{model.name} is fake-quantized; channels are removed from float models.",
            "Remove channels first, and quantize then.",
        )
    lowered = lower(model)
    graph = graph_of(lowered.model)
    walk = _Walk(graph, _fitting(graph, exclude))
    groups, numbers = _grouped(walk)
    layouts = {tensor: numbers[layout] for tensor, layout in walk.layouts.items()}
    return ChannelGraph(lowered.model, graph, groups, layouts, lowered.skipped)


def _fitting(graph: Graph, patterns: Collection[str]) -> set[str]:
    names = [node.layer.name for node in graph.nodes]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise unknown("layer", pattern, names)
    return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}


# ---- following the channels -----------------------------------------------------------------------------------------


class _Walk:
    """The channels as they are opened, numbered; which of them are the same one, and which must stay."""

    def __init__(self, graph: Graph, excluded: Collection[str]) -> None:
        self.graph = graph
        self.layouts: dict[int, np.ndarray] = {}
        self.opened: list[tuple[str, np.ndarray]] = []
        self.joined: list[tuple[np.ndarray, np.ndarray]] = []
        self.blocked: list[tuple[np.ndarray, str]] = []
        self.count = 0
        for number in graph.inputs:
            self._fixed(number, "they are an input of the model")
        for node in graph.nodes:
            self._visit(node)
            if node.layer.name in excluded:
                self.blocked.insert(0, (self.layouts[node.output], f"{node.layer.name} is excluded"))
        for number in graph.outputs:
            self.blocked.append((self.layouts[number], "they are an output of the model"))

    def open(self, tensor: int, layer: Any = None) -> np.ndarray:
        """New channels for a tensor; `layer` computes them, where it is one with weights."""
        shape = self.graph.shapes[tensor]
        layout = np.arange(self.count, self.count + ((shape[-1] or 1) if shape else 1))
        self.count += len(layout)
        if getattr(layer, "weights", ()):
            self.opened.append((layer.name, layout))
        return layout

    def join(self, one: np.ndarray, other: np.ndarray) -> None:
        self.joined.append((one, other))

    def _visit(self, node: Node) -> None:
        given = [self.layouts[number] for number in node.inputs]
        found = self._why_not(node) or RULES[type(node.layer)](self, node, given)
        if not isinstance(found, str) and len(found) != self.graph.shapes[node.output][-1]:
            found = f"{node.layer.name} makes several channels out of one"
        if not isinstance(found, str):
            self.layouts[node.output] = found
            return
        self.blocked += [(layout, found) for layout in given]
        for number in node.outputs:
            self._fixed(number, found, node.layer)

    def _fixed(self, tensor: int, why: str, layer: Any = None) -> None:
        self.layouts[tensor] = self.open(tensor, layer)
        self.blocked.append((self.layouts[tensor], why))

    def _why_not(self, node: Node) -> str | None:
        """Why the channels at a node stay as they are, whatever its kind does; None where its rule decides."""
        layer, shapes = node.layer, [self.graph.shapes[number] for number in (*node.inputs, *node.outputs)]
        if type(layer) not in RULES:
            return f"what {layer.name} ({type(layer).__name__}) does with its channels is not known"
        if self.graph.calls(layer) > 1 and (layer.weights or isinstance(layer, (layers.Reshape, layers.Rescaling))):
            return f"{layer.name} is called more than once"
        if getattr(layer, "data_format", None) == "channels_first":
            return f"{layer.name} has its channels first"
        if any(not shape or shape[-1] is None for shape in shapes):
            return f"{layer.name} has no fixed number of channels"
        return None


Found = np.ndarray | str  # the layout of a node's output, or why its channels have to stay


def _opening(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    if getattr(node.layer, "groups", 1) > 1:
        return f"{node.layer.name} is a grouped convolution"
    return walk.open(node.output, node.layer)


def _keeping(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    return given[0]


def _depthwise(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    return np.repeat(given[0], node.layer.depth_multiplier)


def _normalizing(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    last = len(walk.graph.shapes[node.output])
    axis = node.layer.axis[0] if isinstance(node.layer.axis, (list, tuple)) else node.layer.axis
    return given[0] if axis in (-1, last) else f"{node.layer.name} normalizes axis {axis}, not the channels"


def _activating(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    function = node.layer.activation
    name = getattr(function, "__name__", type(function).__name__)
    return given[0] if function in ELEMENTWISE else f"{node.layer.name} ({name}) works across channels"


def _dropping(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    return given[0] if node.layer.noise_shape is None else f"{node.layer.name} has a noise_shape"


def _permuting(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    return given[0] if node.layer.dims[-1] == len(node.layer.dims) else f"{node.layer.name} moves the channels"


def _joining(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    """One channel beside many is a number for all of them: it stays what it is, and theirs are the result's."""
    widest = max(given, key=len)
    for layout in given:
        if len(layout) == len(widest):
            walk.join(widest, layout)
    return widest


def _concatenating(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    rank = len(walk.graph.shapes[node.output])
    if node.layer.axis in (-1, rank):
        return np.concatenate(given)
    return _joining(walk, node, given)


def _reshaping(walk: _Walk, node: Node, given: list[np.ndarray]) -> Found:
    """Row by row, as the values lie in memory: a new channel is all the old ones that come to lie in it."""
    before, after = (walk.graph.shapes[number] for number in (node.inputs[0], node.output))
    if before[-1] == after[-1]:
        return given[0]
    if None in before or None in after:
        return f"{node.layer.name} reshapes a map of no fixed size"
    values = np.tile(given[0], math.prod(before[:-1])).reshape(-1, after[-1])  # type: ignore[arg-type]
    for row in values[1:]:
        walk.join(values[0], row)
    return np.asarray(values[0])


ELEMENTWISE = frozenset({
    activations.linear, activations.relu, activations.relu6, activations.leaky_relu, activations.elu, activations.celu,
    activations.selu, activations.gelu, activations.silu, activations.hard_silu, activations.mish, activations.tanh,
    activations.hard_tanh, activations.tanh_shrink, activations.sigmoid, activations.hard_sigmoid,
    activations.log_sigmoid, activations.softplus, activations.softsign, activations.exponential,
})  # fmt: skip
KEEPING = (
    layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.MaxPooling2D, layers.AveragePooling2D,
    layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.ZeroPadding2D, layers.Cropping2D,
    layers.UpSampling2D, layers.Rescaling, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise,
    layers.ActivityRegularization,
)  # fmt: skip
JOINING = (layers.Add, layers.Multiply, layers.Subtract, layers.Maximum, layers.Minimum, layers.Average)
RULES: dict[Any, Callable[[_Walk, Node, list[np.ndarray]], Found]] = {
    **dict.fromkeys(OPENING, _opening),
    **dict.fromkeys(KEEPING, _keeping),
    **dict.fromkeys(JOINING, _joining),
    **dict.fromkeys((layers.Flatten, layers.Reshape), _reshaping),
    **dict.fromkeys((layers.Dropout, layers.AlphaDropout), _dropping),
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _normalizing,
    layers.Activation: _activating,
    layers.Permute: _permuting,
    layers.Concatenate: _concatenating,
}


# ---- from channels to groups ----------------------------------------------------------------------------------------


def _grouped(walk: _Walk) -> tuple[tuple[Group, ...], np.ndarray]:
    """The groups, and the new number of every channel of the walk: those of a group follow each other."""
    same = _merged(walk)
    whys: dict[int, str] = {}
    for layout, why in walk.blocked:
        for channel in np.unique(same[layout]).tolist():
            whys.setdefault(channel, why)
    where: list[list[tuple[int, int]]] = [[] for _ in range(int(same.max()) + 1)]
    for tensor, layout in walk.layouts.items():
        found, times = np.unique(same[layout], return_counts=True)
        for channel, count in zip(found.tolist(), times.tolist(), strict=True):
            where[channel].append((tensor, count))
    alike: dict[Any, list[int]] = {}
    for channel, tensors in enumerate(where):
        alike.setdefault((tuple(tensors), whys.get(channel)), []).append(channel)
    order = np.argsort(np.concatenate(list(alike.values())))
    groups = _named([(channels, why) for (_, why), channels in alike.items()], walk, same)
    return groups, order[same]


def _merged(walk: _Walk) -> np.ndarray:
    """int64 [opened channels]: the same number for those that are one, counted in the order of opening."""
    parent = list(range(walk.count))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for left, right in walk.joined:
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    return np.unique([root(one) for one in range(walk.count)], return_inverse=True)[1]


def _named(found: list[tuple[list[int], str | None]], walk: _Walk, same: np.ndarray) -> tuple[Group, ...]:
    member = np.empty(int(same.max()) + 1, np.int64)
    for number, (channels, _) in enumerate(found):
        member[channels] = number
    computed: dict[int, list[str]] = {}
    for name, layout in walk.opened:
        for number in dict.fromkeys(member[same[layout]].tolist()):
            computed.setdefault(number, []).append(name)
    groups: list[Group] = []
    names: set[str] = set()
    first = 0
    for number, (channels, why) in enumerate(found):
        by = tuple(dict.fromkeys(computed.get(number, ())))
        wanted = by[0] if by else f"given_{number}"
        name = next(free for free in (wanted, *(f"{wanted}:{i}" for i in range(2, len(found) + 2))) if free not in names)
        names.add(name)
        groups.append(Group(name, by, first, len(channels), why))
        first += len(channels)
    return tuple(groups)
