"""Where the chosen file's time goes, operator by operator, and what the delegate leaves to the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.report import wording

Results = Mapping[str, Any]
Facts = list[tuple[str, str]]
INSIDE_TITLES = ("Operator", "Layer", "Share", "Median µs", "Runs in")
MOST = 12  # operators; results.json has all
WIDE = 40  # characters of a layer's name


def inside_facts(results: Results) -> Facts:
    """Nothing for a run that has not looked (one of an earlier version)."""
    found = results.get("inside")
    if not found:
        return []
    place = found["placement"]
    told = [("File", found["file"]), ("Placement", _placed(place))]
    told += [("Outside", said) for said in _outside(place)]
    if found["profile"] is None:
        return [*told, ("Times", f"not measured: {found['why']}")]
    whole = found["profile"]["whole_us"]
    told.append(("An inference", f"{wording.significant(whole['median'])} µs, median of {whole['n']:,}"))
    return told + [("Advice", _advised(one)) for one in found["advice"]]


def inside_rows(results: Results) -> list[list[str]]:
    """The operators that take longest: rows under INSIDE_TITLES."""
    found = results.get("inside")
    if not found or found["profile"] is None:
        return []
    ordered = sorted(found["profile"]["operators"], key=lambda one: -one["share"])
    return [
        [
            f"{one['op']} {one['dtype']}".strip(),
            _short(one["layer"]),
            wording.percent(one["share"], 1),
            wording.significant(one["median_us"]),
            "delegate" if one["delegated"] else "runtime",
        ]
        for one in ordered[:MOST]
    ]


def _placed(place: Results) -> str:
    if place["delegate"] is None:
        return "no delegate: every operator runs in the runtime's own kernels"
    parts = wording.counted(place["partitions"], "part")
    return f"{place['delegate']} runs {place['delegated']:,} of {place['operators']:,} operators, in {parts}"


def _outside(place: Results) -> list[str]:
    """A line a kind of operator that the delegate leaves, with how many and why."""
    kinds: dict[tuple[str, str, str], int] = {}
    for one in place["outside"]:
        kinds[one["op"], one["dtype"], one["reason"]] = kinds.get((one["op"], one["dtype"], one["reason"]), 0) + 1
    return [f"{count} x {op} {dtype}: {reason}" for (op, dtype, reason), count in kinds.items()]


def _advised(one: Results) -> str:
    step = f" In a recipe: {one['step']}" if one["step"] else ""
    return f"{one['said']} ({wording.percent(one['share'], 0)} of the time).{step}"


def _short(layer: str) -> str:
    first = layer.split(";")[0]
    return first if len(first) <= WIDE else "…" + first[1 - WIDE :]
