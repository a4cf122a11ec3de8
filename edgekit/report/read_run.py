"""A run directory, read again: results that follow from the raw values; of an unfinished run, what is there so far.

A folder may come from anybody: what is damaged is BadInput in one sentence, and nothing in it is run.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import StatisticsError
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.evaluation.metrics import Proportion
from edgekit.measurement.record import read_measurement
from edgekit.measurement.spread import spread

Row = dict[str, Any]
ANEW = "Run the same `edgekit compress` again: it makes anew what is missing or changed."
RECORD = ("model", "data", "data_sha256", "started")
RESULTS = ("edgekit", "recipe", "recipe_sha256", "dataset", "training", "variants", "latency", "failures", "finished")
# Of a variant's row: what every report shows. A run that is not done has None for what it has not found out.
FIGURES = ("top1", "top5", "drop_points", "agreement", "latency_ms", "size_bytes", "gzip_bytes", "heap_bytes",
           "arena_bytes", "macs", "params", "verdict", "parity", "file", "sha256", "violations", "chosen")  # fmt: skip
LARGEST = 512_000_000  # bytes of a file that is read at once


@dataclass(frozen=True)
class ReadRun:
    """`rows`: one a variant, as in results.json, with None for what is not there; `missing` says what, in sentences.

    `results` is None for a run that is not finished. `latency` has the measurements of each variant, in the order of
    the thread counts; `gallery` the images of the report, None where the run kept none.
    """

    folder: Path
    record: Mapping[str, Any]
    results: Mapping[str, Any] | None
    rows: tuple[Row, ...]
    latency: Mapping[str, Any]
    budget: Mapping[str, Any]
    missing: tuple[str, ...]
    gallery: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def labelled(self) -> bool:
        return any(row["top1"] for row in self.rows)


def read_run(folder: str | Path) -> ReadRun:
    """Raises BadInput for what is no run directory, is damaged, or has results that its raw values do not give."""
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        raise BadInput(
            f"{folder} is not a run directory: it has no run.json.", "Give a folder that `edgekit compress` wrote."
        )
    record = _object(folder / "run.json", RECORD)
    if not record.get("finished"):
        return _unfinished(folder, record)
    path = folder / "results" / "results.json"
    results = _object(path, (*RECORD, *RESULTS))
    try:
        rows = tuple(_row(row) for row in results["variants"])
        if not rows:
            raise ValueError("no variants")
        _follow(folder, results)
        budget = dict(results["recipe"]["budget"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise damaged(path, error) from error
    results["repeats"] = repeats_of(folder, results)
    return ReadRun(folder, record, results, rows, results["latency"], budget, (), _gallery(folder))


def damaged(path: Path, error: Exception) -> BadInput:
    """The sentence for a file whose JSON is whole and whose content is not a run's."""
    said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
    return BadInput(f"{path} is not the results of a run ({said}).", ANEW)


# ---- raw values -----------------------------------------------------------------------------------------------------


def _follow(folder: Path, results: Mapping[str, Any]) -> None:
    """Raises BadInput where results.json says something else than the images and the nanoseconds."""
    for row in results["variants"]:
        if row["top1"]:
            found = _counted(folder / "results" / f"evaluation_{row['variant']}.csv")
            _same(folder, row["variant"], "top1", row["top1"], found)
    measured = _measured(folder / "results" / "latency.json", len(results["variants"]))
    for place, row in enumerate(results["variants"]):
        for turn, said in enumerate(results["latency"][row["variant"]]):
            again = measured[turn][place].latency_ms.to_json()
            _same(folder, row["variant"], "latency_ms", said["latency_ms"], again)
        _same(
            folder, row["variant"], "latency_ms", row["latency_ms"], results["latency"][row["variant"]][0]["latency_ms"]
        )


