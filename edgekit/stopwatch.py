"""Latency on this machine as a recipe wants it measured: of files, and of what a model becomes, for a step that aims at
one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, DeviceError
from edgekit.measurement.bench import Measurement, bench
from edgekit.progress import Reporter, silent
from edgekit.recipe import Bench

Export = Callable[[Any, Path], Path]


def measured(
    paths: Sequence[Path], wanted: Bench, *, threads: int | None = None, progress: Reporter = silent
) -> tuple[Measurement, ...]:
    """Files in turn, as a recipe wants it; `threads` is by default the first number that it names."""
    return bench(
        list(paths),
        threads=threads or wanted.threads[0],
        processes=wanted.processes,
        min_runs=wanted.runs,
        min_seconds=wanted.seconds,
        progress=progress,
    )


def inside(path: Path, wanted: Bench) -> dict[str, Any]:
    """Placement, operator times and advice of a file (docs/contracts.md, "Inside a file"), with its name for `file`;
    where the runtime here has no profiler the placement alone, and `why`."""
    from edgekit.measurement.look import look

    threads, seconds = wanted.threads[0], min(wanted.seconds, 1.0)
    try:
        found = look(path, threads=threads, min_runs=min(wanted.runs, 100), min_seconds=seconds)
        why = ""
    except (BadInput, DeviceError) as error:
        found, why = look(path, profiled=False, threads=threads), error.fact
    return {**found.to_json(), "file": path.name, "why": why}


class Stopwatch:
    """Gives ms for a model. Each is measured in turn with the first one and told in its terms, so that a machine that
    gets slower in between does not count."""

    def __init__(self, export: Export, wanted: Bench) -> None:
        """`export` writes the file of a model into a folder."""
        self._export, self._wanted = export, wanted
        self._first: tuple[bytes, float] | None = None

    def __call__(self, model: Any) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = self._export(model, Path(folder))
            if self._first is None:
                (found,) = self._measured([path])
                self._first = path.read_bytes(), found
                return found
            content, then = self._first
            beside = Path(folder) / "first.tflite"
            beside.write_bytes(content)
            now, found = self._measured([beside, path])
            return found * then / now

    def _measured(self, paths: list[Path]) -> list[float]:
        """Medians in ms."""
        return [float(one.summary()["latency_ms"]["median"]) for one in measured(paths, self._wanted)]
