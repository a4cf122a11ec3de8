"""Pareto fronts: what each file costs against what it is worth. Needs the [report] extra."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from edgekit.report import wording
from edgekit.report.across import Across
from edgekit.report.drawing import CHOSEN, INK, MUTED, OTHER, Drawn, Row, drawn, scale_of
from edgekit.report.front import front

GAINS = {"top1": "Top-1", "agreement": "Same answer as the model"}
COSTS = (
    ("size", "file size", "MB", lambda r: None if r["size_bytes"] is None else r["size_bytes"] / 1e6),
    ("latency", "latency of one image", "ms", lambda r: r["latency_ms"] and r["latency_ms"]["median"]),
)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
WIDE = 8  # from so many times the least on an axis is logarithmic
RUN_COLOURS = tuple(f"var(--run-{number})" for number in range(1, 7))


def fronts_across(found: Across) -> tuple[Drawn, ...]:
    """Those of all variants of all runs. Latency only where it was measured under the same conditions."""
    return fronts(found.rows, found.gain, found.names)


def fronts(rows: Sequence[Row], gain: str, runs: Sequence[str] = ("",)) -> tuple[Drawn, ...]:
    """`rows` with id, run and machine. A chart needs two points."""
    found = []
    for name, title, unit, cost in COSTS:
        known = [row for row in rows if row[gain] and cost(row) is not None]
        same = name != "latency" or len({row["machine"] for row in known}) == 1
        if len(known) > 1 and same:
            found.append(_front(name, title, unit, cost, known, gain, runs))
    return tuple(found)


def rows_of_one(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "id": row["variant"], "run": "", "machine": ""} for row in rows]


def _front(
    name: str, title: str, unit: str, cost: Callable[[Row], Any], rows: Sequence[Row], gain: str, runs: Sequence[str]
) -> Drawn:
    frame = _points(cost, rows, gain, len(runs) > 1)
    low, high = float(frame["cost"].min()), float(frame["cost"].max())
    wide = low > 0 and high > WIDE * low
    scale = (alt.Scale(type="log", domain=[low / 1.4, high * 1.8], nice=False) if wide
             else alt.Scale(domain=[0, 1.18 * high], nice=False))  # fmt: skip
    axis = alt.Axis(values=_decades(low / 1.4, high * 1.8)) if wide else alt.Axis(tickCount=5)
    x = alt.X("cost:Q", title=f"{title}, {unit}{', logarithmic' if wide else ''}", scale=scale, axis=axis)
    y = alt.Y("gain:Q", title=f"{GAINS[gain]}, %", axis=alt.Axis(tickCount=5), scale=scale_of(frame, False))
    told = [alt.Tooltip(field, title=what) for field, what in
            (("id:N", "file"), ("said:N", GAINS[gain]), ("size:N", "size"), ("ms:N", "latency"))]  # fmt: skip
    best = alt.Chart(frame[frame["on"]])
    # Names stand on the side where there is room, on a phone too.
    named, inner = frame["on"] | frame["chosen"], frame["cost"] < (math.sqrt(low * high) if wide else 0.6 * high)
    layers = [
        best.mark_line(interpolate="step-after", color=MUTED, strokeDash=[3, 3]).encode(x=x, y=y),
        alt.Chart(frame).mark_rule(strokeWidth=1, opacity=0.45).encode(
            x=x, y=alt.Y("low:Q"), y2="high:Q", color=_of_run(runs)),
        alt.Chart(frame).mark_point(filled=True, size=110, opacity=1).encode(
            x=x, y=y, color=_of_run(runs), tooltip=told, shape=_shape(runs)),
        *(alt.Chart(frame[named & (inner if align == "left" else ~inner)])
          .mark_text(align=align, dx=8 if align == "left" else -8, dy=-8, fontSize=12, color=INK)
          .encode(x=x, y=y, text="label:N") for align in ("left", "right")),
    ]  # fmt: skip
    ahead = ", ".join(frame[frame["on"]]["id"])
    spoken = f"{GAINS[gain]} against {title} of {len(rows)} files; no other file beats {ahead}."
    layered = alt.layer(*layers).properties(height=300, width="container")
    note = "up and to the left is better; the dashed line is the Pareto front, whose files no other beats in both"
    return replace(drawn(f"front-{name}", f"{GAINS[gain]} and {title}", note, spoken, layered), kind="front")


def _points(cost: Callable[[Row], Any], rows: Sequence[Row], gain: str, several: bool) -> pd.DataFrame:
    """A row a file: where it stands, whether it is `on` the front, and what is written beside it and on hover."""
    on = front([(cost(row), row[gain]["value"]) for row in rows])
    return pd.DataFrame([
        {"id": row["id"], "run": row["run"], "cost": cost(row), "gain": 100 * row[gain]["value"], "on": best,
         "low": 100 * row[gain]["ci95"][0], "high": 100 * row[gain]["ci95"][1], "chosen": row["chosen"],
         "label": (row["id"] if several else row["variant"]) + (" ✓" if row["chosen"] else ""),
         "said": f"{wording.percent(row[gain]['value'])} of {row[gain]['n']:,}",
         "size": wording.size(row["size_bytes"]),
         "ms": f"{wording.significant(row['latency_ms']['median'])} ms" if row["latency_ms"] else "not measured"}
        for row, best in zip(rows, on, strict=True)])  # fmt: skip


def _of_run(runs: Sequence[str]) -> Any:
    """A colour a run; of one run the chosen file's and the others'."""
    if len(runs) == 1:
        return alt.condition("datum.chosen", alt.value(CHOSEN), alt.value(OTHER))
    colours = [RUN_COLOURS[place % len(RUN_COLOURS)] for place in range(len(runs))]
    return alt.Color("run:N", scale=alt.Scale(domain=list(runs), range=colours), legend=alt.Legend(
        orient="bottom", title=None, labelColor=INK, labelFontSize=12, labelLimit=300))  # fmt: skip


def _shape(runs: Sequence[str]) -> Any:
    if len(runs) == 1:
        return alt.value("circle")
    return alt.Shape("run:N", scale=alt.Scale(domain=list(runs), range=[SHAPES[i % 6] for i in range(len(runs))]))


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten between the two: what a logarithmic axis is labelled with."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for step in (1, 2, 5) if low <= (value := step * 10.0**power) <= high]
