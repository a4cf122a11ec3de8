"""Latency, size and memory of .tflite files on this machine: fresh processes, raw samples, several files in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

import numpy as np

from edgekit.artifact import Artifact, gzip_size
from edgekit.errors import BadInput, UsageError
from edgekit.measurement.compare import Comparison, compare_pairs
from edgekit.measurement.gpu import held_against_cpu
from edgekit.measurement.host import Agent
from edgekit.measurement.place import Start, at_work, require_device
from edgekit.measurement.protocol import Protocol, Samples, protocol_named
from edgekit.measurement.record import Measurement
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.probe import Probed, probe

File = str | Path | Artifact
TURNS = (
    8  # that the processes of one round take, first there and then back (ABBA): what slows the machine meets them all
)
MORE = 5  # rounds that are added at a time while the interval is too wide


@dataclass(frozen=True)
class Setting:
    """How a file is run. `batch` None keeps its own; `xnnpack` False takes the runtime's plain kernels; `device` is
    cpu, gpu, which takes neither, or the name of one that was added."""

    threads: int = 1
    batch: int | None = None
    xnnpack: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("threads", "batch"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} is {value}.", "Give one or more.")
        require_device(self.device)
        if self.device == "gpu" and (self.batch is not None or not self.xnnpack):
            raise UsageError("A batch, and XNNPACK, are of the CPU.", "Leave them out with the device gpu.")


@dataclass(frozen=True)
class SideBySide:
    """Files that were measured in turns, and what each but the first is against the first."""

    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]


@overload  # a str is itself a sequence of str
def bench(  # type: ignore[overload-overlap]
    paths: File, *, device: str = ..., threads: int = ..., batch: int | None = ..., xnnpack: bool = ...,
    protocol: str = ..., processes: int | None = ..., min_runs: int | None = ..., min_seconds: float | None = ...,
    progress: Reporter = ...,
) -> Measurement: ...  # fmt: skip
@overload
def bench(
    paths: Sequence[File], *, device: str = ..., threads: int = ..., batch: int | None = ..., xnnpack: bool = ...,
    protocol: str = ..., processes: int | None = ..., min_runs: int | None = ..., min_seconds: float | None = ...,
    progress: Reporter = ...,
) -> tuple[Measurement, ...]: ...  # fmt: skip
def bench(
    paths: File | Sequence[File],
    *,
    device: str = "cpu",
    threads: int = 1,
    batch: int | None = None,
    xnnpack: bool = True,
    protocol: str = "default",
    processes: int | None = None,
    min_runs: int | None = None,
    min_seconds: float | None = None,
    progress: Reporter = silent,
) -> Measurement | tuple[Measurement, ...]:
    """Measures one file -> Measurement, or several -> a tuple of them in their order.

    `protocol` is a row of `protocol.PROTOCOLS` (quick, default, mlperf); `processes`, `min_runs` and `min_seconds`
    replace its own. The runs of all processes of a file together are at least `min_runs` and take at least
    `min_seconds`. Several files take turns. `batch` resizes the input, `xnnpack` False takes the runtime's plain
    kernels. `device` gpu runs LiteRT's GPU accelerator, from inputs in memory to outputs in memory; `conditions["gpu"]`
    names the adapter, says which operators it left to the CPU, and how far the outputs are from the CPU's. The name of
    a device that was added measures there. Raises
    UsageError for numbers below one, BadInput for a file that does not run or cannot take the batch, DeviceError when
    another bench holds this machine for half an hour, and where there is no GPU.
    """
    how = protocol_named(protocol, processes=processes, runs=min_runs, seconds=min_seconds)
    one_file = isinstance(paths, (str, Path, Artifact))
    setting = Setting(threads, batch, xnnpack, device)
    race = _Race([paths] if isinstance(paths, (str, Path, Artifact)) else paths, setting, how)
    with race.started(progress):
        race.run(how.processes, progress)
    found = race.measurements(protocol)
    return found[0] if one_file else found


def side_by_side(
    paths: Sequence[File],
    *,
    device: str = "cpu",
    threads: int = 1,
    batch: int | None = None,
    xnnpack: bool = True,
    protocol: str = "default",
    processes: int | None = None,
    min_runs: int | None = None,
    min_seconds: float | None = None,
    seed: int = 0,
    progress: Reporter = silent,
) -> SideBySide:
    """Measures files in turns and compares each with the first.

    A round is a fresh process a file, in an order drawn from `seed`; they take turns, first there and then back. There
    are `pairs` rounds of the protocol, then more until every comparison is settled, at most `most_pairs`; `processes`
    fixes their number. Everything else is as in `bench`.
    """
    how = protocol_named(
        protocol, runs=min_runs, seconds=min_seconds, processes=processes, pairs=processes, most_pairs=processes
    )
    race = _Race(paths, Setting(threads, batch, xnnpack, device), how, seed)
    with race.started(progress):
        race.run(how.pairs, progress)
        while race.rounds < how.most_pairs and not all(one.settled for one in race.comparisons()):
            race.run(min(MORE, how.most_pairs - race.rounds), progress)
    return SideBySide(race.measurements(protocol), race.comparisons())


class _Race:
    """Files, and the answers of every process that measured them so far."""

    def __init__(self, paths: Sequence[File], setting: Setting, how: Protocol, seed: int = 0) -> None:
        self._files = [probed(file, setting) for file in paths]
        self._setting, self._how = setting, how
        self._order = np.random.default_rng(seed)
        self._answers: list[list[dict[str, Any]]] = [[] for _ in self._files]
        self.rounds = 0
        self._start: Start | None = None

    @contextmanager
    def started(self, progress: Reporter) -> Iterator[None]:
        """At the device, which is nobody else's meanwhile."""
        with at_work(self._setting.device, self._files, progress) as self._start:
            yield

    def run(self, rounds: int, progress: Reporter) -> None:
        total = (self.rounds + rounds) * len(self._files)
        for _ in range(rounds):
            with ExitStack() as running:
                self._round(running, total, progress)
            self.rounds += 1
        progress(Progress("bench", total, total))

    def _round(self, running: ExitStack, total: int, progress: Reporter) -> None:
        """A fresh process a file; each is warm before the next begins, and only one works at any time."""
        agents: list[tuple[int, Agent]] = []
        for index in self._order.permutation(len(self._files)).tolist():
            file = self._files[index]
            done = self.rounds * len(self._files) + len(agents)
            progress(Progress("bench", done, total, file.path.name))
            agent = running.enter_context(self._agent(file))
            agent.ready()
            agents.append((index, agent))
        for turn in range(self._turns):
            for _, agent in agents if turn % 2 == 0 else reversed(agents):
                agent.turn()
        for index, agent in agents:
            answer = agent.answer()
            if answer["sha256"] != self._files[index].sha256:
                raise BadInput(f"{self._files[index].path} changed while it was measured.", "Run the bench again.")
            self._answers[index].append(answer)

    @property
    def _turns(self) -> int:
        """None for a file alone: nothing is to be waited for."""
        return 0 if len(self._files) == 1 else min(TURNS, self._runs)

    @property
    def _runs(self) -> int:
        """Of one process."""
        return math.ceil(self._how.runs / self._how.processes)

    def _agent(self, file: Probed) -> Agent:
        how = self._how
        kind = "gpu" if self._setting.device == "gpu" else "latency"
        request = {
            "kind": kind, **asdict(self._setting), "min_runs": self._runs,
            "min_seconds": how.seconds / how.processes, "warmup_runs": how.warmup_runs,
            "warmup_seconds": how.warmup_seconds, "turns": self._turns,
        }  # fmt: skip
        # Ten times the expected time, and room to start.
        expected = 4 * how.warmup_seconds + how.seconds / how.processes + file.seconds * self._runs
        assert self._start is not None
        return self._start(file, request, 120 + 10 * expected)

    def measurements(self, name: str) -> tuple[Measurement, ...]:
        """`name` of the protocol."""
        about = {"name": name, **asdict(self._how)}
        device = self._setting.device
        return tuple(
            _measurement(file, given, about, device) for file, given in zip(self._files, self._answers, strict=True)
        )

    def comparisons(self) -> tuple[Comparison, ...]:
        return _comparisons(
            [str(file.path) for file in self._files],
            [[one["samples_ns"] for one in answers] for answers in self._answers],
        )


