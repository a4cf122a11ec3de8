"""The agent at work on a device: sent there with its file, started, spoken to line by line, its answer checked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgekit.errors import DeviceError
from edgekit.measurement.answers import LARGEST, Answers, Told, Words
from edgekit.measurement.devices.answer import not_understood, onboard
from edgekit.measurement.devices.connection import LINES, Connection
from edgekit.measurement.devices.folder import BYTES_A_SECOND, Folder
from edgekit.measurement.host import AGENT, Agent

AGENT_FILES = (AGENT, *(AGENT.with_name(f"agent_{name}.py") for name in ("profile", "answers", "scores")))

Nanoseconds = Annotated[int, Field(ge=0, le=2**62)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Reading = Annotated[int, Field(ge=-(2**62), le=2**62)] | Number | None  # of a clock, a thermometer, a counter
# Of the conditions, what every figure stands beside, and what is computed with.
NEEDED = {"cpu": str, "machine": str, "runtime": str, "cores": int, "delegate": dict}
NUMBERS = ("mhz", "celsius", "load")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Ready(_Strict):
    ready: Annotated[int, Field(ge=0, le=2**31)]


class _Complaint(_Strict):
    kind: Literal["request", "model", "runtime", "device"]
    message: Words
    remedy: Words = ""


class _Failed(_Strict):
    schema_: Literal[1] = Field(alias="schema")
    ok: Literal[False]
    error: _Complaint


def _complete(conditions: dict[str, Any]) -> dict[str, Any]:
    for name, kind in NEEDED.items():
        if not isinstance(conditions.get(name), kind):
            raise ValueError(f"it does not tell its {name}")
    if "name" not in conditions["delegate"]:
        raise ValueError("it does not name its delegate")
    if any(not isinstance(conditions.get(name), int | float | None) for name in NUMBERS):
        raise ValueError("it gives words for numbers")
    return conditions


class _Memory(_Strict):
    heap_bytes: Annotated[int, Field(ge=-(2**62), le=2**62)] | None
    peak_bytes: Annotated[int, Field(ge=-(2**62), le=2**62)] | None
    reason: Words


class _Opened(_Strict):
    """What every answer of an agent has; `kind` says what more there is, of which lists of numbers are all that an
    answer about latency adds. Names and depth are bounded: it goes into reports."""

    model_config = ConfigDict(extra="allow", strict=True)

    schema_: Literal[1] = Field(alias="schema")
    ok: Literal[True]
    kind: Words
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
    threads: Annotated[int, Field(ge=1, le=4096)]
    batch: Annotated[int, Field(ge=1, le=2**31)]
    xnnpack: bool
    init_ns: Nanoseconds
    first_ns: Nanoseconds
    memory: _Memory
    conditions: Annotated[dict[Words, Told | list[Words] | dict[Words, Told]], AfterValidator(_complete)]


class _Latency(_Opened):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["latency"]
    warmup_runs: Annotated[int, Field(ge=0, le=2**53)]
    samples_ns: Annotated[list[Annotated[int, Field(ge=1, le=2**62)]], Field(min_length=1)]
    wall_ns: Nanoseconds
    cpu_ns: Nanoseconds
    switches: dict[Words, Nanoseconds]
    states: list[dict[Words, Reading]]


class _Part(_Ready):
    """Outputs of some images, on the way: base64."""

    scores: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}\z")]


class _Scores(_Opened):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["scores"]
    states: list[dict[Words, Reading]]


class _Alone(_Opened):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["memory"]


# Kind of request -> the shape of its answer; what is in no row is not asked of a device.
SHAPES: dict[str, TypeAdapter[Any]] = {
    "latency": TypeAdapter(_Ready | _Failed | _Latency),
    "memory": TypeAdapter(_Ready | _Failed | _Alone),
    "answers": TypeAdapter(_Ready | _Failed | Answers),
    "scores": TypeAdapter(_Part | _Failed | _Scores),
}


def agent_folder(connection: Connection, files: Mapping[str, bytes]) -> Folder:
    """A folder on the device with the agent and the files (name -> content) to measure."""
    return Folder(connection, {**{path.name: path.read_bytes() for path in AGENT_FILES}, **files})


class RemoteAgent(Agent):
    """A fresh process on the device, at work on a request whose model is the name of a file in the folder."""

    def __init__(
        self, connection: Connection, folder: Folder, request: dict[str, Any], what: str, seconds: float,
        packages: Sequence[str] = (), largest: int = LARGEST, lines: int = LINES,
    ) -> None:  # fmt: skip
        """`what` stands in messages; `seconds`: how long it may stay silent; `packages`: entries of its sys.path;
        `largest` and `lines`: bytes and lines of all that it may say."""
        super().__init__(what, seconds)
        self._name, self._shape = connection.device.name, SHAPES[request["kind"]]
        self._end = 0.0
        self._channel = connection.start(largest, lines)
        self._channel.program(onboard("start"), folder.path, json.dumps(request), *packages)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.__exit__(kind, error, trace)

    def feed(self, content: bytes) -> None:
        """Gives it what its request announced; it may still be at work on what came before."""
        self._channel.send(content, self._seconds + len(content) / BYTES_A_SECOND)

    def part(self) -> dict[str, Any]:
        """The next of the messages that come before the answer. Raises as `answer` does."""
        found = self._message()
        if found.get("ok"):
            raise not_understood(self._name, "it ended too early")
        return found

    def _go(self) -> bool:
        self._channel.send(b"go\n")
        return True

    def _message(self) -> dict[str, Any]:
        """Lines that are none of ours do not gain it time."""
        self._end = time.monotonic() + self._seconds
        return super()._message()

    def _line(self) -> str:
        left = max(self._end - time.monotonic(), 0.001)
        return self._channel.line(left, self._seconds).decode("utf-8", "replace")

    def _died(self) -> NoReturn:
        raise self._channel.ending()

    def _checked(self, found: dict[str, Any]) -> dict[str, Any]:
        try:
            self._shape.validate_python(found)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise not_understood(self._name, first["msg"][:100]) from None
        return found


def ask_device(connection: Connection, request: dict[str, Any], content: bytes, seconds: float) -> dict[str, Any]:
    """One request about one .tflite, answered on the device; nothing of it is left there. Raises BadInput where the
    file fails there, DeviceError where the device does."""
    if request["kind"] not in SHAPES:
        raise DeviceError(f"Requests of the kind {request['kind']} are not asked of devices.", "Ask this machine.")
    what = f"{Path(request['model']).name} on {connection.device.name}"
    with (
        agent_folder(connection, {"model.tflite": content}) as folder,
        RemoteAgent(connection, folder, {**request, "model": "model.tflite"}, what, seconds) as agent,
    ):
        return agent.answer()
