"""The `results` of a run, put together by the functions that a run uses, from seeded raw samples."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import Card, TensorSpec, write_json
from edgekit.data.dataset import Damaged, Dataset, load_data
from edgekit.evaluation.metrics import wilson
from edgekit.evaluation.parity import Parity
from edgekit.evaluation.record import Evaluation
from edgekit.evidence import evidence
from edgekit.measurement.bench import Measurement
from edgekit.preprocess import preset
from edgekit.recipe import Recipe
from edgekit.results import describe, failures, variant_rows

# Variant: size in bytes, median in ns, images whose answer differs from float32's, verified.
VARIANTS = {
    "float32": (1_811_204, 214_000, 0, True),
    "float16": (927_340, 216_500, 0, True),
    "dynamic": (601_480, 171_300, 2, True),
    "int8": (591_016, 96_400, 3, True),
    "int16x8": (640_112, 402_000, 1, True),
}
N = 360


@functools.cache
def digits() -> Dataset:
    return load_data("digits", preprocess=preset("tf", 32, 32))


def make_results(
    folder: Path,
    variants: Mapping[str, tuple[int, int, int, bool]] = VARIANTS,
    *,
    class_names: tuple[str, ...] | None = None,
    damaged: tuple[Damaged, ...] = (),
    epochs: int = 12,
    heap: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """`fields` are the recipe's. Evaluations are written to `folder`, as a run writes them."""
    recipe = Recipe.model_validate({"model": {"name": "mobilenet_v2", "alpha": 0.35}, **fields})
    dataset = replace(digits(), damaged=damaged, class_names=class_names or digits().class_names)
    exported = {name: _exported(name, row, recipe, dataset) for name, row in variants.items()}
    evaluated = {name: _evaluated(folder, name, row[2], dataset) for name, row in variants.items()}
    measured = {
        name: [_measured(name, row, threads, heap) for threads in recipe.bench.threads]
        for name, row in variants.items()
    }
    rows, choice = variant_rows(exported, evaluated, measured, recipe.budget, folder)
    return {
        "schema": 1,
        "edgekit": "0.1.0",
        "model": "mobilenet_v2",
        "data": dataset.name,
        "recipe_sha256": recipe.sha256(),
        "data_sha256": dataset.sha256,
        "started": "2025-03-01T10:00:00+00:00",
        "finished": "2025-03-01T10:01:12+00:00",
        "chosen": choice.chosen and exported[choice.chosen]["file"],
        "recipe": recipe.model_dump(mode="json"),
        "dataset": describe(dataset),
        "training": training(epochs),
        "variants": rows,
        "latency": measured,
        "evidence": _evidence(folder, evaluated, dataset),
        "failures": failures(rows, choice, exported),
    }


def write_run(folder: Path, variants: Mapping[str, tuple[int, int, int, bool]] = VARIANTS, **fields: Any) -> Path:
    """A finished run directory, as `compress` leaves it, but for the stages and the files themselves."""
    results = make_results(folder, variants, **fields)
    threads = results["recipe"]["bench"]["threads"]
    raw = [_measurement(name, variants[name], count, True).to_json() for count in threads for name in variants]
    write_json(folder / "results" / "latency.json", raw)
    write_json(folder / "results" / "results.json", results)
    record = ("schema", "edgekit", "model", "data", "recipe_sha256", "data_sha256", "started", "finished", "chosen")
    write_json(folder / "run.json", {name: results[name] for name in record})
    return folder


def training(epochs: int) -> dict[str, Any]:
    """Curves that fall and level off; the last but one epoch is the best."""
    generator = np.random.default_rng(0)
    history = [
        {"epoch": e, "train_loss": float(2.2 * np.exp(-e / 2.5) + 0.02),
         "train_top1": float(1 - 0.9 * np.exp(-e / 1.8)),
         "val_loss": float(2.3 * np.exp(-e / 2.2) + 0.05 + 0.02 * generator.random()),
         "val_top1": float(0.99 - 0.9 * np.exp(-e / 1.6)), "learning_rate": 2e-3, "seconds": 3.4}
        for e in range(1, epochs + 1)]  # fmt: skip
    advice = ["The validation loss was still falling: train for longer."] if epochs else []
    return {"history": history, "best_epoch": max(0, epochs - 1), "seconds": 3.4 * epochs, "advice": advice}


