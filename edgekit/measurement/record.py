"""One file's measurement as a value: raw samples, their conditions, and the figures that are derived from them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from edgekit.errors import BadInput
from edgekit.measurement.protocol import MS, Latency, latency
from edgekit.measurement.verdict import Verdict, verdict_of

if TYPE_CHECKING:
    import pandas as pd

Ns = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Once = Annotated[tuple[Count, ...], Field(min_length=1)]  # one a process
Process = Annotated[tuple[Ns, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Measurement:
    """One file's raw samples and the conditions they were taken under; every figure is derived from them.

    `samples_ns`: one tuple a process, one value an inference of `batch` images. `memory`: `heap_bytes` and `peak_bytes`
    of opening the file and one inference (None where the system cannot tell, with the `reason`). `wall_ns` and
    `cpu_ns`: how long a process was timed, and how much of it its thread had a core. `states`: what the system told of
    the clock and the temperature before, in between and after. `processing`: what comes before and behind the
    inference, never part of the latency.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    file: str
    sha256: Sha256
    size_bytes: Count
    gzip_bytes: Count
    device: str
    threads: AtLeastOne
    batch: AtLeastOne
    samples_ns: Annotated[tuple[Process, ...], Field(min_length=1)]
    init_ns: Once
    first_ns: Once
    switches: tuple[dict[str, int], ...]
    memory: dict[str, Any]
    conditions: dict[str, Any]
    xnnpack: bool = True
    wall_ns: tuple[Count, ...] = ()
    cpu_ns: tuple[Count, ...] = ()
    states: tuple[tuple[dict[str, Finite | None], ...], ...] = ()
    processing: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None  # the one it was measured by
    measured: str = ""  # when: ISO 8601, UTC, to the microsecond: two in one second have an order

    @property
    def latency_ms(self) -> Latency:
        return latency(self.samples_ns)

    @property
    def verdict(self) -> Verdict:
        """Steady, unstable or throttled."""
        # Waiting for a GPU, a thread gives its core away: that tells nothing.
        busy = self.device != "gpu"
        return verdict_of(
            self.samples_ns, threads=self.threads, switches=self.switches if busy else (),
            wall_ns=self.wall_ns if busy else (), cpu_ns=self.cpu_ns if busy else (), states=self.states,
        )  # fmt: skip

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the latency is not steady; empty when it is."""
        return self.verdict.reasons

    @property
    def row(self) -> tuple[str, str, int, int, bool]:
        """What makes two measurements be of the same thing: sha256, device, threads, batch, xnnpack."""
        return self.sha256, self.device, self.threads, self.batch, self.xnnpack

    def summary(self) -> dict[str, Any]:
        """The figures by their names in docs/contracts.md, JSON-able."""
        figures, found = self.latency_ms, self.verdict
        return {
            "file": self.file,
            "sha256": self.sha256,
            "device": self.device,
            "threads": self.threads,
            "batch": self.batch,
            "xnnpack": self.xnnpack,
            "measured": self.measured,
            "protocol": self.protocol,
            "latency_ms": figures.to_json(),
            "images_per_second": 1000 * self.batch / figures.median,
            "init_ms": _middle(self.init_ns) * MS,
            "first_ms": _middle(self.first_ns) * MS,
            "processing": self.processing,
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "heap_bytes": self.memory["heap_bytes"],
            "peak_bytes": self.memory["peak_bytes"],
            "memory_reason": self.memory["reason"],
            "verdict": found.name,
            "valid": found.name != "throttled",
            "doubts": list(found.reasons),
            "conditions": self.conditions,
        }

    def to_json(self) -> dict[str, Any]:
        """The summary and the raw values it is derived from; `read_measurement` takes it back."""
        raw = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {**self.summary(), **raw}

    def to_frame(self) -> pd.DataFrame:
        """One row an inference: process, run, ns."""
        import pandas as pd

        return pd.DataFrame(
            [(process, run, ns) for process, samples in enumerate(self.samples_ns) for run, ns in enumerate(samples)],
            columns=["process", "run", "ns"],
        )


def read_measurement(document: object, where: str) -> Measurement:
    """What `to_json` gave -> the same value; what it derived is derived again. Raises BadInput, naming `where`."""
    names = {field.name for field in fields(Measurement)}
    raw = {key: value for key, value in document.items() if key in names} if isinstance(document, dict) else document
    try:
        found = _ADAPTER.validate_json(json.dumps(raw))
        _CONDITIONS.validate_json(json.dumps(found.conditions))
        _MEMORY.validate_json(json.dumps(found.memory))
        found.summary()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{where} is no measurement: {place}: {first['msg']}.", "Measure again.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where} is no measurement: {type(error).__name__}: {error}.", "Measure again.") from None
    return found


class _Delegate(TypedDict):
    name: str | None
    partitions: int | None


class _Conditions(TypedDict):
    """Those that every figure stands beside; there are more."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]

    cpu: str
    cores: int | None
    machine: str
    runtime: str
    delegate: _Delegate


class _Memory(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]

    heap_bytes: int | None
    peak_bytes: int | None
    reason: str


_ADAPTER, _CONDITIONS, _MEMORY = TypeAdapter(Measurement), TypeAdapter(_Conditions), TypeAdapter(_Memory)


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _middle(values: tuple[int, ...]) -> float:
    return float(sorted(values)[len(values) // 2])
