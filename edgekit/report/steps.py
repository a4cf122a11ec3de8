"""What the steps of the recipe did, how the mixed variant was found, where quantization loses: facts and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.report import wording

Results = Mapping[str, Any]
Facts = list[tuple[str, str]]
MOST_NOTES = 6  # different texts of one step; results.json has all
MOST_LAYERS = 8  # names behind one text
MOST_COSTS = 10  # rows of the sensitivity table
LEDGER_TITLES = (
    "Behind", "Size", "Packed", "Weights", "MACs", "Latency ms", "Validation top-1", "Against the row above",
)  # fmt: skip
COST_TITLES = ("Layer", "Operator", "Same answer", "SQNR dB", "Points lost")


def steps(results: Results) -> list[tuple[str, Facts]]:
    """(title, facts) of each step, in order."""
    taken = results.get("steps", [])
    return [(f"{number}. {step['name']}", _step(step)) for number, step in enumerate(taken, 1)]


def sentences(results: Results) -> list[str]:
    """A line a step, and one on the mixed file, for a terminal."""
    told = [f"{step['name']}: {_brief(step)}." for step in results.get("steps", [])]
    mixed = results.get("mixed")
    told += [mixed["sentence"]] if mixed else []
    return told + [f"{term}: {said}." for term, said in diagnosis(results)]


def mixed(results: Results) -> Facts:
    """The mixed file: what stayed float and what it costs."""
    found = results.get("mixed")
    if not found:
        return []
    layers = ", ".join(f"{one['layer']} ({one['op']})" for one in found["float_layers"]) or "none was needed"
    larger = found["model_bytes"] / found["int8_bytes"]
    return [
        ("Result", found["sentence"]),
        ("Layers left float", layers),
        ("All of them quantized", f"{found['int8_lost']:.2f} {found['unit']}"),
        ("Size", f"{wording.size(found['model_bytes'])}, {larger:.2f} times that of int8"),
        ("Mixes measured", f"{found['tried']:,}"),
    ]


def diagnosis(results: Results) -> Facts:
    """Which layer loses most to quantization by calibration, and what the choice of calibration images changes."""
    found = results.get("diagnosis") or {}
    told: Facts = []
    if found.get("sensitivity"):
        first, whole = found["sensitivity"]["layers"][0], found["sensitivity"]["whole"]
        said = f"{first['layer']} ({first['op']}), {_loss(first)}; all layers together {_loss(whole)}"
        told.append(("Costs most when quantized alone", said))
    if found.get("draws"):
        told.append(("Calibration draws", _drawn(found["draws"])))
    return told


def _loss(score: Mapping[str, Any]) -> str:
    said = ["no noise" if score["sqnr_db"] is None else f"{score['sqnr_db']:.1f} dB"]
    said += [f"the same answer for {wording.percent(score['agreement'])}"] if score["agreement"] is not None else []
    return ", ".join(said)


def _drawn(found: Mapping[str, Any]) -> str:
    """What a reader asks for first: points lost, else agreement, else noise."""
    kinds = {"drop_points": "points of top-1 lost", "agreement": "of the answers the same", "sqnr_db": "dB"}
    name = next(name for name in kinds if found[name])
    show = wording.percent if name == "agreement" else "{:.2f}".format
    low, middle, high = (show(found[name][which]) for which in ("min", "median", "max"))
    return (
        f"{low} to {high} {kinds[name]}, median {middle}, over {found['draws']:,} draws of {found['images']:,} images, "
        f"on {found['n']:,} held-out samples"
    )


def ledger(results: Results) -> list[list[str]]:
    """What each step brought: rows under LEDGER_TITLES."""
    return [_brought(row) for row in results.get("ledger", [])]


def _brought(row: Mapping[str, Any]) -> list[str]:
    return [
        row["after"],
        wording.size(row["model_bytes"]),
        wording.size(row["gzip_bytes"]),
        _held(row["weights"]),
        wording.millions(row["macs"]),
        wording.significant(row["latency_ms"]["median"]),
        wording.NO_LABELS
        if row["top1"] is None
        else f"{wording.percent(row['top1']['value'])} of {row['top1']['n']:,}",
        _gain(row["gain"]) if row["gain"] else "",
    ]


def _held(weights: Mapping[str, Any]) -> str:
    told = [f"{wording.percent(weights['sparsity'])} zeros"]
    told += ["2:4"] if 0 < weights["fours"] == weights["two_of_four"] else []
    return ", ".join([*told, f"at most {weights['distinct_a_channel']:,} values a channel"])


def _gain(gain: Mapping[str, Any]) -> str:
    said = {"model_bytes": "size", "gzip_bytes": "packed", "latency": "latency"}
    told = [f"{what} {gain[name]:.2f} times" for name, what in said.items() if name not in gain["no_gain"]]
    return ", ".join(told) or "no gain"


def costs(results: Results) -> list[list[str]]:
    """The layers that lose most when each is quantized alone: rows under COST_TITLES."""
    found = (results.get("mixed") or results.get("diagnosis") or {}).get("sensitivity")
    return [_cost(row) for row in found["layers"][:MOST_COSTS]] if found else []


def _cost(row: Mapping[str, Any]) -> list[str]:
    noise, lost = row["sqnr_db"], row["drop_points"]
    return [
        row["layer"],
        row["op"],
        "no classes" if row["agreement"] is None else wording.percent(row["agreement"]),
        "equal" if noise is None else f"{noise:.1f}",
        wording.NO_LABELS if lost is None else f"{lost:.2f}",
    ]


def _step(step: Mapping[str, Any]) -> Facts:
    settings = ", ".join(f"{name} {_setting(value)}" for name, value in step["config"].items() if value is not None)
    return [
        *([("Settings", settings)] if settings else []),
        *_notes("Done", step["done"]),
        *_notes("Left alone", step["skipped"]),
        *_figures(step["figures"]),
    ]


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _notes(term: str, notes: Sequence[Mapping[str, str]]) -> Facts:
    """One line a text, with the layers that it was said of."""
    layers: dict[str, list[str]] = {}
    for note in notes:
        layers.setdefault(note["text"], []).append(note["layer"])
    told = [(term, f"{text}: {wording.listed(names, MOST_LAYERS)}") for text, names in layers.items()]
    rest = len(told) - MOST_NOTES
    return told[:MOST_NOTES] + ([(term, f"and {rest:,} more, in results/results.json")] if rest > 0 else [])


def _figures(figures: Mapping[str, Any]) -> Facts:
    training, agreed = figures.get("training"), figures.get("agreement")
    told = [("Training", _training(training))] if training else []
    if figures.get("sparsity") is not None:
        told.append(("Zeros", f"{wording.percent(figures['sparsity'])} of {figures['weights']:,} weights"))
    if agreed:
        told.append(("Says what its int8 file says", f"for {wording.proportion(agreed)} held-out samples"))
    elif figures.get("sqnr_db") is not None:
        told.append(("Its int8 file", f"has a signal-to-noise ratio of {figures['sqnr_db']:.1f} dB against it"))
    if floats := figures.get("float_ops"):
        told.append(("Computes in float", wording.listed(floats, MOST_LAYERS)))
    return told


def _training(training: Mapping[str, Any]) -> str:
    best = training["best_epoch"]
    kept = next((row for row in training["history"] if row["epoch"] == best), None)
    said = f"{wording.counted(training['epochs'], 'epoch')} in {wording.seconds(training['seconds'])}, "
    if kept is None:
        return f"{said}none of them better than before: the weights are as they were"
    names = {"val_top1": "validation top-1", "val_agreement": "agreement with the float model"}
    scores = [f"{what} {wording.percent(kept[name])}" for name, what in names.items() if name in kept]
    scores.append(f"loss {kept['val_loss']:.3g}")
    return f"{said}epoch {best} was kept: {', '.join(scores)}"


def _brief(step: Mapping[str, Any]) -> str:
    agreed, training = step["figures"].get("agreement"), step["figures"].get("training")
    said = [wording.counted(len(step["done"]), "change")]
    said += [f"{len(step['skipped']):,} left alone"] if step["skipped"] else []
    said += [_training(training)] if training else []
    said += [f"its int8 file says the same for {wording.percent(agreed['value'])}"] if agreed else []
    return "; ".join(said)
