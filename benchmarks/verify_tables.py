"""The tables of docs/verify.md, made from results/verify.json: a row a runtime, a column a file."""

from __future__ import annotations

from typing import Any

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Row = dict[str, Any]


def with_measured(text: str, found: dict[str, Any]) -> str:
    """docs/verify.md with what is between its two marks made anew of `found`, the whole of results/verify.json."""
    files = found["raw"]
    parts = [_table(files, _bits), "The first operator whose values differ, and how many of them:",
             _table(files, _first), *_unanswered(files)]  # fmt: skip
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n" + "\n\n".join(parts) + f"\n{END}{rest.split(END)[1]}"


def _table(files: dict[str, Any], cell: Any) -> str:
    lines = [f"| runtime | {' | '.join(f'`{name}`' for name in files)} |", "|---" * (len(files) + 1) + "|"]
    for rows in zip(*(one["runtimes"] for one in files.values()), strict=True):
        lines.append(f"| {rows[0]['title']} | {' | '.join(map(cell, rows))} |")
    return "\n".join(lines)


def _bits(row: Row) -> str:
    """The letter, and how far it is from A: in codes, before a last softmax too where there is one; else of the
    largest."""
    if row["status"] in ("failed", "skipped"):
        return "no answer"
    apart = row["difference"]
    if apart is None or apart["bit_equal"]:
        return str(row["group"])
    scores = (row["first_difference"] or {}).get("score_steps")
    far = f"{apart['max_relative']:.1g}" if apart["max_steps"] is None else _steps(apart["max_steps"])
    far += "" if scores is None else f", {scores:.3g} before the softmax"
    agreement = f", {100 * apart['agreement']:.3g} % same class" if apart["agreement"] not in (None, 1.0) else ""
    return f"{row['group']}: {far}{agreement}{', **beyond the limit**' if row['status'] == 'beyond' else ''}"


def _first(row: Row) -> str:
    if row["status"] not in ("within", "beyond"):
        return ""
    at = row["first_difference"]
    if at is None:
        return str(row["untraced"])
    share = float(f"{100 * at['differing']:.2g}")
    far = f"{at['max_abs']:.1g}" if at["max_steps"] is None else _steps(at["max_steps"])
    return f"{at['op']} ({at['operator']}): {share:g} %, {far}"


def _steps(count: float) -> str:
    return f"{count:.3g} step{'s' * (count != 1)}"


def _unanswered(files: dict[str, Any]) -> list[str]:
    """A list of who gave no answer, and what it said."""
    said = [f"- {row['title']}, `{name}`: {row['reason']}" for name, one in files.items() for row in one["runtimes"]
            if row["status"] in ("failed", "skipped")]  # fmt: skip
    return ["No answer:", "\n".join(said)] if said else []
