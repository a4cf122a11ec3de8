"""What a run found, as one JSON value: the report, the cards and the tables are all made from it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import Card, Variant, card_path, write_json, write_text
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.errors import EdgekitWarning, MissingExtra
from edgekit.evaluation.gate import Candidate, Choice, choose, drop_points
from edgekit.evaluation.metrics import agreement
from edgekit.recipe import Budget, Recipe
from edgekit.run import Made, Run, now

if TYPE_CHECKING:
    import pandas as pd

# The figures of a variant's row that its card repeats.
CARD_METRICS = ("top1", "top5", "agreement", "drop_points", "latency_ms", "heap_bytes", "arena_bytes", "verdict")


def variant_rows(
    exported: Mapping[Variant, Made], evaluated: Mapping[Variant, Made], measured: Made, budget: Budget, folder: Path
) -> tuple[list[dict[str, Any]], Choice]:
    """One row a variant, in order, the first being the reference; and the choice among them."""
    candidates = [_candidate(name, made, evaluated.get(name), measured[name][0]) for name, made in exported.items()]
    choice = choose(candidates, budget)
    predictions = {variant: _predictions(folder / found["rows"]) for variant, found in evaluated.items()}
    rows = []
    for one in candidates:
        made, found, speed = exported[one.variant], evaluated.get(one.variant), measured[one.variant][0]
        card = made["card"]
        rows.append({
            "variant": one.variant,
            "file": made["file"],
            **{name: card[name] for name in ("io", "sha256", "size_bytes", "model_bytes", "gzip_bytes",
                                             "params", "macs", "inputs", "outputs", "output_meaning")},
            "arena_bytes": one.arena_bytes,
            "top1": found and found["top1"],
            "top5": found and found["top5"],
            "drop_points": drop_points(one, candidates[0]),
            "agreement": _agreement(one.variant, candidates[0].variant, predictions, made),
            **{name: speed[name] for name in ("latency_ms", "heap_bytes", "peak_bytes", "verdict", "doubts")},
            "parity": made["parity"],
            "violations": list(choice.violations[one.variant]),
            "chosen": one.variant == choice.chosen,
        })  # fmt: skip
    return rows, choice


def _agreement(
    variant: Variant, reference: Variant, predictions: Mapping[Variant, Any], made: Made
) -> dict[str, Any] | None:
    """With the reference on the test images; without labels with it, or the very model, on the held-out images."""
    if predictions:
        return agreement(predictions[reference], predictions[variant]).to_json()
    if "agreement" in made:
        return dict(made["agreement"])
    parity = made["parity"]
    if parity["agreement"] is None:
        return None
    return {"value": parity["agreement"], "n": parity["n"], "ci95": parity["ci95"]}


def failures(rows: list[dict[str, Any]], choice: Choice, exported: Mapping[Variant, Made]) -> list[str]:
    """Sentences for exit code 1: a variant that failed verification, no variant or no mix within the budget."""
    found = [
        f"{row['variant']} failed verification: {'; '.join(row['parity']['failures'])}."
        for row in rows
        if row["parity"]["failures"]
    ]
    if choice.chosen is None:
        each = "; ".join(f"{name} {' and '.join(why)}" for name, why in choice.violations.items())
        found.append(f"No variant meets the budget: {each}.")
    mixed = exported.get("mixed", {}).get("mixed")
    if mixed is not None and not mixed["reached"]:
        found.append(mixed["sentence"])
    return found


def describe(dataset: Dataset | ArrayData) -> dict[str, Any]:
    """The data set: classes, how many images of each in which split, what could not be read."""
    if isinstance(dataset, ArrayData):
        sizes = {"calibration": len(dataset.calibration[0]), "held_out": len(dataset.held_out[0])}
        return {"name": dataset.name, "sha256": dataset.sha256, "class_names": [], "class_counts": {}, "sizes": sizes,
                "damaged": [], "preprocess": None}  # fmt: skip
    counts: pd.DataFrame = dataset.class_counts()
    splits = (dataset.train, dataset.val, dataset.test, dataset.calibration)
    return {
        "name": dataset.name,
        "sha256": dataset.sha256,
        "class_names": list(dataset.class_names),
        "class_counts": {split: [int(n) for n in counts[split]] for split in counts.columns},
        "sizes": {name: len(split) for name, split in zip((*counts.columns, "calibration"), splits, strict=True)},
        "damaged": [{"name": one.name, "reason": one.reason} for one in dataset.damaged],
        "preprocess": dataset.preprocess.model_dump(mode="json"),
    }


def write_cards(run: Run, recipe: Recipe, exported: Mapping[Variant, Made], rows: list[dict[str, Any]]) -> None:
    """Adds what was measured to each card, and the recipe of this run, whose budget may be another than at export.

    Figures and dates live there and never in the .tflite.
    """
    for row in rows:
        card = Card.model_validate(exported[row["variant"]]["card"])
        metrics = {name: row[name] for name in CARD_METRICS}
        resolved = recipe.model_dump(mode="json")
        dated = card.model_copy(update={"metrics": metrics, "recipe": resolved, "created": now()})
        write_json(card_path(run.file(row["file"])), dated.model_dump(mode="json", by_alias=True))


def write_results(run: Run, results: Mapping[str, Any]) -> None:
    """results.json, the table and the report. Warns where the page needs an extra that is not installed."""
    from edgekit.report.html import html_report
    from edgekit.report.markdown import markdown_report
    from edgekit.report.read_run import repeats_of
    from edgekit.report.tables import variants_csv

    write_json(run.file("results", "results.json"), results)
    results = {**results, "repeats": repeats_of(run.folder, results)}
    write_text(run.file("results", "variants.csv"), variants_csv(results))
    write_text(run.file("report.md"), markdown_report(results))
    shown = run.file("results", "gallery.json")
    gallery = json.loads(shown.read_bytes()) if shown.is_file() and results["dataset"]["class_names"] else None
    try:
        write_text(run.file("report.html"), html_report(results, gallery))
    except MissingExtra as missing:
        warnings.warn(f"report.html was not written: {missing}", EdgekitWarning, stacklevel=2)


def _candidate(variant: Variant, made: Made, found: Made | None, speed: Made) -> Candidate:
    return Candidate(
        variant=variant,
        verified=made["parity"]["verified"],
        top1=None if found is None else found["top1"]["value"],
        latency_ms=speed["latency_ms"]["median"],
        latency_ci95=tuple(speed["latency_ms"]["ci95"]),
        size_bytes=made["card"]["size_bytes"],
        arena_bytes=made.get("arena_bytes"),
    )


def _predictions(rows: Path) -> Any:
    import pandas as pd

    # A class may be called 007 or NA: nothing is to be taken for a number or for missing.
    return pd.read_csv(rows, dtype=str, keep_default_na=False)["prediction"].to_numpy()
