"""What each step of a recipe brought: the same kind of file of the model before and behind each, measured side by side.

Accuracy is that on the validation images: the ledger is what one chooses by, and the test images are not read for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.artifact import Variant, load_artifact, sha256_of
from edgekit.data.dataset import Dataset
from edgekit.lineage import Lineage
from edgekit.run import Made

FIGURES = ("sha256", "size_bytes", "model_bytes", "gzip_bytes", "params", "macs")
SAME = 0.99  # of the bytes before: what is larger than that is no smaller


def ledger(lineage: Lineage, exported: Mapping[Variant, Made]) -> list[Made]:
    """One row for the model as trained and one behind each step; none without steps. `exported` are the run's variants:
    the one that is a row's file is not made again.

    `after` (training or the step), `variant` (int8 if the recipe makes it, else float32), FIGURES of the file, `top1`
    on the validation images (None without labels), `weights` of the file (`edgekit.runtime.stored_weights.Values`:
    zeros, 2:4, values a channel), `latency_ms`, and `gain` against the row before: the shares
    `model_bytes`, `gzip_bytes` and `latency`, and `no_gain`, what of these did not improve.
    """
    steps = lineage.recipe.steps
    if not steps:
        return []
    variant: Variant = "int8" if "int8" in lineage.recipe.variants else "float32"
    there = {lineage.depth(variant): exported[variant]["file"]}
    rows = [_exported(lineage, variant, depth, there.get(depth)) for depth in range(len(steps) + 1)]
    speeds = _measured(lineage, [row["file"] for row in rows])
    names = ("training", *(step.name for step in steps))
    told = [
        {"after": name, "variant": variant, **row, "latency_ms": speed["latency_ms"]}
        for name, row, speed in zip(names, rows, speeds, strict=True)
    ]
    return [{**row, "gain": gain(told[i - 1], row) if i else None} for i, row in enumerate(told)]


def gain(before: Made, after: Made) -> dict[str, Any]:
    """Figures of `after` as shares of those `before`. Latency improves where the two intervals do not overlap."""
    shares = {name: after[name] / before[name] for name in ("model_bytes", "gzip_bytes")}
    slow, fast = before["latency_ms"], after["latency_ms"]
    none = [name for name, share in shares.items() if share > SAME]
    none += [] if fast["ci95"][1] < slow["ci95"][0] else ["latency"]
    return {**shares, "latency": fast["median"] / slow["median"], "no_gain": none}


def _exported(lineage: Lineage, variant: Variant, depth: int, there: str | None) -> Made:
    io = lineage.recipe.io if variant == "int8" else "float32"

    def work(state: Path) -> tuple[list[Path], Made]:
        if there is None:
            made = lineage.exporter_at(depth).write(state, variant, io, lineage.recipe).artifact
        else:
            made = load_artifact(lineage.run.file(there))
        return [made.path], {
            "file": made.path.relative_to(lineage.run.folder).as_posix(),
            **{name: getattr(made.card, name) for name in FIGURES},
            "top1": _top1(lineage, made.path),
            "weights": _weights(made.path),
        }

    return lineage.run.stage(f"ledger-{depth}", {**lineage.exported_at(depth, variant), "io": io}, work)


def _weights(path: Path) -> dict[str, Any]:
    from edgekit.runtime.dissect import inspect

    return inspect(path).values.to_json()


def _top1(lineage: Lineage, path: Path) -> dict[str, Any] | None:
    from edgekit.evaluation.evaluate import evaluate

    if not isinstance(lineage.data, Dataset) or not lineage.data.class_names:
        return None
    card = load_artifact(path).card
    found = evaluate(path, lineage.data.val, card.preprocessing).summary()  # type: ignore[union-attr]
    return dict(found["top1"])


def _measured(lineage: Lineage, files: Sequence[str]) -> list[Made]:
    """The summary of each file, in one run of the bench."""
    wanted, paths = lineage.recipe.bench, [lineage.run.file(file) for file in files]

    def work(_: Path) -> tuple[list[Path], Made]:
        from edgekit.stopwatch import measured

        return [], {"files": [one.summary() for one in measured(paths, wanted, progress=lineage.progress)]}

    hashes = [sha256_of(path.read_bytes()) for path in paths]
    inputs = {"files": hashes, "bench": wanted.model_dump(mode="json")}
    return list(lineage.run.stage("ledger-bench", inputs, work)["files"])
