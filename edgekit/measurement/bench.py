"""Latency, size and memory of .tflite files on this machine: fresh processes, raw samples, one bench at a time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from edgekit.artifact import Artifact, gzip_size
from edgekit.errors import BadInput, DeviceError, UsageError
from edgekit.measurement import protocol
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.probe import Probed, probe

if TYPE_CHECKING:
    import pandas as pd

File = str | Path | Artifact
AGENT = Path(__file__).with_name("agent.py")
LOCK_SECONDS = 1800.0
_WARMUP = {"warmup_runs": 5, "warmup_seconds": 0.5}
_QUICK = {"warmup_runs": 2, "warmup_seconds": 0.05}


@dataclass(frozen=True)
class Measurement:
    """One file's raw samples and the conditions they were taken under; every figure is derived from them.

    `samples_ns`: one tuple a process, one value an inference of `batch` images. `memory`: `heap_bytes` and `peak_bytes`
    of opening the file and one inference (None where the system cannot tell, with the `reason`).
    """

    file: str
    sha256: str
    size_bytes: int
    gzip_bytes: int
    device: str
    threads: int
    batch: int
    samples_ns: tuple[tuple[int, ...], ...]
    init_ns: tuple[int, ...]
    first_ns: tuple[int, ...]
    switches: tuple[dict[str, int], ...]
    memory: dict[str, Any]
    conditions: dict[str, Any]

    @property
    def latency_ms(self) -> protocol.Latency:
        return protocol.latency(self.samples_ns)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the latency is unstable; empty when it is steady."""
        return protocol.doubts(self.samples_ns, self.switches)

    def summary(self) -> dict[str, Any]:
        """The figures by their names in docs/contracts.md, JSON-able."""
        latency = self.latency_ms
        return {
            "file": self.file,
            "sha256": self.sha256,
            "device": self.device,
            "threads": self.threads,
            "batch": self.batch,
            "latency_ms": latency.to_json(),
            "images_per_second": 1000 * self.batch / latency.median,
            "init_ms": _middle(self.init_ns) * protocol.MS,
            "first_ms": _middle(self.first_ns) * protocol.MS,
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "heap_bytes": self.memory["heap_bytes"],
            "peak_bytes": self.memory["peak_bytes"],
            "memory_reason": self.memory["reason"],
            "verdict": "unstable" if self.doubts else "steady",
            "doubts": list(self.doubts),
            "conditions": self.conditions,
        }

    def to_json(self) -> dict[str, Any]:
        """The summary and the raw samples it is derived from."""
        return {
            **self.summary(),
            "samples_ns": [list(process) for process in self.samples_ns],
            "switches": list(self.switches),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row an inference: process, run, ns."""
        import pandas as pd

        return pd.DataFrame(
            [(process, run, ns) for process, samples in enumerate(self.samples_ns) for run, ns in enumerate(samples)],
            columns=["process", "run", "ns"],
        )


@overload  # a str is itself a sequence of str
def bench(  # type: ignore[overload-overlap]
    paths: File, *, threads: int = ..., processes: int = ..., min_runs: int = ..., min_seconds: float | None = ...,
    quick: bool = ..., progress: Reporter = ...,
) -> Measurement: ...  # fmt: skip
@overload
def bench(
    paths: Sequence[File], *, threads: int = ..., processes: int = ..., min_runs: int = ...,
    min_seconds: float | None = ..., quick: bool = ..., progress: Reporter = ...,
) -> tuple[Measurement, ...]: ...  # fmt: skip
def bench(
    paths: File | Sequence[File],
    *,
    threads: int = 1,
    processes: int = 3,
    min_runs: int = 100,
    min_seconds: float | None = None,
    quick: bool = False,
    progress: Reporter = silent,
) -> Measurement | tuple[Measurement, ...]:
    """Measures one file -> Measurement, or several -> a tuple of them in their order.

    Every file runs in `processes` fresh processes, in turn with the others, with `threads` threads; the runs of all its
    processes together are at least `min_runs` and take at least `min_seconds` (1 s; 0.1 s when `quick`, which also
    warms up for 0.05 s instead of 0.5 s). Raises UsageError for numbers below one, BadInput for a file that does not
    run, DeviceError when another bench holds this machine for half an hour.
    """
    _check_counts(threads=threads, processes=processes, min_runs=min_runs)
    min_seconds = (0.1 if quick else 1.0) if min_seconds is None else min_seconds
    if not (math.isfinite(min_seconds) and min_seconds >= 0):
        raise UsageError(f"min_seconds is {min_seconds}.", "Give zero or more seconds.")
    one_file = isinstance(paths, (str, Path, Artifact))
    files: Sequence[File] = [paths] if isinstance(paths, (str, Path, Artifact)) else paths
    probed = [probe(file.path if isinstance(file, Artifact) else file) for file in files]
    ask = {
        "threads": threads,
        "min_runs": math.ceil(min_runs / processes),
        "min_seconds": min_seconds / processes,
        **(_QUICK if quick else _WARMUP),
    }
    answers: list[list[dict[str, Any]]] = [[] for _ in files]
    with _this_machine(progress):
        for turn in range(processes):
            for index, file in enumerate(probed):
                done = turn * len(files) + index
                progress(Progress("bench", done, processes * len(files), file.path.name))
                answers[index].append(_ask_agent(file, {**ask, "kind": "latency"}))
        progress(Progress("bench", processes * len(files), processes * len(files)))
    found = tuple(_measurement(file, given) for file, given in zip(probed, answers, strict=True))
    return found[0] if one_file else found


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise UsageError(f"{name} is {value}.", "Give one or more.")


@contextmanager
def _this_machine(progress: Reporter) -> Iterator[None]:
    """Benches of one user never overlap on a machine: they would measure each other."""
    from filelock import FileLock, Timeout

    user = os.getuid() if hasattr(os, "getuid") else "user"
    lock = FileLock(Path(tempfile.gettempdir()) / f"edgekit-bench-{user}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Progress("bench", 0, 1, "waiting for another bench on this machine"))
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise DeviceError(
                "Another edgekit bench has been running on this machine for half an hour.",
                "Wait until it is done, or end it.",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _ask_agent(file: Probed, request: dict[str, Any]) -> dict[str, Any]:
    """One fresh process. Raises BadInput when the file fails in it or is another one by now."""
    # -P: the agent's own folder is not searched for modules. Ten times the expected time, and room to start.
    command = [sys.executable, "-P", str(AGENT), json.dumps({**request, "model": str(file.path)})]
    expected = 4 * request["warmup_seconds"] + request["min_seconds"] + file.seconds * request["min_runs"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120 + 10 * expected)
    except subprocess.TimeoutExpired:
        raise BadInput(
            f"{file.path} did not finish within {120 + 10 * expected:.0f} seconds.",
            "It is damaged, or far too slow here: ask for fewer --runs.",
        ) from None
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        if ended.returncode < 0:
            raise BadInput(
                f"{file.path} crashes the runtime (signal {-ended.returncode}).",
                "It is damaged or needs a newer runtime: export it again.",
            ) from None
        raise DeviceError(
            f"The measuring process failed: {_last_line(ended.stderr)}", "Check that numpy and a runtime are installed."
        ) from None
    if not answer["ok"]:
        error = BadInput if answer["error"]["kind"] == "model" else DeviceError
        raise error(f"{file.path} cannot be measured: {answer['error']['message']}.", "Check the file.")
    if answer["sha256"] != file.sha256:
        raise BadInput(f"{file.path} changed while it was measured.", "Run the bench again.")
    return answer


def _measurement(file: Probed, answers: list[dict[str, Any]]) -> Measurement:
    first = answers[0]
    return Measurement(
        file=str(file.path), sha256=file.sha256, size_bytes=len(file.content), gzip_bytes=gzip_size(file.content),
        device="cpu", threads=first["threads"], batch=first["batch"],
        samples_ns=tuple(tuple(one["samples_ns"]) for one in answers),
        init_ns=tuple(one["init_ns"] for one in answers), first_ns=tuple(one["first_ns"] for one in answers),
        switches=tuple(one["switches"] for one in answers), memory=first["memory"], conditions=first["conditions"],
    )  # fmt: skip


def _middle(values: tuple[int, ...]) -> float:
    return float(sorted(values)[len(values) // 2])


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no answer."])[-1]