def comparisons_of(measurements: Sequence[Measurement]) -> tuple[Comparison, ...]:
    """Each but the first against the first: what they were when they were measured in turns."""
    return _comparisons([one.file for one in measurements], [one.samples_ns for one in measurements])


def _comparisons(files: Sequence[str], samples: Sequence[Samples]) -> tuple[Comparison, ...]:
    return tuple(
        compare_pairs(file, ours, files[0], samples[0]) for file, ours in zip(files[1:], samples[1:], strict=True)
    )


def probed(file: File, setting: Setting) -> Probed:
    """The file, run once in a worker. Raises BadInput where it does not run or cannot take the batch."""
    found = probe(file.path if isinstance(file, Artifact) else file, setting.batch)
    if found.refused:
        raise BadInput(
            f"{found.path} cannot take a batch of {setting.batch}: {found.refused}.", "Leave that batch out."
        )
    return found


def _measurement(file: Probed, answers: list[dict[str, Any]], protocol: dict[str, Any], device: str) -> Measurement:
    first = answers[0]
    conditions = first["conditions"]
    if device == "gpu":
        conditions = {**conditions, "gpu": held_against_cpu(file.content, conditions["gpu"])}

    def each(name: str) -> tuple[Any, ...]:
        return tuple(one[name] for one in answers)

    return Measurement(
        file=str(file.path), sha256=file.sha256, size_bytes=len(file.content), gzip_bytes=gzip_size(file.content),
        device=device, threads=first["threads"], batch=first["batch"], xnnpack=first["xnnpack"],
        samples_ns=tuple(tuple(one["samples_ns"]) for one in answers), init_ns=each("init_ns"),
        first_ns=each("first_ns"), switches=each("switches"), wall_ns=each("wall_ns"), cpu_ns=each("cpu_ns"),
        states=tuple(tuple(one["states"]) for one in answers), memory=first["memory"], conditions=conditions,
        protocol=protocol, measured=datetime.now(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip
