"""Counts of instructions on the screen: a table, what the outputs are worth, and where most instructions go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.measurement.emulated.estimate import Estimate
from edgekit.measurement.emulated.gate import GatedCount
from edgekit.measurement.emulated.record import InstructionCount, OperatorCount

MOST = 8  # operators shown of a file


def counts_text(counts: Sequence[InstructionCount], gated: Sequence[GatedCount]) -> str:
    import pandas as pd

    table = pd.DataFrame([_row(one) for one in counts]).to_string(index=False)
    seen = counts[0].conditions
    where = f"{seen['runtime']} for aarch64 under QEMU {seen['qemu']}, one thread; instructions are no time."
    doubts = [f"{one.file} on {one.device}: {'; '.join(one.doubts)}" for one in counts if one.doubts]
    operators = [text for one in counts if (text := _operators(one))]
    return "\n".join([table, "", where, *_estimates(counts), *doubts, *(one.sentence for one in gated), *operators])


def _row(one: InstructionCount) -> dict[str, Any]:
    return {
        "file": one.file,
        "device": one.device,
        "core": one.core,
        "batch": one.batch,
        "xnnpack": "on" if one.xnnpack else "off",
        "instructions": f"{one.instructions:,}",
        "spread": f"{one.spread:,}",
        "n": len(one.each),
        "outputs": _outputs(one),
    }


def _outputs(one: InstructionCount) -> str:
    found = one.outputs
    if found.equal:
        return "bit for bit as here"
    if found.max_relative is None:
        return "not finite"
    return f"within {100 * found.max_relative:.2g} % of those here"


def _estimates(counts: Sequence[InstructionCount]) -> list[str]:
    """One line a file that has an estimate, and one a reason why others have none."""
    found = [(one, one.estimate) for one in counts]
    told = [f"{one.file} on {one.device}: {value.text}." for one, value in found if isinstance(value, Estimate)]
    reasons = dict.fromkeys(value for _, value in found if isinstance(value, str))
    return [*told, *(f"No latency is estimated: {reason}." for reason in reasons)]


def _operators(one: InstructionCount) -> str:
    if not one.operators:
        return f"{one.file} on {one.device}: not by operator: {one.operators_refused}." if one.operators_refused else ""
    most = sorted(one.operators, key=lambda operator: -operator.instructions)[:MOST]
    lines = [f"\n{one.file} on {one.device}, the operators with most instructions:", *map(_line, most)]
    return "\n".join(lines)


def _line(one: OperatorCount) -> str:
    what = f"{one.op} {one.dtype}".strip()
    return f"  {100 * one.share:5.1f} %  {one.instructions:>13,}  {what:<28} {one.layer[-44:]}".rstrip()
