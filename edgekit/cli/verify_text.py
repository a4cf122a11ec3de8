"""What verify found, on the screen. Names come out of an untrusted file and are escaped."""

from __future__ import annotations

from edgekit.runtime.escape import escaped
from edgekit.verification.trace import Trace, Untraced
from edgekit.verification.verify import Result, Verification

HEADINGS = ("runtime", "bits", "max difference", "same class", "verdict")
VERDICTS = {
    "first": "the others are held against it", "equal": "bit-equal", "within": "within the limit",
    "beyond": "BEYOND THE LIMIT", "failed": "no answer", "skipped": "skipped",
}  # fmt: skip
WIDE = 60  # characters of a layer's name


def verify_text(found: Verification) -> str:
    counted = ", ".join(f"{count} {kind}" for kind, count in found.inputs.items() if count)
    head = f"{escaped(found.file)}: computes in {found.computes_in}; inputs: {counted}"
    rows = [HEADINGS, *(_cells(one) for one in found.results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [head, "", *table, "", "Runtimes with the same letter under bits gave the same bits.", *_notes(found)]
    )


def _cells(one: Result) -> tuple[str, ...]:
    title = f"{one.title} ({one.runtime})" if one.runtime else one.title
    return title, one.group, _apart(one), _agreement(one), VERDICTS[one.status]


def _apart(one: Result) -> str:
    apart = one.difference
    if apart is None or apart.bit_equal:
        return "0" if apart else ""
    if apart.max_relative is None or apart.max_abs is None:
        return "not finite"
    if apart.max_steps is None:
        return f"{apart.max_abs:.2g} ({apart.max_relative:.1g} of the largest)"
    scores = one.trace.score_steps if isinstance(one.trace, Trace) else None
    return f"{apart.max_steps:.3g} steps" + (f", {scores:.3g} before the softmax" if scores is not None else "")


def _agreement(one: Result) -> str:
    share = one.difference.agreement if one.difference else None
    return "" if share is None else f"{100 * share:.1f} %"


def _notes(found: Verification) -> list[str]:
    lines = []
    reasons: dict[str, list[str]] = {}
    for one in found.results:
        if one.status in ("within", "beyond"):
            lines.append(f"{one.title}: {_first(one)}")
            if one.limit:
                reasons.setdefault(one.limit.why, []).append(one.title)
        if one.status in ("failed", "skipped", "beyond"):
            remedy = f" ({one.remedy})" if one.remedy else ""
            lines.append(f"{one.title}: {VERDICTS[one.status].lower()}: {one.reason}{remedy}")
        arena = (one.notes or {}).get("arena_bytes")
        if arena is not None:
            lines.append(f"{one.title}: its recording allocator counted an arena of {arena:,} bytes")
    return [*lines, *(f"Why: {why} ({', '.join(titles)})" for why, titles in reasons.items())]


def _first(one: Result) -> str:
    if isinstance(one.trace, Trace):
        at = one.trace
        apart = f"{at.max_steps:.3g} steps" if at.max_steps is not None else f"{at.max_abs:.2g}"
        name = escaped(at.layer)
        name = name if len(name) <= WIDE else f"{name[:WIDE]}…"
        where = f"{at.op} (operator {at.operator}, {name})"
        return f"first differs in {where}: {100 * at.differing:.2g} % of its values, by up to {apart}"
    reason = one.trace.reason if isinstance(one.trace, Untraced) else ""
    return f"the first operator that differs is not known: {reason}"
