"""The Pareto front: what no other beats in cost and gain at once."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, ...]  # what it costs (less is better), one or several; last what it gives (more is better)


def front(points: Sequence[Point]) -> tuple[bool, ...]:
    """Whether each point is on the front: no other costs no more and gives no less, one of them strictly."""
    return tuple(not any(_beats(other, one) for other in points) for one in points)


def _beats(other: Point, one: Point) -> bool:
    costs = zip(other[:-1], one[:-1], strict=True)
    return all(less <= more for less, more in costs) and other[-1] >= one[-1] and other != one
