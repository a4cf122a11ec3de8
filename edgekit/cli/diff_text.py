"""A difference on the screen. Names come out of untrusted files and are escaped."""

from __future__ import annotations

import json
from typing import Any

from edgekit.difference import Difference
from edgekit.evaluation.answers_apart import Apart
from edgekit.reproduction import Reproduction
from edgekit.runtime.escape import escaped
from edgekit.runtime.model_difference import Layer, ModelDifference

SHOWN = 20  # lines of each kind


def diff_text(found: Difference) -> str:
    lines = [f"A {escaped(str(found.files[0]))}", f"B {escaped(str(found.files[1]))}"]
    if found.same_file:
        lines.append("The same bytes.")
    elif found.same_model:
        lines.append("The same model; what differs is its metadata.")
    for name in found.sizes[0]:
        before, after = (one[name] for one in found.sizes)
        if before != after:
            lines.append(f"{name}: {before:,} -> {after:,} ({after / before - 1:+.1%})")
    lines += _some("contract", [f"{name}: {_value(a)} -> {_value(b)}" for name, (a, b) in found.contract.items()])
    lines += [] if found.labels else ["labels: they differ"]
    lines += [] if found.same_model else _model(found.model)
    return "\n".join([*lines, *_answers(found.answers), *_accuracy(found.accuracy), *_speed(found.speed)])


def reproduction_text(found: Reproduction) -> str:
    lines = [f"{escaped(str(found.file))}, built again from its recipe:"]
    if found.same_file:
        lines.append("The same bytes.")
    elif found.same_model:
        lines.append("The same model; what differs is its metadata.")
    lines += _some("contract", [f"{name}: {_value(a)} -> {_value(b)}" for name, (a, b) in found.contract.items()])
    lines += [f"{name}: {_share(a)} -> {_share(b)}" for name, (a, b) in found.metrics.items()]
    lines += [] if found.model is None else _model(found.model)
    return "\n".join([*lines, *([] if found.answers is None else _answers(found.answers))])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _model(found: ModelDifference) -> list[str]:
    counts = [f"{escaped(name)}: {a} -> {b}" for name, (a, b) in found.operators.items()]
    lines = _some("operators", counts) if counts else ["operators: the same"]
    lines += ["operators: in another order"] if found.reordered else []
    differ = [one for one in found.layers if not one.same]
    if not differ and not any(found.unmatched):
        return [*lines, f"weights: the same in all {len(found.layers)} layers"]
    lines += _some(f"weights: {len(differ)} of {len(found.layers)} layers differ", [_layer(one) for one in differ])
    for side, names in zip("AB", found.unmatched, strict=True):
        lines += _some(f"layers of {side} alone", [escaped(one) for one in names])
    return lines


def _layer(one: Layer) -> str:
    if one.shapes[0] != one.shapes[1]:
        return f"{escaped(one.layer)}: {list(one.shapes[0])} -> {list(one.shapes[1])}"
    kinds = one.dtypes[0] if one.dtypes[0] == one.dtypes[1] else f"{one.dtypes[0]} -> {one.dtypes[1]}"
    noise = "" if one.sqnr_db is None else f", {one.sqnr_db:.1f} dB"
    return f"{escaped(one.layer)} ({kinds}): up to {one.max_abs:.3g}{noise}"


def _answers(apart: Apart) -> list[str]:
    if apart.refused:
        return [f"answers: not compared. {apart.refused}"]
    if not apart.max_abs:
        return [f"answers: the same on {apart.n} drawn {apart.fed}"]
    share = "" if apart.max_relative is None else f" ({apart.max_relative:.2%} of A's largest)"
    return [
        f"answers on {apart.n} drawn {apart.fed}: up to {apart.max_abs:.3g} apart{share}, "
        f"the same highest score in {apart.agreement:.0%}"
    ]


def _accuracy(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    first, second = (one["top1"]["value"] for one in found["files"])
    change = found["top1_difference"]
    low, high = change["ci95"]
    return [
        f"top1: {first:.1%} -> {second:.1%} ({change['value']:+.1%} [{low:+.1%}, {high:+.1%}] on {change['n']} images)"
    ]


def _speed(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    first, second = (one["median"] for one in found["latency_ms"])
    return [f"latency: {first:.3f} -> {second:.3f} ms, B is {found['comparison']['verdict']}"]


def _some(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [f"{title}:", *(f"  {line}" for line in lines[:SHOWN]), *more]


def _value(value: Any) -> str:
    return escaped(json.dumps(value, ensure_ascii=False))[:80]
