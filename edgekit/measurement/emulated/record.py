"""How many instructions an inference of a file takes on an emulated board, as a value; and what else was seen there."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from edgekit.errors import BadInput
from edgekit.measurement.emulated.estimate import Estimate, estimate
from edgekit.measurement.record import AtLeastOne, Count, Finite, Sha256

if TYPE_CHECKING:
    import pandas as pd

# Largest difference between inferences, as a share of their median, that is none: where an allocation lies decides how
# many instructions a copy of memory takes.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class OperatorCount:
    """One operator that ran, with the fields of profile.OperatorTime; `share` is of the sum of all operators."""

    op: str
    kernel: str
    layer: str
    dtype: str
    node: int | None
    delegated: bool
    instructions: int
    share: float


@dataclass(frozen=True)
class Agreement:
    """The outputs of the board against this machine's, of the same runtime and the same `inputs` seeded inputs: how
    many of all `values` differ in a bit, and by how much at most as a share of the largest of their output (None where
    one is not finite)."""

    inputs: AtLeastOne
    values: AtLeastOne
    differing: Count
    max_relative: Finite | None

    @property
    def equal(self) -> bool:
        return self.differing == 0


@dataclass(frozen=True)
class InstructionCount:
    """One file on one emulated board. `counts` are raw: a tuple a process, a number an inference of `batch` images;
    the `marking` of each process is in them and no part of the inference. Of one thread. Nothing here is a time.

    `operators` are those of one inference under LiteRT's profiler, in the order in which they ran; where there are none
    `operators_refused` says why.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    file: str
    sha256: Sha256
    size_bytes: Count
    device: str
    core: str
    computes: str  # float32, float16 (weights alone), dynamic, int8 or int16x8
    batch: AtLeastOne
    xnnpack: bool
    counts: Annotated[tuple[Annotated[tuple[AtLeastOne, ...], Field(min_length=1)], ...], Field(min_length=1)]
    marking: tuple[Count, ...]
    outputs: Agreement
    conditions: dict[str, Any]
    operators: tuple[OperatorCount, ...] = ()
    operators_refused: str = ""
    measured: str = ""  # when: ISO 8601, UTC, to the microsecond

    @property
    def each(self) -> tuple[int, ...]:
        """Of every inference of every process, without the marking."""
        pairs = zip(self.counts, self.marking, strict=True)
        return tuple(count - marking for process, marking in pairs for count in process)

    @property
    def instructions(self) -> int:
        """Of an inference: the median, which is all of them where the spread is 0."""
        return statistics.median_low(self.each)

    @property
    def spread(self) -> int:
        return max(self.each) - min(self.each)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the count is not to be relied on; empty where it is."""
        found = []
        if self.spread > TOLERANCE * self.instructions:
            found.append(f"inferences differ by {self.spread:,} instructions")
        return tuple(found)

    @property
    def estimate(self) -> Estimate | str:
        """Of the latency on the real board, or why there is none."""
        return estimate(self.instructions, self.device, self.computes, self.batch, self.xnnpack)

    @property
    def row(self) -> tuple[str, str, int, bool]:
        """What makes two counts be of the same thing: sha256, device, batch, xnnpack."""
        return self.sha256, self.device, self.batch, self.xnnpack

    def summary(self) -> dict[str, Any]:
        """The figures by their names in docs/contracts.md, JSON-able."""
        estimated = self.estimate
        return {
            "file": self.file,
            "sha256": self.sha256,
            "device": self.device,
            "core": self.core,
            "computes": self.computes,
            "batch": self.batch,
            "xnnpack": self.xnnpack,
            "measured": self.measured,
            "instructions": self.instructions,
            "spread": self.spread,
            "n": len(self.each),
            "doubts": list(self.doubts),
            "estimate": vars(estimated) if isinstance(estimated, Estimate) else None,
            "estimate_refused": estimated if isinstance(estimated, str) else "",
            "size_bytes": self.size_bytes,
            "outputs": {**vars(self.outputs), "equal": self.outputs.equal},
            "conditions": self.conditions,
        }

    def to_json(self) -> dict[str, Any]:
        """The summary and the raw values it is derived from; `read_count` takes it back."""
        raw = {
            "counts": [list(process) for process in self.counts],
            "marking": list(self.marking),
            "operators": [dict(vars(one)) for one in self.operators],
            "operators_refused": self.operators_refused,
        }
        return {**self.summary(), **raw}

    def to_frame(self) -> pd.DataFrame:
        """One row an operator that ran, with the fields of OperatorCount."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.operators])


_ADAPTER = TypeAdapter(InstructionCount)


def read_count(document: object, where: str) -> InstructionCount:
    """What `to_json` gave -> the same value; what it derived is derived again. Raises BadInput, naming `where`."""
    raw = document
    if isinstance(document, dict):
        names = {field.name for field in fields(InstructionCount)}
        raw = {key: value for key, value in document.items() if key in names}
        if isinstance(outputs := raw.get("outputs"), dict):
            raw["outputs"] = {key: value for key, value in outputs.items() if key != "equal"}
    try:
        found = _ADAPTER.validate_json(json.dumps(raw))
        found.summary()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{where} is no count of instructions: {place}: {first['msg']}.", "Count again.") from None
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where} is no count of instructions: {error}.", "Count again.") from None
    return found
