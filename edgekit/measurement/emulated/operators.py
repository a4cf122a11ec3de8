"""Which operator executed which instructions: the profiler's events, and the counts at each reading of a clock.

LiteRT's profiler reads a clock where an event begins and where it ends. XNNPACK reads one when it begins a part of the
graph, and one after each of its operators. So the events say in which order the clock was read, and between two
readings lie the instructions of one operator. Where there are more or fewer readings than the events account for,
nothing is said rather than something wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.measurement.emulated.record import OperatorCount
from edgekit.measurement.profile import owners_of
from edgekit.runtime.placement import Placement, placed

PLAIN, OPERATOR, INNER, AROUND = 1, 2, 8, 16  # LiteRtProfilerEventType; what reads no clock is left out
INVOKE = "Invoke"  # the event that all operators lie in


def operators_of(
    content: bytes, answer: dict[str, Any], clocks: Sequence[int]
) -> tuple[tuple[OperatorCount, ...], str]:
    """The operators of a file from an answer about its instructions, or none and why."""
    if answer["refused"]:
        return (), str(answer["refused"])
    raw = attributed(answer["events"], clocks)
    if raw is None:
        return (), "the profiler read its clock more or less often than its events tell"
    placement = placed(content, answer["conditions"]["delegate"]["name"], answer["partitions"])
    return _named(raw, placement), ""


def attributed(events: Sequence[dict[str, Any]], clocks: Sequence[int]) -> list[dict[str, Any]] | None:
    """{"op", "node", "partition", "instructions"} in order; None where events and readings do not fit together."""
    read = [one for one in events if one["kind"] in (PLAIN, OPERATOR, INNER, AROUND)]
    inside = [one["name"] == INVOKE and one["kind"] == PLAIN for one in read]
    if inside.count(True) != 1:
        return None
    start = inside.index(True)
    # Before the inference an event has ended, but for those that lie around it and begin only.
    at = sum(1 if one["kind"] == AROUND else 2 for one in read[:start]) + 1
    found, partition = [], -1
    for place, one in enumerate(read[start + 1 :], start + 1):
        if one["kind"] == PLAIN:  # behind the inference
            break
        if one["kind"] == INNER and (one["index"] == 0 or read[place - 1]["kind"] != INNER):
            partition, at = partition + 1, at + 1
        elif one["kind"] == OPERATOR:
            at += 1
        if at >= len(clocks):
            return None
        inner = one["kind"] == INNER
        found.append({
            "op": one["name"], "node": None if inner else one["index"], "partition": partition if inner else None,
            "instructions": clocks[at] - clocks[at - 1],
        })  # fmt: skip
        at += 1
    after = sum(2 for one in read[start + 1 + len(found) :])
    around = sum(one["kind"] == AROUND for one in read[:start])
    return found if at + 1 + around + after == len(clocks) else None


def _named(raw: list[dict[str, Any]], placement: Placement) -> tuple[OperatorCount, ...]:
    total = sum(one["instructions"] for one in raw) or 1
    return tuple(
        OperatorCount(
            op=owner.op if owner else one["op"], kernel=one["op"], layer=owner.layer if owner else "",
            dtype=owner.dtype if owner else "", node=owner.index if owner else None,
            delegated=one["partition"] is not None, instructions=one["instructions"],
            share=one["instructions"] / total,
        )
        for one, owner in zip(raw, owners_of(raw, placement), strict=True)
    )  # fmt: skip
