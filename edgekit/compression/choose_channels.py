"""How many channels each group keeps: the least important ones for what they cost go first, until a target is met."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.compression.channel_cost import Cost
from edgekit.compression.channel_groups import ChannelGraph, Group
from edgekit.compression.importance import TINY, Importance

LEAST = 0.1  # of a group's channels stay at least
TRIED = 4000  # numbers of channels near the best that are looked at

MEASURED = 10  # numbers of channels whose latency is measured
CLOSE = 0.97  # of a latency: as near below it is near enough

Counts = tuple[int, ...]  # kept channels of every group


@dataclass(frozen=True)
class Point:
    """What a network costs, and what it was measured to take."""

    cost: float
    taken: float


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

    What is lost is the importance of the channels that go. Of a relative one it is the share of what is left of the
    group, times what the whole group costs: were all channels alike, every group would lose the same share of its own.
    """
    sums = [_sums(importance, group) for group in found.groups]
    counts = [group.size for group in found.groups]
    worth = cost.slope(np.array(counts)) * counts
    steps = [tuple(counts)]
    while True:
        slope = cost.slope(np.array(counts))
        best, chosen = np.inf, None
        for number, total in enumerate(sums):
            count = ladders.next_below(number, counts[number])
            if count is None:
                continue
            lost = total[counts[number]] - total[count]
            if importance.relative:
                lost *= worth[number] / max(total[counts[number]], TINY)
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


def to_cost(steps: Sequence[Counts], cost: Cost, ladders: Ladders, limit: float, enough: float) -> Counts:
    """The counts whose cost is within `enough` of `limit`: those of the path, or of the nearest found around it."""
    costs = [cost.of(np.array(counts)) for counts in steps]
    below = next((i for i, value in enumerate(costs) if value <= limit), len(costs) - 1)
    near = steps[max(below - 1, 0) : below + 1]
    if costs[-1] > limit:
        return steps[-1]
    return _nearest(near, lambda counts: abs(cost.of(np.array(counts)) - limit), ladders, enough)


def _nearest(starts: Sequence[Counts], distance: Callable[[Counts], float], ladders: Ladders, enough: float) -> Counts:
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


def to_latency(
    nearest: Callable[[float], Counts], measured: Callable[[Counts], Point], low: Point, high: Point, limit: float
) -> tuple[Counts, Point] | None:
    """The slowest counts found that take at most `limit`, and what they cost; None where none do.

    What is measured grows with the cost, and mostly in a straight line: `nearest(cost)` is asked for the counts where
    the line between what is known below the limit (`low`) and above it (`high`) meets the limit, until they take CLOSE
    to it.
    """
    best: tuple[Counts, Point] | None = None
    tried = set()
    for _ in range(MEASURED):
        share = (limit * (1 + CLOSE) / 2 - low.taken) / max(high.taken - low.taken, TINY)
        counts = nearest(low.cost + min(max(share, 0.1), 0.9) * (high.cost - low.cost))
        if counts in tried:
            break
        tried.add(counts)
        found = measured(counts)
        if found.taken > limit:
            high = found
            continue
        low = found
        if best is None or found.taken > best[1].taken:
            best = counts, found
        if found.taken >= CLOSE * limit:
            break
    return best
