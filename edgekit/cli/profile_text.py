"""A profile on the screen: the longest operators with bars, their kinds, the placement, the advice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.measurement.advice import Advice
from edgekit.measurement.look import Look
from edgekit.measurement.profile import OperatorTime, Profile

BAR = 24  # characters of the longest
LONGEST = 15  # operators shown one by one
KINDS = 8
WIDE = 44  # characters of a layer's name


def look_text(found: Look) -> str:
    """A profile and its advice, or the placement alone."""
    if found.profile is None:
        return f"{found.file}: {found.placement.text()}"
    return profile_text(found.profile, found.advice)


def profile_text(found: Profile, advised: Sequence[Advice]) -> str:
    return "\n\n".join([_whole(found), _longest(found), _kinds(found), found.placement.text(), *_advised(advised)])


def _whole(found: Profile) -> str:
    """How the operators' sum stands to the inference: what is missing is said."""
    whole, profiled = found.whole_us, found.profiled_us
    shares = [100 * found.sum_us / of.median for of in (whole, profiled)]
    return (
        f"{found.file}: {whole.median:.4g} us an inference (median of {whole.n}), "
        f"{profiled.median:.4g} us with the profiler (median of {profiled.n}).\n"
        f"Its {len(found.operators)} operators add up to {found.sum_us:.4g} us: {shares[0]:.0f} % of an inference, "
        f"{shares[1]:.0f} % of one with the profiler; the rest is between them."
    )


def _longest(found: Profile) -> str:
    ordered = sorted(found.operators, key=lambda one: -one.share)
    rows = [_row(one, one.share / ordered[0].share if ordered[0].share else 0.0) for one in ordered[:LONGEST]]
    rest = ordered[LONGEST:]
    more = f"and {len(rest)} more with {100 * sum(one.share for one in rest):.1f} % of the time" if rest else ""
    return "\n".join([_table(rows), *([more] if more else [])])


def _row(one: OperatorTime, length: float) -> dict[str, Any]:
    return {
        "": _bar(length),
        "share": f"{100 * one.share:.1f} %",
        "median us": f"{one.median_us:.1f}",
        "mean us": f"{one.mean_us:.1f}",
        "runs": one.runs,
        "in": "delegate" if one.delegated else "runtime",
        "op": f"{one.op} {one.dtype}".strip(),
        "layer": _short(one.layer),
    }


def _kinds(found: Profile) -> str:
    sums: dict[tuple[str, str], list[float]] = {}
    for one in found.operators:
        where = "delegate" if one.delegated else "runtime"
        sums.setdefault((f"{one.op} {one.dtype}".strip(), where), []).append(one.share)
    ordered = sorted(sums.items(), key=lambda item: -sum(item[1]))[:KINDS]
    largest = sum(ordered[0][1]) if ordered else 0.0
    rows = [
        {"": _bar(sum(shares) / largest if largest else 0.0), "share": f"{100 * sum(shares):.1f} %",
         "count": len(shares), "in": where, "kind": kind} for (kind, where), shares in ordered
    ]  # fmt: skip
    return _table(rows)


def _advised(advised: Sequence[Advice]) -> list[str]:
    return ["\n".join(["Advice", *(f"- {one.text()}" for one in advised)])] if advised else []


def _table(rows: list[dict[str, Any]]) -> str:
    """Columns of one width each; the bars and the names start at the left."""
    columns = list(rows[0]) if rows else []
    width = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in columns}
    left = {"", "op", "kind", "layer", "in"}
    lines = [{name: name for name in columns}, *rows]
    return "\n".join(
        "  ".join(
            str(line[name]).ljust(width[name]) if name in left else str(line[name]).rjust(width[name])
            for name in columns
        ).rstrip()
        for line in lines
    )


def _bar(length: float) -> str:
    return "█" * max(1, round(BAR * length)) if length > 0 else ""


def _short(name: str) -> str:
    """The first of the names that a converter joined, and of a long one its end, which tells layers apart."""
    first = name.split(";")[0]
    return first if len(first) <= WIDE else "…" + first[-(WIDE - 1) :]
