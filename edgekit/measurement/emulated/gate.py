"""Whether files take more instructions than an earlier count said: exact figures, a limit in percent, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, CheckFailed
from edgekit.measurement.emulated.record import InstructionCount, read_count
from edgekit.measurement.gate import read_results, require_limit

LIMIT_PERCENT = 1.0  # counts repeat: the limit is what a new runtime may cost, and no noise


@dataclass(frozen=True)
class GatedCount:
    """A file against its baseline. `verdict`: `regressed` above the limit, else `within`."""

    file: str
    device: str
    batch: int
    xnnpack: bool
    instructions: int
    baseline: int
    limit_percent: float
    runtimes: tuple[str, str]  # now, then

    @property
    def ratio(self) -> float:
        return self.instructions / self.baseline

    @property
    def verdict(self) -> str:
        return "regressed" if self.ratio > 1 + self.limit_percent / 100 else "within"

    @property
    def sentence(self) -> str:
        percent = 100 * (self.ratio - 1)
        now, then = self.runtimes
        other = f", {then} became {now}" if now != then else ""
        way = "more" if percent > 0 else "fewer"
        return (
            f"{self.file} takes {abs(percent):.2f} % {way} instructions on {self.device} than the baseline "
            f"({self.instructions:,}, before {self.baseline:,}{other}), limit {self.limit_percent:g} %"
        )

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "runtimes": list(self.runtimes), "ratio": self.ratio, "verdict": self.verdict}


def read_counts(path: Path) -> tuple[InstructionCount, ...]:
    """The counts in what `edgekit bench --json` or `--out` wrote, or in a file of the store. Raises BadInput."""
    found = read_results(path).get("instructions")
    if not isinstance(found, list) or not found:
        raise BadInput(
            f"{path} holds no counts of instructions.", "Give what edgekit bench --device rpi4:emulated wrote."
        )
    return tuple(read_count(one, f"{path}, count {place}") for place, one in enumerate(found, 1))


def gate_counts(
    counts: Sequence[InstructionCount],
    baseline: Sequence[InstructionCount],
    *,
    max_regression_percent: float = LIMIT_PERCENT,
    new_version: bool = False,
) -> tuple[GatedCount, ...]:
    """Each count against that of the baseline with the same SHA-256, device, batch and XNNPACK; the machine that
    emulates does not matter.

    `new_version`: files of the same name are compared although their bytes differ. Raises BadInput where the baseline
    has none, UsageError for a limit below zero.
    """
    require_limit(max_regression_percent)
    return tuple(_gated(one, _counterpart(one, baseline, new_version), max_regression_percent) for one in counts)


def gate_counts_beside(
    counts: Sequence[InstructionCount], *, max_regression_percent: float = LIMIT_PERCENT
) -> tuple[GatedCount, ...]:
    """Each count against the first, of the same device and setting. Raises UsageError for a limit below zero."""
    require_limit(max_regression_percent)
    return tuple(_gated(one, counts[0], max_regression_percent) for one in counts[1:])


def check_counts(gated: Sequence[GatedCount]) -> CheckFailed | None:
    """The failed check, which names every file that regressed and by how much; None when there is none."""
    found = [one.sentence for one in gated if one.verdict == "regressed"]
    return CheckFailed("; ".join(found) + ".", "Find what added them, or count a new baseline.") if found else None


def _gated(now: InstructionCount, then: InstructionCount, limit: float) -> GatedCount:
    runtimes = (str(now.conditions.get("runtime")), str(then.conditions.get("runtime")))
    return GatedCount(
        now.file, now.device, now.batch, now.xnnpack, now.instructions, then.instructions, limit, runtimes
    )  # fmt: skip


def _counterpart(now: InstructionCount, baseline: Sequence[InstructionCount], new_version: bool) -> InstructionCount:
    found = [one for one in baseline if one.row == now.row]
    if not found and new_version:
        same = [one for one in baseline if Path(one.file).name == Path(now.file).name]
        found = [one for one in same if one.row[1:] == now.row[1:]]
    if not found:
        setting = f"{now.device} with batch {now.batch}, XNNPACK {now.xnnpack}"
        raise BadInput(
            f"The baseline has no count of {now.file} ({now.sha256}) on {setting}.",
            "Count one; --new-version compares files of one name.",
        )
    return found[-1]  # the newest
