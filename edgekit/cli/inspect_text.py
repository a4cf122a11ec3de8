"""An inspection on the screen. Names come out of an untrusted file and are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgekit.runtime.escape import escaped
from edgekit.runtime.inspection import InspectedOp, Inspection, Port
from edgekit.runtime.targets import Target

WIDE = 40  # characters of a layer's name
MOST = 200  # operators shown one by one
LEFT = {"op", "layer", "shape", "dtype"}
NAMES = {
    "cpu": "CPU (XNNPACK)", "gpu": "GPU (LiteRT)", "microcontroller": "Microcontroller (TFLM)",
    "browser": "Browser (LiteRT.js)",
}  # fmt: skip


def inspect_text(found: Inspection) -> str:
    parts = [_head(found), _operators(found.operators), _totals(found), _needs(found), _targets(found.targets)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _head(found: Inspection) -> list[str]:
    lines = [f"{escaped(found.file)}: {found.size_bytes:,} bytes, SHA-256 {found.sha256[:16]}…"]
    lines += [f"  input   {_port(one)}" for one in found.inputs]
    lines += [f"  output  {_port(one)}" for one in found.outputs]
    for one in found.signatures:
        ends = f"({_names(one.inputs)}) -> ({_names(one.outputs)})"
        lines.append(f"  signature {escaped(one.key)} {ends}")
    lines.append(f"  metadata: {_names(found.metadata) or 'none'}; card beside it: {'yes' if found.card else 'no'}")
    lines += _contract(found)
    if found.subgraphs > 1:
        lines.append(f"  {found.subgraphs} subgraphs: figures and the table are of the first")
    return lines


def _contract(found: Inspection) -> list[str]:
    if found.metadata_problem:
        return [f"  {escaped(found.metadata_problem)}"]
    if found.contract is None:
        return [f"  no contract of edgekit; labels: {found.labels:,}"]
    golden = len(found.contract.golden.vectors) if found.contract.golden else 0
    return [
        f"  contract of edgekit {escaped(found.contract.edgekit)} for {escaped(found.contract.model)}; labels: "
        f"{found.labels:,}; golden vectors: {golden} (edgekit metadata show)"
    ]


def _port(one: Port) -> str:
    sides = "x".join("?" if side < 0 else str(side) for side in one.shape)
    scale = f", real = {one.scale:.6g} * (q - {one.zero_point})" if one.scale is not None else ""
    return f"{escaped(one.name)} [{sides}] {one.dtype}{scale}"


def _operators(operators: Sequence[InspectedOp]) -> list[str]:
    rows = [_row(one) for one in operators[:MOST]]
    more = len(operators) - MOST
    return [*_table(rows), *([f"and {more:,} more operators: --json has them all"] if more > 0 else [])]


def _row(one: InspectedOp) -> dict[str, str]:
    return {
        "#": str(one.index), "op": f"{escaped(one.op)} v{one.version}", "layer": _short(one.layer),
        "shape": "x".join(map(str, one.shape)), "dtype": _dtype(one), "params": f"{one.params:,}",
        "MACs": "?" if one.macs is None else f"{one.macs:,}", "bytes": f"{one.weight_bytes:,}",
        "zeros": "" if one.sparsity is None else f"{100 * one.sparsity:.1f} %",
        "values": "" if one.distinct is None else str(one.distinct),
    }  # fmt: skip


def _dtype(one: InspectedOp) -> str:
    return one.dtype if one.weights in ("", one.dtype) else f"{one.dtype}, weights {one.weights}"


def _totals(found: Inspection) -> list[str]:
    values, again = found.values, found.repeats
    lines = [
        f"{len(found.operators):,} operators, {found.params:,} parameters in {found.weight_bytes:,} bytes, "
        f"{found.macs:,} MACs" + (f" (not counted: {_names(found.uncounted)})" if found.uncounted else ""),
        f"Weights: {100 * values.sparsity:.1f} % of {values.size:,} are 0; at most {values.distinct:,} values a layer",
    ]
    if again.arrays:
        lines.append(f"{again.arrays} arrays are stored again: {again.bytes:,} bytes could be saved")
    if found.arena is None:
        lines.append("Tensor arena: no estimate (several subgraphs, a custom operator, or types without a size)")
    else:
        lines.append(
            f"Tensor arena (TensorFlow Lite Micro, estimated): {found.arena.total:,} bytes, activations "
            f"{found.arena.activations:,}, at their peak in {found.arena.peak_op}"
        )
    return lines


def _needs(found: Inspection) -> list[str]:
    stated = f" (the converter wrote {escaped(found.stated_runtime)})" if found.stated_runtime else ""
    if found.unknown_versions:
        lines = [f"Oldest runtime: not known, no table has {_names(found.unknown_versions[:8])}{stated}"]
    else:
        lines = [f"Oldest runtime: TensorFlow Lite {found.oldest_runtime or 'any'}{stated}"]
    lines.append(f"Here: {escaped(found.refused)}" if found.refused else f"Here: runs in {found.runtime}")
    if found.flex:
        lines.append(f"Needs the Flex delegate for {_names(found.flex)}")
    if found.custom:
        lines.append(f"Needs custom operators: {_names(found.custom)}")
    lines += [f"Not fixed: {escaped(one)}" for one in found.dynamic[:8]]
    lines += ["The batch is left open"] if found.open_batch else []
    lines += [escaped(found.card_problem)] if found.card_problem else []
    return lines


def _targets(table: Iterable[Target]) -> list[str]:
    lines = []
    for one in table:
        taken = f"takes {one.taken:,} of {one.operators:,} operators"
        lines.append(
            f"{NAMES[one.name]}: {taken}" + (f"; refuses the file: {escaped(one.blocked)}" if one.blocked else "")
        )
        lines += [f"  {count} x {escaped(op)}: {escaped(why)}" for op, why, count in one.refused[:8]]
        lines += [f"  and {len(one.refused) - 8} kinds more"] if len(one.refused) > 8 else []
        lines += [f"  These {one.otherwise}."] if one.refused and not one.blocked else []
    return lines


def _names(names: Iterable[str]) -> str:
    return ", ".join(escaped(one) for one in names)


def _short(name: str) -> str:
    """The first of the names that a converter joined, and of a long one its end, which tells layers apart."""
    first = escaped(name.split(";")[0])
    return first if len(first) <= WIDE else "…" + first[-(WIDE - 1) :]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(rows[0]) if rows else []
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    lines = [{name: name for name in columns}, *rows]
    return [
        "  ".join(line[name].ljust(width[name]) if name in LEFT else line[name].rjust(width[name])
                  for name in columns).rstrip()
        for line in lines
    ]  # fmt: skip