def _same(folder: Path, variant: str, figure: str, said: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        if said.get(name) != value:
            raise BadInput(
                f"{folder}: results.json says {said.get(name)} for {figure}.{name} of {variant}, "
                f"and the raw results give {value}.",
                ANEW,
            )


def correct(run: ReadRun, variant: str) -> np.ndarray:
    """Which test images a labelled variant has right: bool, [n], in the order of the split. Raises BadInput."""
    return np.array(_correct(run.folder / "results" / f"evaluation_{variant}.csv"))


def _counted(path: Path) -> dict[str, Any]:
    """Top-1 of one CSV of evaluations, a row an image."""
    right = _correct(path)
    return Proportion(sum(right), len(right)).to_json()


def _correct(path: Path) -> list[bool]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            right = [row["label"] == row["prediction"] for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, csv.Error):
        raise BadInput(f"{path} cannot be read: the raw results of this run are not whole.", ANEW) from None
    if not right:
        raise BadInput(f"{path} has no rows: the raw results of this run are not whole.", ANEW)
    return right


def _measured(path: Path, variants: int) -> list[list[Any]]:
    """Measurements, turn by turn (a turn is a thread count)."""
    found = [read_measurement(one, str(path)) for one in _json(path)]
    return [found[start : start + variants] for start in range(0, len(found), variants)]


def repeats_of(folder: Path, results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """results/repeats.json, its spreads counted again from the values of the seeds; None where the run was not repeated
    as it is now (another recipe, other figures of the first seed). Raises BadInput for a damaged one."""
    path = folder / "results" / "repeats.json"
    if not path.is_file():
        return None
    found = _object(path, ("seeds", "variants"))
    if found.get("recipe_sha256") != results["recipe_sha256"]:
        return None
    try:
        variants = {str(variant): {str(name): spread([float(value) for value in one["values"]])
                                   for name, one in figures.items()}
                    for variant, figures in found["variants"].items()}  # fmt: skip
        seeds = [int(seed) for seed in found["seeds"]]
        first = {variant: one["top1"]["values"][0] for variant, one in variants.items()}
    except (KeyError, TypeError, ValueError, AttributeError, StatisticsError) as error:
        raise damaged(path, error) from error
    now = {row["variant"]: row["top1"] and row["top1"]["value"] for row in results["variants"]}
    return {"seeds": seeds, "variants": variants} if first == now else None


def _gallery(folder: Path) -> Mapping[str, Any] | None:
    path = folder / "results" / "gallery.json"
    return _object(path, ("variant", "images")) if path.is_file() else None


# ---- a run that is not done -----------------------------------------------------------------------------------------


def _unfinished(folder: Path, record: Mapping[str, Any]) -> ReadRun:
    done = {
        path.parent.name: _object(path, ("result",))["result"] for path in sorted(folder.glob("stages/*/done.json"))
    }
    speeds = done.get("bench") or {}
    exported = {name.removeprefix("export-"): made for name, made in done.items() if name.startswith("export-")}
    try:
        order = sorted(exported, key=lambda name: (name != "float32", name))
        rows = tuple(_so_far(name, exported[name], done.get(f"evaluate-{name}"), speeds.get(name)) for name in order)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise damaged(folder / "stages", error) from error
    return ReadRun(folder, record, None, rows, speeds, {}, _missing(done, rows))


def _so_far(name: str, made: Mapping[str, Any], evaluated: Any, speeds: Any) -> Row:
    speed = speeds[0] if speeds else {}
    card = {figure: made["card"][figure] for figure in ("size_bytes", "gzip_bytes", "macs", "params", "sha256")}
    return {
        **dict.fromkeys(FIGURES),
        "variant": name,
        **card,
        "file": made["file"],
        "parity": made["parity"],
        "arena_bytes": made.get("arena_bytes"),
        "top1": evaluated and evaluated["top1"],
        "top5": evaluated and evaluated["top5"],
        **{figure: speed.get(figure) for figure in ("latency_ms", "heap_bytes", "verdict")},
        "violations": [],
        "chosen": False,
    }


def _missing(done: Mapping[str, Any], rows: Sequence[Row]) -> tuple[str, ...]:
    """What a finished run would have, in the order in which it comes about."""
    told = [] if rows else ["no file is exported yet"]
    without = [row["variant"] for row in rows if row["top1"] is None]
    told += [f"no accuracy of {', '.join(without)}"] if without else []
    told += [] if "bench" in done else ["no latency and no memory"]
    return (*told, "no choice, and no check of the budget")


def _row(row: Mapping[str, Any]) -> Row:
    return {**dict(row), **{name: row[name] for name in (*FIGURES, "variant")}}


# ---- files ----------------------------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} has more than {LARGEST:,} bytes.", "Give the run directory as it was written.")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): the run is not whole.", ANEW) from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path} is damaged: it is no JSON document.", ANEW) from None


def _object(path: Path, fields: Sequence[str]) -> dict[str, Any]:
    found = _json(path)
    lacks = [name for name in fields if not isinstance(found, dict) or name not in found]
    if lacks:
        raise BadInput(f"{path} is damaged: it lacks {', '.join(lacks)}.", ANEW)
    return found
