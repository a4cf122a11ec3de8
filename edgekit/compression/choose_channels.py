"""How many channels each group keeps: the least important ones for what they cost go first, until a target is met."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.compression.channel_cost import Cost
from edgekit.compression.channel_groups import ChannelGraph, Group
from edgekit.compression.importance import TINY, Importance
from edgekit.errors import BadInput

LEAST = 0.1  # of a group's channels stay at least
NEAR = 0.01  # of the whole cost: how far from what was asked is still reached
TRIED = 4000  # numbers of channels near the best that are looked at
SAID = {"macs": "MACs", "params": "parameters"}

Counts = tuple[int, ...]  # kept channels of every group


def ladder(size: int, multiple: int) -> Counts:
    """The numbers of channels that a group of `size` may keep, downward from all.

    All below `size` are multiples of `multiple`, which is halved until the group has two of it; at least 10 % stay.
    """
    while multiple > 1 and size < 2 * multiple:
        multiple = (multiple + 1) // 2
    least = max(multiple, int(np.ceil(LEAST * size)))
    below = range((size - 1) // multiple * multiple, 0, -multiple)
    return (size, *(count for count in below if count >= least))


@dataclass(frozen=True, eq=False)
class Ladders:
    """For each group of a graph the numbers that it may keep, downward from what it has; a blocked one has one."""

    rungs: tuple[Counts, ...]

    @classmethod
    def of(cls, found: ChannelGraph, multiple: int, first: Mapping[str, int] | None = None) -> Ladders:
        """`first`: how many channels each group had at the beginning, where some have gone since."""
        return cls(tuple(_rungs(group, multiple, (first or {}).get(group.name, group.size)) for group in found.groups))

    @property
    def least(self) -> Counts:
        return tuple(rungs[-1] for rungs in self.rungs)

    def next_below(self, group: int, count: int) -> int | None:
        return next((one for one in self.rungs[group] if one < count), None)

    def neighbours(self, counts: Counts) -> list[Counts]:
        """Every number with one group a rung lower or higher."""
        found = []
        for group, rungs in enumerate(self.rungs):
            at = rungs.index(counts[group])
            for rung in (at - 1, at + 1):
                if 0 <= rung < len(rungs):
                    found.append((*counts[:group], rungs[rung], *counts[group + 1 :]))
        return found


def _rungs(group: Group, multiple: int, size: int) -> Counts:
    if group.blocked:
        return (group.size,)
    return (group.size, *(count for count in ladder(size, multiple) if count < group.size))


def path(found: ChannelGraph, importance: Importance, cost: Cost, ladders: Ladders) -> list[Counts]:
    """From all channels down to the fewest, a rung of one group at a time: the one that loses least for what it saves.

    What is lost is the importance of the channels that go; of a relative one, the share of what is left of the group,
    so that no group is emptied because its channels are dear.
    """
    sums = [_sums(importance, group) for group in found.groups]
    counts = [group.size for group in found.groups]
    steps = [tuple(counts)]
    while True:
        slope = cost.slope(np.array(counts))
        best, chosen = np.inf, None
        for number, total in enumerate(sums):
            count = ladders.next_below(number, counts[number])
            if count is None:
                continue
            lost = total[counts[number]] - total[count]
            lost = lost / max(total[counts[number]], TINY) if importance.relative else lost
            price = lost / max(slope[number] * (counts[number] - count), TINY)
            if price < best:
                best, chosen = price, (number, count)
        if chosen is None:
            return steps
        counts[chosen[0]] = chosen[1]
        steps.append(tuple(counts))


def _sums(importance: Importance, group: Group) -> np.ndarray:
    """float64 [size + 1]: the importance of a group's best so many channels together."""
    own = np.sort(importance.values[group.first : group.first + group.size])[::-1]
    return np.concatenate([[0.0], np.cumsum(own)])


def best_places(found: ChannelGraph, importance: Importance, counts: Sequence[int]) -> dict[str, list[int]]:
    """For each group that loses some, the places of its so many most important channels, ascending."""
    keep = {}
    for group, count in zip(found.groups, counts, strict=True):
        if count < group.size:
            own = importance.values[group.first : group.first + group.size]
            keep[group.name] = sorted(np.argsort(-own, kind="stable")[:count].tolist())
    return keep


def to_cost(steps: Sequence[Counts], cost: Cost, ladders: Ladders, limit: float, whole: int, what: str) -> Counts:
    """The counts whose cost is within 1 % of `whole` of `limit`: the path's, or the nearest found around it.

    Raises BadInput, with the closest that was found, where there are none.
    """
    costs = [cost.of(np.array(counts)) for counts in steps]
    below = next((i for i, value in enumerate(costs) if value <= limit), len(costs) - 1)
    near = sorted(steps[max(below - 1, 0) : below + 1], key=lambda counts: abs(cost.of(np.array(counts)) - limit))
    found = near[0] if _distance(cost, near[0], limit) <= NEAR * whole else _nearest(
        near, lambda counts: _distance(cost, counts, limit), ladders, NEAR * whole)  # fmt: skip
    reached = cost.of(np.array(found)) / whole
    if abs(reached - limit / whole) > NEAR:
        least = cost.of(np.array(ladders.least)) / whole
        raise BadInput(
            f"{limit / whole:.1%} of the model's {SAID[what]} cannot be reached: the closest is {reached:.1%}, "
            f"and with the fewest channels that may stay it is {least:.1%}.",
            f"Ask for {what}: {reached:.3f}, or set a smaller multiple.",
        )
    return found


def _distance(cost: Cost, counts: Counts, limit: float) -> float:
    return abs(cost.of(np.array(counts)) - limit)


def _nearest(
    starts: Sequence[Counts], distance: Callable[[Counts], float], ladders: Ladders, enough: float
) -> Counts:
    """The nearest of those that a few steps up and down the ladders lead to, best first."""
    waiting = [(distance(counts), counts) for counts in starts]
    seen = {counts for _, counts in waiting}
    heapq.heapify(waiting)
    best = min(waiting)
    while waiting and best[0] > enough and len(seen) < TRIED:
        _, counts = heapq.heappop(waiting)
        for other in ladders.neighbours(counts):
            if other not in seen:
                seen.add(other)
                heapq.heappush(waiting, (distance(other), other))
        best = min(best, waiting[0]) if waiting else best
    return best[1]


def to_latency(steps: Sequence[Counts], measure: Callable[[Counts], float], limit: float) -> tuple[Counts, float]:
    """The first counts on the path that take at most `limit` ms, and what they take, by bisection.

    Raises BadInput, with the closest, where even the last ones take longer.
    """
    high, found = len(steps) - 1, measure(steps[-1])
    if found > limit:
        raise BadInput(
            f"{limit:.3g} ms cannot be reached: with the fewest channels that may stay the model takes {found:.3g} ms.",
            f"Ask for {found:.3g} ms or more, or set a smaller multiple.",
        )
    low = 0  # takes longer, as far as is known
    while high - low > 1:
        middle = (low + high) // 2
        taken = measure(steps[middle])
        if taken <= limit:
            high, found = middle, taken
        else:
            low = middle
    return steps[high], found


