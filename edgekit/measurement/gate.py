"""Whether files became slower than a baseline: an earlier measurement, or a file that is measured in turns with them.

A limit in percent, one verdict a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.measurement.bench import SideBySide
from edgekit.measurement.compare import Comparison, compare_apart
from edgekit.measurement.record import Measurement, read_measurement
from edgekit.rules import RULES, Checked, Figure, failure

CONFIDENCE = 0.95
MACHINE = ("cpu", "cores", "machine")  # conditions that make it the same machine


@dataclass(frozen=True)
class Gated:
    """A file against its baseline, by the rule `max_regression_percent`. `verdict`: `regressed` when the ratio of the
    medians is above the limit and its interval above 1; `unclear` when it is not but the interval reaches beyond the
    limit; else `within`."""

    comparison: Comparison
    limit_percent: float
    threads: int
    batch: int
    xnnpack: bool

    @property
    def figure(self) -> Figure:
        """Percent slower than the baseline."""
        ends = self.comparison.interval
        interval = None if ends is None else (100 * (ends[0] - 1), 100 * (ends[1] - 1))
        return Figure(100 * (self.comparison.ratio - 1), interval)

    @property
    def checked(self) -> Checked:
        return Checked(RULES["max_regression_percent"], self.comparison.file, self.limit_percent, self.figure)

    @property
    def verdict(self) -> str:
        return {"broken": "regressed", "unclear": "unclear"}.get(self.checked.state, "within")

    def to_json(self) -> dict[str, Any]:
        return {
            **self.comparison.to_json(),
            "verdict": self.verdict,
            "limit_percent": self.limit_percent,
            "threads": self.threads,
            "batch": self.batch,
            "xnnpack": self.xnnpack,
        }


def model_of(baseline: Path | None) -> Path | None:
    """The baseline where it is a file to measure beside the others; None where it is a result to read, or none."""
    return baseline if baseline is not None and baseline.suffix == ".tflite" else None


def read_baseline(path: Path) -> tuple[Measurement, ...]:
    """What `edgekit bench --json` or `--out` wrote, or a file of the store. Raises BadInput for anything else."""
    found = read_results(path)
    files = found.get("files", [found])
    if not isinstance(files, list) or not files:
        raise BadInput(f"{path} holds no measurements.", "Give what edgekit bench --out wrote.")
    return tuple(read_measurement(one, f"{path}, file {place}") for place, one in enumerate(files, 1))


def read_results(path: Path) -> dict[str, Any]:
    """The result in what `edgekit bench --json` or `--out` wrote. Raises BadInput where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise BadInput(
            f"{path} cannot be read as a baseline: {said}.", "Give what edgekit bench --out wrote."
        ) from None
    if isinstance(found, dict) and "result" in found:
        found = found["result"]
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no measurements.", "Give what edgekit bench --out wrote.")
    return found


def gate(
    measured: Sequence[Measurement],
    baseline: Sequence[Measurement],
    *,
    max_regression_percent: float = 5.0,
    new_version: bool = False,
) -> tuple[Gated, ...]:
    """Each measurement against that of the baseline with the same SHA-256 and setting.

    `new_version`: files of the same name are compared although their bytes differ. Raises BadInput where the baseline
    is of another model or of another machine, UsageError for a limit below zero.
    """
    require_limit(max_regression_percent)
    return tuple(
        Gated(_compared(one, _counterpart(one, baseline, new_version)), max_regression_percent, *one.row[2:])
        for one in measured
    )


def gate_beside(found: Sequence[SideBySide], max_regression_percent: float = 5.0) -> tuple[Gated, ...]:
    """Each file against the first of those that it was measured in turns with, at the comparison's own confidence.

    What slows the machine for a while slows both. Raises UsageError for a limit below zero.
    """
    require_limit(max_regression_percent)
    return tuple(
        Gated(comparison, max_regression_percent, *one.row[2:])
        for setting in found
        for one, comparison in zip(setting.measurements[1:], setting.comparisons, strict=True)
    )


def check(gated: Sequence[Gated]) -> CheckFailed | None:
    """The failed check, which names every file that regressed and by how much; None when there is none."""
    return failure((one.checked for one in gated), "Find what slowed it down, or measure a new baseline.")


def require_models(files: Mapping[str, str], baseline: Sequence[Measurement], new_version: bool = False) -> None:
    """Before anything is measured: every file (its path -> its SHA-256) is in the baseline. Raises BadInput."""
    for file, sha256 in files.items():
        _of_model(file, sha256, baseline, new_version)


def require_limit(percent: float) -> None:
    """Raises UsageError for one below zero."""
    if not percent >= 0:
        raise UsageError(f"max_regression_percent is {percent}.", "Give zero or more percent.")


def _compared(now: Measurement, before: Measurement) -> Comparison:
    where = [tuple(one.conditions[name] for name in MACHINE) for one in (now, before)]
    if where[0] != where[1]:
        here, there = ("{}, {} cores, {}".format(*one) for one in where)
        raise BadInput(f"The baseline is of another machine ({there}) than this one ({here}).", "Measure one here.")
    return compare_apart(now.file, now.samples_ns, before.file, before.samples_ns, CONFIDENCE)


def _counterpart(now: Measurement, baseline: Sequence[Measurement], new_version: bool) -> Measurement:
    for one in reversed(_of_model(now.file, now.sha256, baseline, new_version)):  # the newest
        if one.row[1:] == now.row[1:]:
            return one
    wanted = "{}, threads {}, batch {}, XNNPACK {}".format(*now.row[1:])
    raise BadInput(f"The baseline has no measurement of {now.file} with {wanted}.", "Measure one with that setting.")


def _of_model(file: str, sha256: str, baseline: Sequence[Measurement], new_version: bool) -> Sequence[Measurement]:
    found = [one for one in baseline if one.sha256 == sha256]
    if not found and new_version:
        found = [one for one in baseline if Path(one.file).name == Path(file).name]
    if found:
        return found
    theirs = ", ".join(dict.fromkeys(f"{Path(one.file).name} {one.sha256}" for one in baseline))
    how = "there is no file of that name in it" if new_version else "--new-version compares files of one name"
    raise BadInput(
        f"The baseline is of another model ({theirs}) than {file} ({sha256}).", f"Measure a baseline of it; {how}."
    )
