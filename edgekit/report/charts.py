"""Vega-Lite charts by Altair, a few rows each with their figures written beside them. Needs the [report] extra.

Colours are the page's CSS variables, so one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import pandas as pd

from edgekit.report import wording
from edgekit.report.answers import answers
from edgekit.report.drawing import CHOSEN, INK, MUTED, OTHER, Drawn, Row, drawn, scale_of
from edgekit.report.fronts import fronts, rows_of_one
from edgekit.report.trial_charts import trial_charts

Results = Mapping[str, Any]
ROW = 44  # pixels a variant


def charts(results: Results) -> tuple[Drawn, ...]:
    """The Pareto fronts (with labels or classes), accuracy (with labels), size and latency of the variants, then the
    training curves (of what was trained) and what was measured besides."""
    history = results["training"]["history"]
    labelled = results["variants"][0]["top1"] is not None
    return (
        *answers(results.get("evidence")),
        *fronts(rows_of_one(results["variants"]), "top1" if labelled else "agreement"),
        *(_variants(figure, results["variants"]) for figure in FIGURES if labelled or figure.name != "accuracy"),
        *(_curves(*curve, results["training"]) for curve in (CURVES if history else ())),
        *trial_charts(results),
    )


@dataclass(frozen=True)
class Figure:
    """A chart with a row a variant: `value`, an optional interval, and the label beside the mark."""

    name: str
    title: str
    note: str
    unit: str
    value: Callable[[Row], float]
    ends: Callable[[Row], Sequence[float]]
    label: Callable[[Row], str]
    from_zero: bool = True


FIGURES = (
    Figure("accuracy", "Top-1 accuracy", "with its 95 % interval; the axis does not start at 0", "% of the test images",
           lambda r: 100 * r["top1"]["value"], lambda r: [100 * end for end in r["top1"]["ci95"]],
           lambda r: f"{wording.percent(r['top1']['value'])}", from_zero=False),
    Figure("size", "File size", "less is better", "MB", lambda r: r["size_bytes"] / 1e6,
           lambda r: [r["size_bytes"] / 1e6] * 2,
           lambda r: f"{wording.size(r['size_bytes'])}, gzip {wording.size(r['gzip_bytes'])}"),
    Figure("latency", "Latency of one image", "median with its 95 % interval; less is better", "ms",
           lambda r: r["latency_ms"]["median"], lambda r: r["latency_ms"]["ci95"],
           lambda r: f"{wording.significant(r['latency_ms']['median'])} ms, p90 "
                     f"{wording.significant(r['latency_ms']['p90'])}"),
)  # fmt: skip
CURVES = (
    ("accuracy-curve", "Top-1 while training", "top-1, %", {"train_top1": "training", "val_top1": "validation"}, 100.0),
    ("loss-curve", "Loss while training", "loss", {"train_loss": "training", "val_loss": "validation"}, 1.0),
)


def _variants(figure: Figure, rows: Sequence[Row]) -> Drawn:
    frame = _frame(figure, rows)
    base = alt.Chart(frame).encode(y=alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelFontSize=13)))
    colour = alt.condition("datum.chosen", alt.value(CHOSEN), alt.value(OTHER))
    length, place = base.mark_bar(height=12, cornerRadiusEnd=2), base.mark_point(filled=True, size=110, opacity=1)
    mark = (length if figure.from_zero else place).encode(
        x=alt.X("value:Q", title=figure.unit, scale=scale_of(frame, figure.from_zero),
                axis=alt.Axis(tickCount=5, grid=not figure.from_zero)),
        color=colour, tooltip=["variant:N", alt.Tooltip("label:N", title=figure.title)],
    )  # fmt: skip
    whisker = base.mark_rule(strokeWidth=2).encode(
        x="low:Q", x2="high:Q", color=alt.value(INK) if figure.from_zero else colour
    )
    # The label stands above its mark: there it fits whatever the value, on a phone too.
    label = base.mark_text(align="left", dy=-14, fontSize=12, color=INK).encode(
        text="label:N", x=alt.value(2) if figure.from_zero else alt.X("low:Q")
    )
    said = "; ".join(f"{row['variant']} {figure.label(row)}" for row in rows)
    layered = alt.layer(mark, whisker, label).properties(height=ROW * len(rows), width="container")
    return drawn(figure.name, figure.title, figure.note, f"{figure.title}: {said}.", layered)


def _frame(figure: Figure, rows: Sequence[Row]) -> pd.DataFrame:
    columns = ("variant", "chosen", "value", "low", "high", "label")
    return pd.DataFrame(
        [(row["variant"] + (" ✓" if row["chosen"] else ""), row["chosen"], figure.value(row), *figure.ends(row),
          figure.label(row)) for row in rows], columns=list(columns))  # fmt: skip


def _curves(name: str, title: str, unit: str, columns: Mapping[str, str], times: float, training: Row) -> Drawn:
    history, best = training["history"], training["best_epoch"]
    frame = pd.DataFrame([(row["epoch"], of, times * row[column]) for row in history for column, of in columns.items()],
                         columns=["epoch", "of", "value"])  # fmt: skip
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", values=_epochs(history)))
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=False))
    names = list(columns.values())
    colour = alt.Color("of:N", legend=None, scale=alt.Scale(domain=names, range=[OTHER, CHOSEN]))
    dash = alt.StrokeDash("of:N", legend=None, scale=alt.Scale(domain=names, range=[[5, 4], [1, 0]]))
    base = alt.Chart(frame).encode(x=x, y=y, color=colour)
    layers = [base.mark_line(strokeWidth=2).encode(strokeDash=dash),
              base.mark_point(filled=True, size=22).encode(
                  tooltip=["of:N", "epoch:Q", alt.Tooltip("value:Q", format=".4")]),
              _names(frame, history, x, y), *([_kept(best)] if best else [])]  # fmt: skip
    kept = next((row for row in history if row["epoch"] == best), history[-1])
    said = ", ".join(f"{of} {times * kept[column]:.4g}" for column, of in columns.items())
    note = f"the upright line marks epoch {best}, whose weights were kept" if best else ""
    spoken = f"{title} over {wording.counted(len(history), 'epoch')}; at epoch {kept['epoch']:.0f}: {said}."
    layered = alt.layer(*layers).properties(height=220, width="container")
    return replace(drawn(name, title, note, spoken, layered), kind="curve")


def _epochs(history: Sequence[Row]) -> list[int]:
    """Whole epochs to label: at most seven, evenly apart."""
    step = math.ceil(len(history) / 7)
    return [int(row["epoch"]) for row in history if row["epoch"] % step == 0]


def _kept(best: int) -> Any:
    """The rule at the epoch whose weights were kept."""
    return alt.Chart(pd.DataFrame({"epoch": [best]})).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x="epoch:Q")


def _names(frame: pd.DataFrame, history: Sequence[Row], x: Any, y: Any) -> Any:
    """Each curve's name behind its last point; apart from each other where the curves meet."""
    last = frame[frame["epoch"] == history[-1]["epoch"]].sort_values("value")
    spread = float(frame["value"].max() - frame["value"].min()) or 1.0
    near = float(last["value"].max() - last["value"].min()) < 0.09 * spread
    return alt.layer(
        *(
            alt.Chart(last.iloc[[place]])
            .mark_text(align="left", dx=7, dy=(8, -8)[place] if near else 0, fontSize=12)
            .encode(x=x, y=y, text="of:N", color=alt.value(INK))
            for place in range(len(last))
        )
    )
