"""What a run has measured besides: under corruptions, where in the network its files part, over seeds. In words and
rows; what was not measured is called that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.report import wording

Results = Mapping[str, Any]
Facts = list[tuple[str, str]]
REFERENCE = "float32"
CORRUPTED, PARTING, SEEDS = "Under corruptions", "Where it parts from float32", "Over several seeds"
LAYER_TITLES = ("Operator", "Tensor", "Loses dB", "Left dB")
SPREAD_TITLES = (
    "Variant",
    "Top-1, mean",
    "95 % interval",
    "Least to most",
    "Standard deviation",
    "Points below float32",
)
WORST = 8  # layers that are named; results.json has all
WIDE = 48  # characters of a tensor's name


def trial_facts(results: Results) -> Facts:
    """One line each, for a run with labels: what was found, or that it was not measured."""
    if not results.get("evidence"):
        return []
    return [
        (CORRUPTED, _corrupted(results.get("robustness"))),
        (PARTING, _parting(results.get("layers"))),
        (SEEDS, _seeds(results.get("repeats"))),
    ]


def _corrupted(found: Results | None) -> str:
    if not found:
        return f"{wording.NOT_MEASURED} (diagnose.robustness in the recipe)"
    clean = {one["file"]: one["top1"]["value"] for one in found["points"] if one["severity"] == 0}
    said = [f"{file} {wording.percent(value, 1)} top-1 on average, {wording.percent(clean[file], 1)} without"
            for file, value in found["mean_top1"].items()]  # fmt: skip
    return "; ".join(said)


def _parting(found: Results | None) -> str:
    if not found:
        return f"{wording.NOT_MEASURED} (diagnose.layers in the recipe)"
    if found["why"] is not None:
        return f"{wording.NOT_MEASURED}: {found['why'].rstrip('.')}"
    worst = _worst(found)
    last = next((one for one in reversed(found["rows"]) if one["sqnr_db"] is not None), None)
    ends = "" if last is None else f"; {last['sqnr_db']:.1f} dB are left at the last tensor"
    if not worst:
        return f"nowhere that could be told{ends}"
    first = worst[0]
    return f"{found['other']} loses most at {first['op']} {_short(first['tensor'])}, {first['lost_db']:.1f} dB{ends}"


def _seeds(found: Results | None) -> str:
    if not found:
        return f"{wording.NOT_MEASURED} (edgekit compress --repeats)"
    said = [f"{variant} {wording.percent(one['top1']['mean'])} top-1 on average, {wording.percent(one['top1']['sd'])} "
            f"standard deviation" for variant, one in found["variants"].items()]  # fmt: skip
    return f"{wording.counted(len(found['seeds']), 'seed')}: {'; '.join(said)}"


def corrupted_titles(results: Results) -> list[str]:
    """A column a file, and for each but the first how far it is from the first on the very same pictures."""
    files = _files(results.get("robustness"))
    return ["Corruption", "Strength", *files, *(f"{file} against {files[0]}" for file in files[1:])]


def corrupted_rows(results: Results) -> list[list[str]]:
    """A row a corruption and severity, under corrupted_titles; the first is of the images as they are."""
    found = results.get("robustness")
    if not found:
        return []
    rows: dict[tuple[str, int, str], list[Results]] = {}
    for one in found["points"]:
        rows.setdefault((one["corruption"], one["severity"], one["strength"]), []).append(one)
    return [
        [name, strength, *(wording.percent(one["top1"]["value"], 1) for one in of),
         *(_against(one["against_first"]) for one in of[1:])]
        for (name, _, strength), of in rows.items()
    ]  # fmt: skip


def _against(found: Results) -> str:
    one = found["top1_difference"]
    low, high = (100 * end for end in one["ci95"])
    return f"{100 * one['value']:+.1f} points ({low:+.1f} to {high:+.1f})"


def layer_rows(results: Results) -> list[list[str]]:
    """The operators that lose most, under LAYER_TITLES."""
    found = results.get("layers")
    if not found or found["why"] is not None:
        return []
    return [
        [
            one["op"],
            _short(one["tensor"]),
            f"{one['lost_db']:.1f}",
            "equal" if one["sqnr_db"] is None else f"{one['sqnr_db']:.1f}",
        ]
        for one in _worst(found)[:WORST]
    ]


def spread_rows(results: Results) -> list[list[str]]:
    """A row a variant, under SPREAD_TITLES."""
    found = results.get("repeats")
    rows = []
    for variant, one in (found["variants"] if found else {}).items():
        top1, drop = one["top1"], one["drop_points"]
        rows.append([variant, wording.percent(top1["mean"]), wording.span(top1["ci95"], 2),
                     wording.span((top1["min"], top1["max"]), 2), wording.percent(top1["sd"]),
                     f"{drop['mean']:+.2f} ({drop['min']:+.2f} to {drop['max']:+.2f})"])  # fmt: skip
    return rows


def tables(results: Results) -> dict[str, tuple[Sequence[str], list[list[str]]]]:
    """(titles, rows) of what was measured: corrupted, layers, seeds."""
    return {
        "corrupted": (corrupted_titles(results), corrupted_rows(results)),
        "layers": (LAYER_TITLES, layer_rows(results)),
        "seeds": (SPREAD_TITLES, spread_rows(results)),
    }


def _files(found: Results | None) -> list[str]:
    return list(dict.fromkeys(one["file"] for one in found["points"])) if found else []


def _worst(found: Results) -> list[Results]:
    """Operators by what they lose, the largest loss first."""
    return sorted((one for one in found["rows"] if one["lost_db"] is not None), key=lambda one: -one["lost_db"])


def _short(tensor: str) -> str:
    first = tensor.split(";")[0]
    return first if len(first) <= WIDE else "…" + first[1 - WIDE :]
