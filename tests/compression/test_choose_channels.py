"""How many channels every group keeps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgekit.compression.channel_cost import macs_cost, params_cost
from edgekit.compression.channel_groups import channel_groups
from edgekit.compression.choose_channels import Ladders, Point, best_places, ladder, path, to_cost, to_latency
from edgekit.compression.importance import Importance, by_l1
from edgekit.models.zoo import build
from tests.compression.coupled import network


@pytest.mark.parametrize(
    ("size", "multiple", "expected"),
    [
        (64, 8, (64, 56, 48, 40, 32, 24, 16, 8)),
        (20, 8, (20, 16, 8)),
        (16, 8, (16, 8)),
        (15, 8, (15, 12, 8, 4)),
        (6, 8, (6, 4, 2)),
        (3, 8, (3, 2, 1)),
        (1, 8, (1,)),
        (200, 8, tuple(range(200, 23, -8))),
        (5, 1, (5, 4, 3, 2, 1)),
        (30, 1, tuple(range(30, 2, -1))),
    ],
)
def test_the_rungs_are_multiples_down_to_a_tenth(size: int, multiple: int, expected: tuple[int, ...]) -> None:
    assert ladder(size, multiple) == expected


def test_what_has_gone_already_counts() -> None:
    found = channel_groups(network("concatenated"))
    ladders = Ladders.of(found, 4, {"stem": 80, "new0": 6, "new1": 7})
    rungs = {group.name: rungs for group, rungs in zip(found.groups, ladders.rungs, strict=True)}
    assert rungs["stem"] == (8,), "a tenth of 80 is there"
    assert rungs["new0"] == (6, 4, 2) and rungs["logits"] == (4,)


def test_the_path_takes_what_loses_least_for_what_it_saves() -> None:
    """Of importance that compares groups: the price of each step is the lowest that there is."""
    found = channel_groups(network("residual"))
    cost, ladders = macs_cost(found), Ladders.of(found, 2)
    values = np.random.default_rng(0).uniform(0, 1, found.channels)
    steps = path(found, Importance(values, relative=False), cost, ladders)
    assert steps[0] == tuple(group.size for group in found.groups) and steps[-1] == ladders.least
    costs = [cost.of(np.array(counts)) for counts in steps]
    assert costs == sorted(costs, reverse=True)
    for before, after in itertools.pairwise(steps[:4]):
        prices = {}
        for number, group in enumerate(found.groups):
            count = ladders.next_below(number, before[number])
            if count is not None:
                best = np.sort(values[group.first : group.first + group.size])[::-1]
                saved = cost.slope(np.array(before))[number] * (before[number] - count)
                prices[number] = best[count : before[number]].sum() / saved
        assert after[min(prices, key=lambda number: prices[number])] < before[min(prices, key=prices.__getitem__)]


def test_were_all_channels_alike_all_groups_would_lose_the_same_share() -> None:
    found = channel_groups(build("resnet18", classes=10, input_shape=(32, 32, 3)))
    cost, ladders = macs_cost(found), Ladders.of(found, 1)
    steps = path(found, Importance(np.ones(found.channels), relative=True), cost, ladders)
    sizes = np.array([group.size for group in found.groups])
    half = next(counts for counts in steps if cost.of(np.array(counts)) <= 0.5 * cost.of(sizes))
    left = [count / group.size for count, group in zip(half, found.groups, strict=True) if not group.blocked]
    assert min(left) > 0.55 and max(left) < 0.9, "the square root of a half, or so"


def test_the_places_are_those_of_the_most_important_channels() -> None:
    found = channel_groups(network("residual"))
    values = np.zeros(found.channels)
    stem = next(group for group in found.groups if group.name == "stem")
    values[stem.first + np.array([6, 1, 3])] = (3, 2, 1)
    counts = [3 if group is stem else group.size for group in found.groups]
    assert best_places(found, Importance(values, False), counts) == {"stem": [1, 3, 6]}


@pytest.mark.parametrize("share", [0.8, 0.5, 0.3, 0.15])
@pytest.mark.parametrize("of", [macs_cost, params_cost])
def test_a_share_is_reached_within_a_point_in_coarse_steps_too(share: float, of: object) -> None:
    found = channel_groups(build("resnet8", classes=10, input_shape=(32, 32, 3)))
    cost, ladders = of(found), Ladders.of(found, 8)  # type: ignore[operator]
    whole = cost.of(np.array([group.size for group in found.groups]))
    counts = to_cost(path(found, by_l1(found), cost, ladders), cost, ladders, share * whole, 0.01 * whole)
    assert cost.of(np.array(counts)) / whole == pytest.approx(share, abs=0.01)
    assert all(count in rungs for count, rungs in zip(counts, ladders.rungs, strict=True))


def test_less_than_the_least_is_the_least() -> None:
    found = channel_groups(network("residual"))
    cost, ladders = macs_cost(found), Ladders.of(found, 8)
    assert to_cost(path(found, by_l1(found), cost, ladders), cost, ladders, 1.0, 1.0) == ladders.least


def test_latency_is_measured_where_it_is_expected() -> None:
    asked: list[int] = []

    def measured(counts: tuple[int, ...]) -> Point:
        asked.append(counts[0])
        return Point(counts[0], 2.0 + counts[0] / 10 + (counts[0] / 40) ** 2)

    def nearest(cost: float) -> tuple[int, ...]:
        return (round(cost),)

    low, high = (measured((cost,)) for cost in (1, 100))
    found = to_latency(nearest, measured, low, high, 7.0)
    assert found is not None and 0.97 * 7 <= found[1].taken <= 7 and found[0] == (found[1].cost,)
    assert len(asked) <= 6
    assert to_latency(nearest, measured, low, high, 2.05) is None, "one channel takes 2.1 ms"
