"""Findings on the screen."""

from __future__ import annotations

from edgekit.findings.examine import Examined
from edgekit.findings.finding import KINDS, Finding
from edgekit.findings.installation import Installation
from edgekit.runtime.escape import escaped


def examined_text(found: Examined) -> str:
    seen = found.evidence
    top1 = f", top-1 {seen.evaluation.top1.value:.1%} of {seen.evaluation.n} images" if seen.evaluation else ""
    head = f"{escaped(seen.file)}: {seen.inspection.size_bytes:,} bytes, {seen.inspection.macs:,} MACs{top1}"
    parts = [head, *(_finding(number, one) for number, one in enumerate(found.findings, 1))]
    if not found.findings:
        parts.append("Nothing is found wrong.")
    if seen.evaluation is None:
        parts.append("Nothing is said of accuracy: give labelled images with --data.")
    skipped = [one.title for one in seen.verification.results if one.status == "skipped"] if seen.verification else []
    parts += [f"Not asked: {', '.join(skipped)} (edgekit verify says how)."] if skipped else []
    parts += [f"Not known: {escaped(one)}" for one in seen.unknown]
    return "\n\n".join(parts)


def _finding(number: int, one: Finding) -> str:
    cost = f", {one.cost:.0%}" if one.cost and one.kind != "broken" else ""
    return f"{number}. {one.said} [{one.name}: {KINDS[one.kind]}{cost}]\n   seen:  {one.evidence}\n   mends: {one.fix}"


def installation_text(found: Installation) -> str:
    width = max(len(one.name) for one in found.parts)
    lines = []
    for one in found.parts:
        fix = f" ({one.fix})" if one.fix and one.state != "works" else ""
        lines.append(f"{one.state:<7}  {one.name:<{width}}  {escaped(one.said)}{fix}")
    return "\n".join(lines)