def _exported(name: str, row: tuple[int, int, int, bool], recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    size, _, differing, verified = row
    io = recipe.io if name == "int8" else "float32"
    suffix = "" if io == "float32" else f"_{io}"
    same = 500 - differing
    checked = Parity(
        variant=name, n=500, agreement=same / 500, ci95=wilson(same, 500), sqnr_db=31.25, max_abs=0.013,
        max_relative=0.013, dtypes={"float32": 2, "int8": 120, "int32": 53}, float_ops=(), float_layers=(),
        failures=() if verified else ("same class on 90.00 % of 500 images, limit 95 %",),
    )  # fmt: skip
    card = Card(
        edgekit="0.1.0", model="mobilenet_v2", variant=name, io=io, sha256=f"{size:064x}",
        model_sha256=f"{size + 1:064x}",
        size_bytes=size, model_bytes=size - 900, gzip_bytes=round(0.83 * size),
        inputs=(TensorSpec(name="image", shape=(1, 32, 32, 3), dtype=io),),
        outputs=(TensorSpec(name="probabilities", shape=(1, 10), dtype=io),), output_meaning="probabilities",
        preprocessing=dataset.preprocess, labels=dataset.class_names, params=423_210, macs=5_941_888,
        recipe=recipe.model_dump(mode="json"), seed=0, data={"name": dataset.name}, versions={"keras": "3.12.0"},
    )  # fmt: skip
    return {
        "file": f"artifacts/mobilenet_v2_{name}{suffix}.tflite",
        "card": card.model_dump(mode="json", by_alias=True),
        "parity": checked.to_json(),
        "arena_bytes": size // 4,
    }


def _evaluated(folder: Path, name: str, differing: int, dataset: Dataset) -> dict[str, Any]:
    """float32 has 5 of 360 images wrong; a variant answers the first `differing` ones wrongly too."""
    labels = np.arange(N) % len(dataset.class_names)
    wrong = np.zeros(N, bool)
    wrong[-5:] = True
    wrong[:differing] = True
    predictions = np.where(wrong, (labels + 1) % len(dataset.class_names), labels)
    scores = np.full((N, len(dataset.class_names)), 0.01, np.float32)
    scores[np.arange(N), labels] = 0.05  # the second best, but of the last image
    scores[-1, labels[-1]] = 0
    scores[np.arange(N), predictions] = 0.9
    found = Evaluation(
        file=f"{name}.tflite", sha256="0" * 64, class_names=dataset.class_names,
        names=tuple(f"digits/{i:04}" for i in range(N)), labels=labels, scores=scores, data_sha256="1" * 64, batch=100,
    )  # fmt: skip
    rows = folder / "results" / f"evaluation_{name}.csv"
    rows.parent.mkdir(parents=True, exist_ok=True)
    rows.write_text(found.to_frame().to_csv(index=False, lineterminator="\n"), encoding="utf-8")
    return {**found.summary(), "rows": rows.relative_to(folder).as_posix()}


def _evidence(folder: Path, evaluated: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    variant = "int8" if "int8" in evaluated else next(iter(evaluated))
    answers = [folder / evaluated[name]["rows"] for name in ("float32", variant)]
    return evidence(answers[0], answers[1], variant, dataset.class_names)


def _measured(name: str, row: tuple[int, int, int, bool], threads: int, heap: bool) -> dict[str, Any]:
    return _measurement(name, row, threads, heap).summary()


def _measurement(name: str, row: tuple[int, int, int, bool], threads: int, heap: bool) -> Measurement:
    size, median, *_ = row
    generator = np.random.default_rng(size)
    samples = tuple(
        tuple(int(ns) for ns in median / threads * (1 + 0.05 * generator.gamma(1.0, 1.0, 400))) for _ in range(3)
    )
    memory = {"heap_bytes": size + 412_000, "peak_bytes": 4_100_000, "reason": ""}
    if not heap:
        memory = {"heap_bytes": None, "peak_bytes": None, "reason": "not measured on Darwin"}
    conditions = {
        "runtime": "ai-edge-litert 2.1.0", "delegate": {"name": "XNNPACK", "partitions": 1}, "python": "3.11.9",
        "numpy": "2.2.6", "system": "Linux 6.1.0", "machine": "x86_64", "cpu": "Intel(R) Xeon(R) Processor @ 2.60GHz",
        "cores": 2, "load": 0.31,
    }  # fmt: skip
    return Measurement(
        file=f"{name}.tflite", sha256="0" * 64, size_bytes=size, gzip_bytes=round(0.83 * size), device="cpu",
        threads=threads, batch=1, samples_ns=samples, init_ns=(900_000,) * 3, first_ns=(500_000,) * 3,
        switches=({"voluntary": 0, "involuntary": 1},) * 3, memory=memory, conditions=conditions,
    )  # fmt: skip
