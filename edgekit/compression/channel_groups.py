"""Coupled channels: which channels of a network can only be removed together, and which not at all.

Every convolution and dense layer opens as many channels as it has filters. They are followed through the flat graph:
what works on each channel for itself (normalization, activations, pooling, depthwise convolution) hands them on, what
adds or multiplies two tensors makes their channels one and the same, a concatenation puts them side by side, and
flattening repeats them over the positions. Channels that go through the same tensors are a group: any of them can be
removed, from all of its layers at once. (Fang et al. 2023, arXiv:2301.12900.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.compression.channel_walk import OPENING, Walk
from edgekit.compression.graph import Graph, Node, graph_of, matching
from edgekit.compression.lower import lower
from edgekit.compression.step import Note
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.models.fake_quant import is_fake_quantized


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
    walk = Walk(graph, {node.layer.name for node in matching(graph, exclude)})
    groups, numbers = _grouped(walk)
    layouts = {tensor: numbers[layout] for tensor, layout in walk.layouts.items()}
    return ChannelGraph(lowered.model, graph, groups, layouts, lowered.skipped)


# ---- from channels to groups ----------------------------------------------------------------------------------------


def _grouped(walk: Walk) -> tuple[tuple[Group, ...], np.ndarray]:
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


def _merged(walk: Walk) -> np.ndarray:
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


def _named(found: list[tuple[list[int], str | None]], walk: Walk, same: np.ndarray) -> tuple[Group, ...]:
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
        more = (f"{wanted}:{i}" for i in range(2, len(found) + 2))
        name = next(free for free in (wanted, *more) if free not in names)
        names.add(name)
        groups.append(Group(name, by, first, len(channels), why))
        first += len(channels)
    return tuple(groups)
