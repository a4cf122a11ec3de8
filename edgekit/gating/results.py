"""What results say of files: documents of evaluate, bench and inspect, and run directories, read into figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput
from edgekit.evaluation.keep import DOCUMENT
from edgekit.measurement.record import Measurement, read_measurement
from edgekit.rules import RULES, Figure

RUN = Path("results", "results.json")
HOW = "Give what edgekit evaluate --out, bench --out or --json wrote, or a run directory."


@dataclass(frozen=True)
class Answers:
    """To which images: `data_sha256`, and how many of them are right of all (`n`) and of each class (support, hits),
    where that is told. `rows`: the raw results, where they are kept."""

    data_sha256: str
    n: int
    top1: float
    classes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rows: Path | None = None


@dataclass(frozen=True)
class Found:
    """What results say of one file. `measurements` are of every setting, the first one first. `reference`: what other
    files of the same evaluation are held against."""

    file: str
    sha256: str
    figures: Mapping[str, Figure]
    measurements: tuple[Measurement, ...] = ()
    answers: Answers | None = None
    reference: bool = False

    @property
    def name(self) -> str:
        return Path(self.file).name


def read_results(paths: Sequence[Path]) -> tuple[Found, ...]:
    """One Found a file, whatever the number of documents that tell of it. Raises BadInput for what is no result."""
    files: dict[str, Found] = {}
    for path in paths:
        for one in _read(path):
            files[one.sha256] = _merged(files[one.sha256], one) if one.sha256 in files else one
    return tuple(files.values())


def _merged(first: Found, second: Found) -> Found:
    """Of one file: what is told first counts."""
    return Found(
        first.file, first.sha256, {**second.figures, **first.figures}, (*first.measurements, *second.measurements),
        first.answers or second.answers, first.reference or second.reference,
    )  # fmt: skip


def _read(path: Path) -> list[Found]:
    folder, document = _document(path)
    try:
        if "variants" in document:
            return _run(document, folder)
        if "targets" in document:
            return [_inspected(document)]
        files = document.get("files", [document])
        if not files:
            raise KeyError("files")
        if "samples_ns" in files[0]:
            return _measured(document, files, str(path))
        return [_evaluated(one, folder, len(files) > 1 and one is files[0]) for one in files]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        fact = f"{path} is no result that a gate can read: {type(error).__name__}: {error}."
        raise BadInput(fact, HOW) from None


def _document(path: Path) -> tuple[Path, dict[str, Any]]:
    """The folder that it lies in, and the result in it, out of the --json envelope where there is one."""
    inside = [path / DOCUMENT, path / RUN] if path.is_dir() else [path]
    file = next((one for one in inside if one.is_file()), inside[-1])
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise BadInput(f"{file} cannot be read as a result: {said}.", HOW) from None
    if isinstance(found, dict) and {"schema", "command", "result"} <= set(found):
        found = found["result"]
    if not isinstance(found, dict):
        raise BadInput(f"{file} holds no result.", HOW)
    return file.parent, found


def _evaluated(one: Mapping[str, Any], folder: Path, reference: bool) -> Found:
    figures = {"top1": _proportion(one["top1"]), "ece": Figure(float(one["calibration"]["ece"]))}
    if against := one.get("against_first"):
        figures |= _against(against)
    classes = {row["class"]: (int(row["support"]), int(row["hits"])) for row in one["per_class"]}
    rows = folder / Path(one["rows"]).name if one.get("rows") else None  # a document never leads out of its folder
    answers = Answers(one["data_sha256"], int(one["n"]), float(one["top1"]["value"]), classes, rows)
    return Found(str(one["file"]), str(one["sha256"]), figures, answers=answers, reference=reference)


def _against(found: Mapping[str, Any]) -> dict[str, Figure]:
    """What the first file of the same call is the reference for."""
    change = found["top1_difference"]
    low, high = change["ci95"]
    worst = min(found["per_class"], key=lambda one: one["difference"])
    detail = f"{worst['class']!r}: {worst['gained']} gained, {worst['lost']} lost of {worst['n']}"
    return {
        "drop_points": Figure(_points(change["value"]), (-100 * high, -100 * low)),
        "class_drop_points": Figure(_points(worst["difference"]), detail=detail),
        "agreement": _proportion(found["agreement"]),
    }


def _measured(document: Mapping[str, Any], files: Iterable[Any], where: str) -> list[Found]:
    inside = {one["file"]: one["placement"] for one in document.get("inside", ())}
    found: dict[str, Found] = {}
    for place, entry in enumerate(files, 1):
        one = read_measurement(entry, f"{where}, file {place}")
        heap = one.memory["heap_bytes"]
        figures = {"size_mb": Figure(one.size_bytes / 1e6), "latency_ms": _latency(one.latency_ms.to_json())}
        figures |= {} if heap is None else {"heap_kb": Figure(heap / 1e3)}
        figures |= {"delegated_percent": _delegated(inside[one.file])} if one.file in inside else {}
        told = Found(one.file, one.sha256, figures, (one,))
        found[one.sha256] = _merged(found[one.sha256], told) if one.sha256 in found else told
    return list(found.values())


def _delegated(placement: Mapping[str, Any]) -> Figure:
    outside = ", ".join(dict.fromkeys(f"{one['op']} {one['dtype']}" for one in placement["outside"]))
    return Figure(float(placement["percent"]), detail=f"outside are {outside}" if outside else "")


def _inspected(one: Mapping[str, Any]) -> Found:
    figures = {"size_mb": Figure(one["size_bytes"] / 1e6)}
    if one.get("arena_bytes") is not None:
        figures["arena_kb"] = Figure(one["arena_bytes"] / 1e3)
    for row in (one.get("check") or {}).get("rules", ()):
        name = RULES[row["rule"]].figure
        figures[name] = Figure(float(row[name]["value"]), detail=str(row[name]["detail"]))
    return Found(str(one["file"]), str(one["sha256"]), figures)


def _run(document: Mapping[str, Any], folder: Path) -> list[Found]:
    """Of a run directory, whose folder `results` it is: the raw results lie beside the document."""
    raw = folder / "latency.json"
    measured = json.loads(raw.read_text("utf-8")) if raw.is_file() else []
    measurements = [read_measurement(one, f"{raw}, entry {place}") for place, one in enumerate(measured, 1)]
    found = []
    for row in document["variants"]:
        own = tuple(one for one in measurements if one.sha256 == row["sha256"])
        first = len(document["variants"]) > 1 and row is document["variants"][0]
        answers = _run_answers(document, row, folder)
        found.append(Found(row["file"], row["sha256"], _variant_figures(row), own, answers, first))
    return found


def _variant_figures(row: Mapping[str, Any]) -> dict[str, Figure]:
    failures = row["parity"]["failures"]
    said = f"failed verification: {'; '.join(failures)}" if failures else ""
    figures = {
        "verification_failures": Figure(len(failures), detail=said),
        "size_mb": Figure(row["size_bytes"] / 1e6),
        "latency_ms": _latency(row["latency_ms"]),
    }
    for name in ("heap", "arena"):
        if row.get(f"{name}_bytes") is not None:
            figures[f"{name}_kb"] = Figure(row[f"{name}_bytes"] / 1e3)
    if row["drop_points"] is not None:
        figures["drop_points"] = Figure(float(row["drop_points"]))
    for name in ("top1", "agreement"):
        figures |= {} if row[name] is None else {name: _proportion(row[name])}
    return figures


def _run_answers(document: Mapping[str, Any], row: Mapping[str, Any], folder: Path) -> Answers | None:
    if row["top1"] is None:
        return None
    rows = folder / f"evaluation_{row['variant']}.csv"
    kept = rows if rows.is_file() else None
    return Answers(document["data_sha256"], int(row["top1"]["n"]), float(row["top1"]["value"]), rows=kept)


def _latency(figures: Mapping[str, Any]) -> Figure:
    low, high = figures["ci95"]
    return Figure(float(figures["median"]), (float(low), float(high)))


def _proportion(figure: Mapping[str, Any]) -> Figure:
    low, high = figure["ci95"]
    return Figure(float(figure["value"]), (float(low), float(high)))


def _points(difference: float) -> float:
    """Lost: above 0 where the other is worse."""
    return round(-100 * difference, 9) + 0.0
