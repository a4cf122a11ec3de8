"""Latency as a recipe wants it measured: of files on this machine, and of what a model becomes on the device that a
step aims at."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, DeviceError, UsageError
from edgekit.measurement.bench import Measurement, bench
from edgekit.measurement.emulated.boards import is_emulated
from edgekit.measurement.place import require_device
from edgekit.progress import Reporter, silent
from edgekit.recipe import Bench
from edgekit.step_config import Channels, Step

Export = Callable[[Any, Path], Path]


def require_devices(steps: Sequence[Step]) -> None:
    """Before anything is trained: raises UsageError for a step whose device is not known or does not measure what the
    step aims at, DeviceError where the emulation is not set up."""
    for config in (step.config for step in steps):
        if not isinstance(config, Channels) or (device := config.measured_on) is None:
            continue
        if config.target[0] != "instructions":
            require_device(device)
        elif is_emulated(device):
            from edgekit.measurement.emulated.count import require_emulation

            require_emulation(device)
        else:
            raise UsageError(
                f"channels: instructions are counted on emulated boards, and {device} is none.",
                "Set device to rpi4:emulated or rpi5:emulated, or the target to latency.",
            )


def measured(
    paths: Sequence[Path],
    wanted: Bench,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: Reporter = silent,
) -> tuple[Measurement, ...]:
    """Files in turn, as a recipe wants it; `threads` is by default the first number that it names."""
    return bench(
        list(paths),
        device=device,
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


def meter(export: Export, wanted: Bench, device: str) -> Callable[[Any], float]:
    """Gives ms for a model on a device, and millions of instructions on an emulated board. `export` writes the file of
    a model into a folder."""
    return _Counter(export, device) if is_emulated(device) else Stopwatch(export, wanted, device)


class Stopwatch:
    """Gives ms for a model. Each is measured in turn with the first one and told in its terms, so that a machine that
    gets slower in between does not count."""

    def __init__(self, export: Export, wanted: Bench, device: str = "cpu") -> None:
        """`export` writes the file of a model into a folder."""
        self._export, self._wanted, self._device = export, wanted, device
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
        found = measured(paths, self._wanted, device=self._device)
        return [float(one.summary()["latency_ms"]["median"]) for one in found]


class _Counter:
    """Gives millions of instructions of one inference: they are the same each time, so that one process will do."""

    def __init__(self, export: Export, device: str) -> None:
        self._export, self._device = export, device

    def __call__(self, model: Any) -> float:
        from edgekit.measurement.emulated.count import count_instructions

        with tempfile.TemporaryDirectory() as folder:
            path = self._export(model, Path(folder))
            found = count_instructions(path, device=self._device, processes=1, operators=False)
        return found.instructions / 1e6
