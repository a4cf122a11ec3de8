"""Charts of what a run has measured besides: curves under corruptions, the ratio along the network, seeds."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import pandas as pd

from edgekit.data.corrupt import RESIZE
from edgekit.report import wording
from edgekit.report.drawing import CHOSEN, INK, OTHER, Drawn, Row, drawn, scale_of

ROW = 44  # pixels a variant
KINDS = {"jpeg": "JPEG"}
UNORDERED = (RESIZE,)  # its severities are filters, one as strong as the other: the table has them
COLOURS = (OTHER, CHOSEN, *(f"var(--run-{number})" for number in range(2, 7)))  # files of one chart


def trial_charts(results: Row, number: str = "") -> tuple[Drawn, ...]:
    """A curve a corruption, the signal to noise ratio along the network, the seeds: of what was measured. `number` is
    put behind the names of the charts, which are one of a kind on a page."""
    curves, parting, repeats = (results.get(name) for name in ("robustness", "layers", "repeats"))
    return (
        *(_corruptions(curves, number) if curves else ()),
        *([_layers(parting, number)] if parting and parting["why"] is None and _known(parting) else []),
        *([_seeds(repeats)] if repeats else []),
    )


def _corruptions(found: Row, number: str) -> tuple[Drawn, ...]:
    """One for each corruption whose severities have an order, each beginning with the images as they are."""
    points = found["points"]
    kinds = dict.fromkeys(one["corruption"] for one in points if one["severity"] and one["corruption"] not in UNORDERED)
    clean = [one for one in points if one["severity"] == 0]
    named = {kind: [*clean, *(one for one in points if one["corruption"] == kind)] for kind in kinds}
    return tuple(_curve(f"corrupted-{kind}{number}", kind, shown) for kind, shown in named.items())


def _curve(name: str, kind: str, points: list[Row]) -> Drawn:
    frame = pd.DataFrame([
        {"file": one["file"], "severity": one["severity"], "strength": one["strength"],
         "top1": 100 * one["top1"]["value"], "low": 100 * one["top1"]["ci95"][0], "high": 100 * one["top1"]["ci95"][1]}
        for one in points])  # fmt: skip
    names = list(dict.fromkeys(frame["file"]))
    colour = alt.Color("file:N", scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])), legend=alt.Legend(
        orient="bottom", title=None, labelColor=INK, labelFontSize=12, labelLimit=300, symbolOpacity=1))  # fmt: skip
    steps = sorted(set(frame["severity"]))
    x = alt.X("severity:Q", title="severity", scale=alt.Scale(domain=[0, steps[-1]], nice=False),
              axis=alt.Axis(values=steps, format="d"))  # fmt: skip
    y = alt.Y("top1:Q", title="top-1, %", scale=scale_of(frame, from_zero=False), axis=alt.Axis(tickCount=4))
    base = alt.Chart(frame).encode(x=x, color=colour)
    tips = ["file:N", "strength:N", alt.Tooltip("top1:Q", format=".1f")]
    layered = alt.layer(
        base.mark_area(opacity=0.12).encode(y=alt.Y("low:Q", title="top-1, %"), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=50, opacity=1).encode(y=y, tooltip=tips),
    ).properties(height=170, width="container")
    said = "; ".join(f"{file} {rows['top1'].iloc[0]:.1f} % as they are, {rows['top1'].iloc[-1]:.1f} % at the last"
                     for file, rows in frame.groupby("file", sort=False))  # fmt: skip
    note = f"{frame['strength'].iloc[-1]} at the last; the bands are 95 % intervals"
    return replace(
        drawn(name, KINDS.get(kind, kind.capitalize()), note, f"Top-1 under {kind}: {said}.", layered), kind="corrupted"
    )


def _layers(found: Row, number: str) -> Drawn:
    """The ratio at every tensor that both files have, in the order of the network."""
    known = _known(found)
    frame = pd.DataFrame([{"place": place, "tensor": one["tensor"].split(";")[0], "op": one["op"],
                           "dB": one["sqnr_db"], "loses": one["lost_db"]} for place, one in known])  # fmt: skip
    x = alt.X("place:Q", title="operator, from the input on", axis=alt.Axis(format="d", tickMinStep=1))
    y = alt.Y("dB:Q", title="signal to noise, dB", scale=alt.Scale(zero=False))
    base = alt.Chart(frame).encode(x=x, y=y)
    layered = alt.layer(
        base.mark_line(strokeWidth=2, color=CHOSEN),
        base.mark_point(filled=True, size=40, opacity=1, color=CHOSEN).encode(
            tooltip=["op:N", "tensor:N", alt.Tooltip("dB:Q", format=".1f"), alt.Tooltip("loses:Q", format=".1f")]),
    ).properties(height=240, width="container")  # fmt: skip
    note = f"{found['other']} against {found['reference']}, {found['images']} images; more is nearer"
    low = min(known, key=lambda one: one[1]["sqnr_db"])[1]
    said = (
        f"From {frame['dB'].iloc[0]:.1f} dB to {frame['dB'].iloc[-1]:.1f}; least {low['sqnr_db']:.1f} at {low['op']}."
    )
    return replace(drawn(f"layers{number}", "Signal to noise along the network", note, said, layered), kind="layers")


def _known(found: Row) -> list[tuple[int, Row]]:
    """Place and row of the tensors that differ at all."""
    return [(place, one) for place, one in enumerate(found["rows"], 1) if one["sqnr_db"] is not None]


def _seeds(found: Row) -> Drawn:
    rows = [{"variant": variant, "seed": seed, "top1": 100 * value, "low": 100 * min(one["top1"]["values"]),
             "high": 100 * max(one["top1"]["values"]), "mean": 100 * one["top1"]["mean"]}
            for variant, one in found["variants"].items()
            for seed, value in zip(found["seeds"], one["top1"]["values"], strict=True)]  # fmt: skip
    frame = pd.DataFrame(rows)
    x = alt.X("top1:Q", title="% of the test images", scale=scale_of(frame, from_zero=False),
              axis=alt.Axis(tickCount=5))  # fmt: skip
    base = alt.Chart(frame).encode(y=alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelFontSize=13)))
    layered = alt.layer(
        base.mark_rule(strokeWidth=2, color=OTHER).encode(x=alt.X("low:Q", title="% of the test images"), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=0.8, color=CHOSEN).encode(
            x=x, tooltip=["variant:N", "seed:N", alt.Tooltip("top1:Q", format=".2f")]),
        base.mark_tick(thickness=2, size=22, color=INK).encode(x="mean:Q"),
    ).properties(height=ROW * len(found["variants"]), width="container")  # fmt: skip
    said = "; ".join(f"{variant} {wording.percent(one['top1']['mean'])}" for variant, one in found["variants"].items())
    note = "a dot a seed, the upright line is their mean"
    chart = drawn(
        "seeds", "Top-1 of every seed", note, f"Mean top-1 over {len(found['seeds'])} seeds: {said}.", layered
    )
    return replace(chart, kind="seeds")
