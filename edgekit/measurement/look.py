"""A look inside one file: where its operators run, and, where it was asked for, how long they take and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.errors import CheckFailed, UsageError
from edgekit.measurement.advice import Advice, advice
from edgekit.measurement.profile import Profile, placement, profile
from edgekit.progress import Reporter, silent
from edgekit.runtime.placement import Placement, delegated_enough


@dataclass(frozen=True)
class Look:
    """`required`: the percent of the operators that the delegate has to run; None asks for nothing."""

    file: str
    placement: Placement
    required: float | None
    profile: Profile | None
    advice: tuple[Advice, ...]

    @property
    def failed(self) -> CheckFailed | None:
        return None if self.required is None else delegated_enough(self.placement, self.required, self.file)

    def to_json(self) -> dict[str, Any]:
        found = {"file": self.file, "placement": self.placement.to_json(), "require_delegated": self.required}
        if self.profile is None:
            return {**found, "profile": None, "advice": []}
        return {**found, "profile": self.profile.to_json(), "advice": [one.to_json() for one in self.advice]}


def look(
    file: str | Path | Artifact, *, profiled: bool = True, required: float | None = None, threads: int = 1,
    min_runs: int = 100, min_seconds: float = 1.0, progress: Reporter = silent,
) -> Look:  # fmt: skip
    """The placement of a file's operators, and with `profiled` their times and the advice on them.

    Raises as `profile` does, and UsageError for a percentage that is none.
    """
    if required is not None and not 0 <= required <= 100:
        raise UsageError(f"required is {required}.", "Give a percentage from 0 to 100.")
    if not profiled:
        where = placement(file, threads=threads)
        return Look(_name(file), where, required, None, ())
    found = profile(file, threads=threads, min_runs=min_runs, min_seconds=min_seconds, progress=progress)
    return Look(found.file, found.placement, required, found, advice(found))


def _name(file: str | Path | Artifact) -> str:
    return str(file.path if isinstance(file, Artifact) else Path(file))
