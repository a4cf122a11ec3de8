"""Evaluations on the screen: one table, then what is behind the figures of each file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.evaluation.examine import Examined
from edgekit.evaluation.layers import Layers
from edgekit.evaluation.reliability import COLDEST, HOTTEST
from edgekit.evaluation.robustness import Robustness
from edgekit.report import wording
from edgekit.report.wording import printable_lines

PAIRS, ERRORS, WEAK, LAYERS, FLIPS = 5, 5, 10, 5, 5  # shown; --json and --out have them all


def evaluate_text(done: Examined, result: Mapping[str, Any]) -> str:
    """`result` is what --json gives."""
    rows = result["files"]
    parts = [_table(rows), *(_behind(row) for row in rows), *(_against(row) for row in rows[1:])]
    parts += [_on_device(row["file"], row["on_device"]) for row in rows if "on_device" in row]
    parts += [_curves(done.curves)] if done.curves else []
    parts += [_layers(one) for one in done.parts]
    return printable_lines("\n\n".join("\n".join(lines) for lines in parts))  # names come out of untrusted files


def _interval(figure: Mapping[str, Any], unit: str = ".1%") -> str:
    low, high = figure["ci95"]
    return f"{figure['value']:{unit}} [{low:{unit}}, {high:{unit}}]"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    import pandas as pd

    shown = []
    for row in rows:
        line = {"file": row["file"], "n": row["n"], "top1 [95 %]": _interval(row["top1"])}
        others = [name for name in row if name[:3] == "top" and name[3:].isdigit() and name not in ("top1", "top5")]
        line |= {name: f"{row[name]['value']:.1%}" if row[name] else "-" for name in ("top5", *others)}
        if len(rows) > 1:
            paired = row.get("against_first")
            line["agreement"] = _interval(paired["agreement"]) if paired else "-"
            line["gained"], line["lost"] = (paired["gained"], paired["lost"]) if paired else ("-", "-")
            line["top1 difference"] = _interval(paired["top1_difference"], "+.1%") if paired else "-"
        line["ECE"] = f"{row['calibration']['ece']:.3f}"
        shown.append(line)
    notes = [f"{row['file']} ran {row['batch']} at a time: {row['batch_note']}" for row in rows if row["batch_note"]]
    return [pd.DataFrame(shown).to_string(index=False, na_rep="-"), *notes]


def _behind(row: Mapping[str, Any]) -> list[str]:
    return [row["file"], *_classes(row), *_calibration(row["calibration"]), *_errors(row["confident_errors"])]


def _classes(row: Mapping[str, Any]) -> list[str]:
    recalls = {one["class"]: one for one in row["per_class"]}
    weak = [f"{name} {recalls[name]['recall']:.0%} of {recalls[name]['support']}" for name in row["weak_classes"]]
    pairs = [f"{one['label']} as {one['prediction']} {one['n']}x" for one in row["confused"]]
    return [
        f"  below 70 %: {_some(weak, WEAK) or 'no class'}",
        f"  most confused: {_some(pairs, PAIRS) or 'nothing'}",
    ]


def _calibration(found: Mapping[str, Any]) -> list[str]:
    sure = [one for one in found["bins"] if one["n"]]
    confident = sum(one["confidence"] * one["n"] for one in sure) / found["n"]
    right = sum(one["right"] for one in sure) / found["n"]
    line = f"  confidence {confident:.1%} on average, {right:.1%} right: ECE {found['ece']:.3f}"
    if not 1.01 * COLDEST < found["temperature"] < 0.99 * HOTTEST:
        return [f"{line}; no temperature fits these answers"]
    mended = f"{found['temperature']:.3g} it would be {found['at_temperature']['ece']:.3f}"
    return [f"{line}, with temperature {mended}"]


def _errors(rows: list[dict[str, Any]]) -> list[str]:
    return [f"  sure and wrong: {one['name']}, {one['confidence']:.1%} {one['prediction']}" for one in rows[:ERRORS]]


def _against(row: Mapping[str, Any]) -> list[str]:
    found = row["against_first"]
    test = found["mcnemar"]
    lost = [one for one in found["per_class"] if one["difference"] < 0]
    classes = [f"{one['class']} {100 * one['difference']:+.1f} points ({one['gained']} gained, {one['lost']} lost)"
               for one in lost]  # fmt: skip
    return [
        f"{row['file']} against {found['reference']}",
        f"  {wording.flips(found)}, {len(found['flips'])} answered otherwise; McNemar "
        f"({test['test']}): p = {test['p_value']:.2g}",
        f"  classes that lose: {_some(classes, PAIRS) or 'none'}",
        *_flips(found["flips"]),
    ]


def _flips(flips: list[dict[str, Any]]) -> list[str]:
    """Which images are gained, and which are lost."""
    lines = []
    for kind in ("gained", "lost"):
        said = [f"{one['name']} ({one['reference']} -> {one['other']})" for one in flips if one["flip"] == kind]
        lines += [f"  {kind}: {_some(said, FLIPS)}"] if said else []
    return lines


def _curves(found: Robustness) -> list[str]:
    frame = found.to_frame()
    table = frame.pivot_table("top1", ["corruption", "severity", "strength"], "file", sort=False)
    means = [f"{name}: {value:.1%}" for name, value in found.mean_top1().items()]
    return ["top-1 under corruptions", table.to_string(float_format="{:.1%}".format), f"mean: {'; '.join(means)}"]


def _layers(found: Layers) -> list[str]:
    matched = f"{len(found.rows)} of {len(found.rows) + found.unmatched} tensors"
    head = f"{found.other} parts from {found.reference} ({matched}, {found.images} images), most at"
    worst = sorted((one for one in found.rows if one.lost_db is not None), key=lambda one: -(one.lost_db or 0))
    lines = [f"  {one.op} {one.tensor.split(';')[0]}: loses {one.lost_db:.1f} dB, {one.sqnr_db:.1f} left"
             for one in worst[:LAYERS]]  # fmt: skip
    return [head, *lines]


def _some(said: list[str], most: int) -> str:
    return ", ".join(said[:most]) + (f" and {len(said) - most} more" if len(said) > most else "")


def _on_device(file: str, one: dict[str, Any]) -> list[str]:
    agreement, equal = one["agreement"], one["equal_outputs"]
    seen = one["conditions"]
    lines = [
        f"{file} ran on {one['device']} ({seen['cpu']}, {seen['machine']}, {seen['runtime']}); the {one['decoded']} "
        "decoded the images",
        f"  against this machine ({one['host_runtime']}, top1 {one['host_top1']['value']:.1%}): the same class for "
        f"{agreement['value']:.1%} of {agreement['n']}, outputs equal bit for bit for {equal['value']:.1%}, "
        f"largest difference {one['max_difference']:.3g}",
    ]
    flips = one["flips"]
    shown = ", ".join(f"{flip['name']} ({flip['host']} -> {flip['device']})" for flip in flips[:FLIPS])
    more = f" and {len(flips) - FLIPS} more" if len(flips) > FLIPS else ""
    lines += [f"  other class there: {shown}{more}"] if flips else []
    return lines + [f"  throttled: {reason}" for reason in one["throttled"]]
