"""Files under every setting on emulated devices, one device after the other, and against a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.measurement.emulated.count import PROCESSES, check_outputs, count_instructions
from edgekit.measurement.emulated.gate import (
    LIMIT_PERCENT,
    GatedCount,
    check_counts,
    gate_counts,
    gate_counts_beside,
    read_counts,
)
from edgekit.measurement.emulated.record import InstructionCount
from edgekit.measurement.gate import model_of
from edgekit.measurement.sweep import settings
from edgekit.progress import Progress, Reporter, silent


@dataclass(frozen=True)
class Counted:
    """The counts, and what they are against the baseline where there is one."""

    counts: tuple[InstructionCount, ...] = ()
    gated: tuple[GatedCount, ...] = ()

    @property
    def failed(self) -> EdgekitError | None:
        """The first check that failed."""
        return check_counts(self.gated) or check_outputs(self.counts)


def count_all(
    files: Sequence[Path], devices: Sequence[str], *, batch: Sequence[int] | None = None, xnnpack: str = "on",
    processes: int = PROCESSES, baseline: Path | None = None, max_regression_percent: float | None = None,
    new_version: bool = False, progress: Reporter = silent,
) -> Counted:  # fmt: skip
    """A baseline that is a .tflite is counted too, before the files; any other is read before anything is counted.

    Raises as `count_instructions`, `gate_counts` and `gate_counts_beside` do.
    """
    limit = LIMIT_PERCENT if max_regression_percent is None else max_regression_percent
    beside = model_of(baseline)
    before = read_counts(baseline) if baseline and not beside else ()
    every = [beside, *files] if beside else list(files)
    if len(devices) > 1:
        progress(Progress("bench", 0, 1, f"emulated devices take turns: {', then '.join(devices)}"))
    found = [
        count_instructions(
            every, device=device, batch=under.batch, xnnpack=under.xnnpack, processes=processes, progress=progress
        )
        for under in settings((1,), batch, xnnpack)
        for device in devices
    ]
    counts = tuple(one for group in found for one in group)
    if beside:
        return Counted(
            counts, tuple(one for group in found for one in gate_counts_beside(group, max_regression_percent=limit))
        )
    gated = gate_counts(counts, before, max_regression_percent=limit, new_version=new_version) if before else ()
    return Counted(counts, gated)
