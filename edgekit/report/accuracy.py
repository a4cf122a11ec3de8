"""The evidence on accuracy, in words and rows: flips, chance, calibration, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.report import wording
from edgekit.report.tables import Column

Results = Mapping[str, Any]
Facts = list[tuple[str, str]]
CHANCE = 0.05
CONFUSED = 5  # pairs named
REFERENCE = "float32"


def accuracy_facts(results: Results) -> Facts:
    """Nothing for a run without labels, or of an earlier version."""
    found = results.get("evidence")
    if not found:
        return []
    sure = ", ".join(f"{name} {wording.percent(one['ece'], 1)}" for name, one in found["calibration"].items())
    pairs = ", ".join(f"{one['label']} for {one['prediction']} ({one['n']:,})" for one in found["confused"][:CONFUSED])
    weak = wording.listed(found["weak_classes"], 10) or "none"
    paired = [] if found["variant"] == REFERENCE else _paired(found)
    return [
        *paired,
        ("Calibration error", f"{sure}: how far confidence and accuracy are apart, on average (ECE)"),
        ("Classes under 70 %", weak),
        *([("Most often taken", pairs)] if pairs else []),
    ]


def _paired(found: Results) -> Facts:
    one = found["paired"]
    return [
        ("Flips against float32", f"{wording.flips(one)}, of {found['n']:,}"),
        ("Difference", difference(one["difference"], one["ci95"], one["p_value"])),
    ]


def difference(value: float, ci95: Sequence[float], p_value: float) -> str:
    """A difference of top-1, a fraction, with its paired interval and McNemar's test, in words."""
    chance = "more than chance explains" if p_value < CHANCE else "no more than chance explains"
    return (
        f"{100 * value:+.2f} points (95 % interval {wording.point_span(ci95)}), {chance} "
        f"(McNemar's test, p = {p_value:.2g})"
    )


def class_rows(results: Results) -> list[Results]:
    """Rows for CLASS_COLUMNS, the weakest class first."""
    found = results.get("evidence")
    known = found["per_class"] if found else []
    return sorted(known, key=lambda one: (one["recall"] is None, one["recall"] or 0.0, one["class"]))


def _share(name: str) -> Any:
    return lambda row: "" if row[name] is None else wording.percent(row[name], 1)


CLASS_COLUMNS = (
    Column("Class", lambda r: r["class"], lambda r: r["class"], number=False),
    Column("Images", lambda r: f"{r['support']:,}", lambda r: r["support"]),
    Column("Recall", _share("recall"), lambda r: r["recall"]),
    Column(
        "95 % interval", lambda r: wording.span(r["ci95"]) if r["ci95"] else "", lambda r: r["ci95"] and r["ci95"][0]
    ),
    Column("Precision", _share("precision"), lambda r: r["precision"]),
    Column("F1", _share("f1"), lambda r: r["f1"]),
    Column("Against float32", lambda r: wording.change(r["change"], "image"), lambda r: r["change"]),
)
