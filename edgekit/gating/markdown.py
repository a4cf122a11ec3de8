"""A gate as Markdown, for the comment on a pull request."""

from __future__ import annotations

from edgekit.gating.gate import Gate
from edgekit.rules import Checked

MARKS = {"met": "passed", "broken": "**failed**", "unclear": "unclear", "unmeasured": "**not measured**"}


def markdown(found: Gate) -> str:
    failed = [one for one in found.checked if one.failed]
    head = f"### edgekit gate: {f'{len(failed)} of {len(found.checked)} rules failed' if failed else 'passed'}"
    lines = [head, "", *(f"- {_plain(one.sentence)}." for one in failed), *([""] if failed else [])]
    lines += ["| file | rule | measured | limit | |", "|---|---|---|---|---|"]
    lines += [_row(one) for one in found.checked]
    return "\n".join([*lines, *(["", f"Baseline: {_plain(found.baseline)}"] if found.baseline else [])]) + "\n"


def _row(one: Checked) -> str:
    limit = f"{'at least' if one.rule.least else 'at most'} {one.limit:g}{one.rule.unit}"
    return f"| {_plain(one.file)} | `{one.rule.name}` | {_measured(one)} | {limit} | {MARKS[one.state]} |"


def _measured(one: Checked) -> str:
    if one.figure is None:
        return "-"
    interval = one.figure.interval
    ends = f" ({interval[0]:.4g} to {interval[1]:.4g})" if interval else ""
    return f"{one.figure.value:.4g}{one.rule.unit}{ends}"


def _plain(text: str) -> str:
    """Names come out of untrusted files: nothing in them is Markdown."""
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return "".join(f"\\{one}" if one in "\\`*_[]<>|#" else one for one in shown)
