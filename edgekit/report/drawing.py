"""What every chart has: its colours, which are the page's own variables, its scale, and the frame it is put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

Row = Mapping[str, Any]
INK, MUTED, GRID, CHOSEN, OTHER = (f"var(--{name})" for name in ("ink", "muted", "grid", "chosen", "other"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


@dataclass(frozen=True)
class Drawn:
    """`spec` is Vega-Lite; `note` says what to look at; `description` is read out instead of the picture."""

    name: str
    title: str
    note: str
    description: str
    spec: dict[str, Any]
    kind: str = "variants"  # or curve, front, answers, corrupted, layers, seeds


def scale_of(frame: pd.DataFrame, from_zero: bool) -> alt.Scale:
    """From 0 for lengths; else around the intervals, so that small differences can be seen."""
    if from_zero:
        return alt.Scale(domain=[0, float(frame["high"].max()) * 1.02], nice=False)
    low, high = float(frame["low"].min()), float(frame["high"].max())
    margin = 0.08 * max(high - low, 0.1)
    return alt.Scale(domain=[max(0.0, low - margin), min(100.0, high + margin)], nice=False, zero=False)


def drawn(name: str, title: str, note: str, description: str, chart: Any) -> Drawn:
    configured = (
        chart.properties(description=description, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .configure(background="transparent", font=FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=MUTED,
            gridColor=GRID,
            domainColor=GRID,
            tickColor=GRID,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_axisY(labelColor=INK, domain=False, ticks=False, labelPadding=8)
    )
    return Drawn(name, title, note, description, configured.to_dict())
