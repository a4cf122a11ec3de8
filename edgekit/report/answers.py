"""The answers of a file as charts: whether its confidence is worth its name, and what it takes for what."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import pandas as pd

from edgekit.report import wording
from edgekit.report.drawing import CHOSEN, INK, MUTED, OTHER, Drawn, Row, drawn

MOST_CLASSES = 30  # of a matrix whose names can be read


def answers(evidence: Row | None) -> tuple[Drawn, ...]:
    """The reliability curve, and the confusion matrix where its names can be read."""
    if not evidence:
        return ()
    few = len(evidence["per_class"]) <= MOST_CLASSES
    return (_reliability(evidence), *([_confusion(evidence)] if few else []))


def _reliability(evidence: Row) -> Drawn:
    names = list(evidence["calibration"])
    frame = pd.DataFrame([
        {"file": name, "images": one["n"], **{key: 100 * one[key] for key in ("confidence", "accuracy")}}
        for name, found in evidence["calibration"].items() for one in found["bins"] if one["n"]])  # fmt: skip
    ends = alt.Scale(domain=[0, 100], nice=False)
    x = alt.X("confidence:Q", title="confidence, %", scale=ends, axis=alt.Axis(tickCount=5))
    y = alt.Y("accuracy:Q", title="right, %", scale=ends, axis=alt.Axis(tickCount=5))
    colours = [OTHER, CHOSEN][-len(names) :]
    colour = alt.Color("file:N", scale=alt.Scale(domain=names, range=colours), legend=alt.Legend(
        orient="bottom", title=None, labelColor=INK, labelFontSize=12))  # fmt: skip
    even = pd.DataFrame({"confidence": [0, 100], "accuracy": [0, 100]})
    base = alt.Chart(frame).encode(x=x, y=y, color=colour)
    layered = alt.layer(
        alt.Chart(even).mark_line(color=MUTED, strokeDash=[3, 3]).encode(x=x, y=y),
        base.mark_line(strokeWidth=2),
        base.mark_point(filled=True, size=60, opacity=1).encode(tooltip=[
            "file:N", alt.Tooltip("confidence:Q", format=".1f"), alt.Tooltip("accuracy:Q", format=".1f"), "images:Q"]),
    ).properties(height=240, width="container")  # fmt: skip
    said = "; ".join(f"{name} {wording.percent(one['ece'], 1)}" for name, one in evidence["calibration"].items())
    note = "below the dashed line a file is surer than it is right; above it is too modest"
    return replace(
        drawn("reliability", "Confidence and accuracy", note, f"Calibration error: {said}.", layered), kind="answers"
    )


def _confusion(evidence: Row) -> Drawn:
    names = [one["class"] for one in evidence["per_class"]]
    matrix = evidence["confusion"]
    frame = pd.DataFrame([
        {"label": label, "answer": answer, "images": count, "share": count / max(1, sum(row)),
         "said": f"{count:,}" if count else ""}
        for label, row in zip(names, matrix, strict=True)
        for answer, count in zip(names, row, strict=True)])  # fmt: skip
    base = alt.Chart(frame).encode(
        x=alt.X("answer:N", sort=None, title="answer", axis=alt.Axis(labelAngle=-45, labelLimit=90)),
        y=alt.Y("label:N", sort=None, title="label", axis=alt.Axis(labelLimit=90)),
        tooltip=["label:N", "answer:N", "images:Q", alt.Tooltip("share:Q", format=".1%")],
    )
    layered = alt.layer(
        base.mark_rect(color=CHOSEN).encode(opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(
            domain=[0, 1], range=[0.03, 0.55]))),
        base.mark_text(fontSize=10, color=INK).encode(text="said:N"),
    ).properties(height=max(240, 22 * len(names)), width="container")  # fmt: skip
    worst = evidence["confused"][:3]
    said = ", ".join(f"{one['label']} for {one['prediction']} {one['n']:,} times" for one in worst) or "nothing"
    note = "test images of each label (row) by what was answered (column)"
    return replace(drawn("confusion", "Confusion", note, f"Most often taken: {said}.", layered), kind="answers")
