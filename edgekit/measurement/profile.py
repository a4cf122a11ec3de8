"""Where the time of an inference goes: every operator's own, those inside the delegate included, and what to do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.measurement.host import ask, this_machine
from edgekit.measurement.inner_operators import operators_of
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.placement import Operator, Placement, placed
from edgekit.runtime.probe import Probed, probe

if TYPE_CHECKING:
    import pandas as pd

WARMUP = {"warmup_runs": 5, "warmup_seconds": 0.2}
PATIENCE = 120.0  # seconds to open a file, and ten times what its inferences should take


@dataclass(frozen=True)
class OperatorTime:
    """One operator that ran. `op` is the file's, or the delegate's kernel where it cannot be told which of the file's
    it is; then `layer` is "", `dtype` too and `node` None. `share` is of the sum of all medians: other processes, which
    lengthen the means, do not move these."""

    op: str
    kernel: str
    layer: str
    dtype: str
    node: int | None
    delegated: bool
    mean_us: float
    median_us: float
    share: float
    runs: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Whole:
    """Of whole inferences, in microseconds."""

    median: float
    mean: float
    n: int


@dataclass(frozen=True)
class Profile:
    """`operators` in the order in which they ran. `whole_us` is of inferences without the profiler, `profiled_us` with
    it: the difference is what looking costs."""

    file: str
    sha256: str
    threads: int
    conditions: dict[str, Any]
    whole_us: Whole
    profiled_us: Whole
    operators: tuple[OperatorTime, ...]
    placement: Placement

    @property
    def sum_us(self) -> float:
        """Of the medians."""
        return sum(one.median_us for one in self.operators)

    def share(self, nodes: Sequence[int]) -> float:
        """Of the time, what these operators of the file take; those whose time cannot be told count nothing."""
        wanted = set(nodes)
        return sum(one.share for one in self.operators if one.node in wanted)

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "sha256": self.sha256,
            "threads": self.threads,
            "whole_us": vars(self.whole_us),
            "profiled_us": vars(self.profiled_us),
            "sum_us": self.sum_us,
            "operators": [one.to_json() for one in self.operators],
            "conditions": self.conditions,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row an operator that ran, with the fields of OperatorTime."""
        import pandas as pd

        return pd.DataFrame([one.to_json() for one in self.operators])


def profile(
    file: str | Path | Artifact, *, threads: int = 1, min_runs: int = 100, min_seconds: float = 1.0,
    progress: Reporter = silent,
) -> Profile:  # fmt: skip
    """Times every operator of a file in a fresh process, over at least so many inferences and seconds.

    Raises UsageError for counts below one, BadInput for a file that does not run or that the profiler cannot take,
    DeviceError where the runtime has no profiler.
    """
    _check(threads, min_runs, min_seconds)
    found = probe(file.path if isinstance(file, Artifact) else file)
    request = {"kind": "profile", "threads": threads, "min_runs": min_runs, "min_seconds": min_seconds, **WARMUP}
    with this_machine(progress):
        progress(Progress("profile", 0, 1, found.path.name))
        answer = _asked(found, request, 2 * (min_seconds + 4 * WARMUP["warmup_seconds"] + min_runs * found.seconds))
        progress(Progress("profile", 1, 1))
    placement = placed(found.content, answer["conditions"]["delegate"]["name"], answer["partitions"])
    return Profile(
        file=str(found.path), sha256=found.sha256, threads=threads, conditions=answer["conditions"],
        whole_us=_whole([ns / 1000 for ns in answer["whole_ns"]]), profiled_us=_whole(answer["profiled_us"]),
        operators=_times(answer["operators"], placement), placement=placement,
    )  # fmt: skip


def placement(file: str | Path | Artifact, *, threads: int = 1) -> Placement:
    """Which operators of a file the runtime here gives to its delegate. Raises BadInput for one that does not run."""
    found = probe(file.path if isinstance(file, Artifact) else file)
    answer = _asked(found, {"kind": "placement", "threads": threads}, 0.0)
    return placed(found.content, answer["conditions"]["delegate"]["name"], answer["partitions"])


def _check(threads: int, min_runs: int, min_seconds: float) -> None:
    for name, value in (("threads", threads), ("min_runs", min_runs)):
        if value < 1:
            raise UsageError(f"{name} is {value}.", "Give one or more.")
    if not 0 <= min_seconds < float("inf"):
        raise UsageError(f"min_seconds is {min_seconds}.", "Give zero or more seconds.")


def _asked(file: Probed, request: dict[str, Any], expected: float) -> dict[str, Any]:
    from edgekit.errors import BadInput

    answer = ask({**request, "model": str(file.path)}, PATIENCE + 10 * expected)
    if answer["sha256"] != file.sha256:
        raise BadInput(f"{file.path} changed while it was measured.", "Run it again.")
    return answer


def _times(raw: list[dict[str, Any]], placement: Placement) -> tuple[OperatorTime, ...]:
    total = sum(_median(one["us"]) for one in raw) or 1.0
    owners = owners_of(raw, placement)
    return tuple(_time(one, owner, total) for one, owner in zip(raw, owners, strict=True))


def _time(raw: dict[str, Any], owner: Operator | None, total: float) -> OperatorTime:
    median = _median(raw["us"])
    return OperatorTime(
        op=owner.op if owner else raw["op"], kernel=raw["op"], layer=owner.layer if owner else "",
        dtype=owner.dtype if owner else "", node=owner.index if owner else None,
        delegated=raw["partition"] is not None, mean_us=statistics.fmean(raw["us"]), median_us=median,
        share=median / total, runs=len(raw["us"]),
    )  # fmt: skip


def owners_of(raw: list[dict[str, Any]], placement: Placement) -> list[Operator | None]:
    """The file's operator of each one that ran. Inner ones have none where the profiler saw other parts of the graph
    than the delegate was given: XNNPACK drops a part that does nothing."""
    by_index = {one.index: one for one in placement.operators}
    owners = [None if one["node"] is None else by_index.get(one["node"]) for one in raw]
    parts = {one["partition"] for one in raw} - {None}
    if len(parts) != placement.partitions:
        return owners
    for part in parts:
        places = [place for place, one in enumerate(raw) if one["partition"] == part]
        inside = [one for one in placement.operators if one.partition == part]
        told = operators_of([raw[place]["op"] for place in places], inside)
        for place, owner in zip(places, told, strict=True):
            owners[place] = owner
    return owners


def _median(us: Sequence[int]) -> float:
    """Interpolated within the clock's microsecond: most operators of a small network take less than a few."""
    return max(0.0, statistics.median_grouped(us, 1))


def _whole(us: Sequence[float]) -> Whole:
    return Whole(float(statistics.median(us)), statistics.fmean(us), len(us))
