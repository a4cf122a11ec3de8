"""Counts the instructions of files on an emulated board, and holds their outputs there against this machine's."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, overload

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import BadInput, CheckFailed, DeviceError, UsageError
from edgekit.measurement.bench import File, Setting, probed
from edgekit.measurement.emulated.boards import Board, board_of
from edgekit.measurement.emulated.emulator import Qemu, find_qemu, python_on
from edgekit.measurement.emulated.operators import operators_of
from edgekit.measurement.emulated.record import Agreement, InstructionCount
from edgekit.measurement.emulated.userland import Userland, require_userland
from edgekit.measurement.gpu import computes_in
from edgekit.measurement.host import AGENT, AgentProcess, ask, this_machine
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.interpreter import find_runtime
from edgekit.runtime.probe import Probed

# Fewer than 8 runs in all: with the 8th Python rewrites the bytecode around them, and marking takes another count.
PROCESSES, RUNS, WARMUP_RUNS, INPUTS = 3, 3, 2, 2
FAR = 0.05  # of the largest output: another network's; integer kernels round alike, floats differ in their last bits
SLOWER = 200  # times than this machine, at most, that an emulated inference is expected to be


@dataclass(frozen=True)
class Emulation:
    """All that runs files as on a board."""

    board: Board
    userland: Userland
    qemu: Qemu


def require_emulation(device: str) -> Emulation:
    """What runs files as on a board, rpi4:emulated or rpi5:emulated. Raises UsageError for an unknown one, DeviceError
    where the emulation is not set up, damaged or of another runtime than this machine's."""
    board, qemu = board_of(device), find_qemu()
    return Emulation(board, require_userland(find_runtime()[1]), qemu)


@overload
def count_instructions(  # type: ignore[overload-overlap]
    paths: File, *, device: str, batch: int | None = ..., xnnpack: bool = ..., processes: int = ...,
    operators: bool = ..., progress: Reporter = ...,
) -> InstructionCount: ...  # fmt: skip
@overload
def count_instructions(
    paths: Sequence[File], *, device: str, batch: int | None = ..., xnnpack: bool = ..., processes: int = ...,
    operators: bool = ..., progress: Reporter = ...,
) -> tuple[InstructionCount, ...]: ...  # fmt: skip
def count_instructions(
    paths: File | Sequence[File], *, device: str, batch: int | None = None, xnnpack: bool = True,
    processes: int = PROCESSES, operators: bool = True, progress: Reporter = silent,
) -> InstructionCount | tuple[InstructionCount, ...]:  # fmt: skip
    """Counts one file -> InstructionCount, or several -> a tuple of them in their order.

    `device` is rpi4:emulated or rpi5:emulated. Each of the `processes` is a fresh one, on one thread, and counts a few
    inferences after a warm-up; the first also counts by operator, unless not `operators`. Raises UsageError for an
    unknown device, BadInput for a file that does not run or cannot take the batch, DeviceError where the emulation is
    not set up, damaged or of another runtime than this machine's, and when another bench holds this machine for half
    an hour.
    """
    if processes < 1:
        raise UsageError(f"processes is {processes}.", "Give one or more.")
    one_file = isinstance(paths, (str, Path, Artifact))
    setting, emulation = Setting(batch=batch, xnnpack=xnnpack), require_emulation(device)
    files = [probed(file, setting) for file in ([paths] if isinstance(paths, (str, Path, Artifact)) else paths)]
    with this_machine(progress):
        found = tuple(_counted(file, setting, emulation, processes, operators, progress) for file in files)
    return found[0] if one_file else found


def check_outputs(counts: Sequence[InstructionCount]) -> CheckFailed | None:
    """The error for files whose outputs on the board are not those here; None where all are the same network's."""
    wrong = [one for one in counts if one.outputs.max_relative is None or one.outputs.max_relative > FAR]
    if not wrong:
        return None
    said = "; ".join(f"{one.file} on {one.device}" for one in wrong)
    return CheckFailed(f"The outputs are not those of this machine: {said}.", "Do not ship it before you know why.")


def _counted(
    file: Probed, setting: Setting, emulation: Emulation, processes: int, by_operator: bool, progress: Reporter
) -> InstructionCount:
    request = {
        "model": str(file.path.resolve()), "threads": 1, "batch": setting.batch, "xnnpack": setting.xnnpack,
        "inputs": INPUTS, "warmup_runs": WARMUP_RUNS, "runs": RUNS,
    }  # fmt: skip
    here = ask({**request, "kind": "outputs"}, 120 + 10 * INPUTS * file.seconds)
    answers, marks = [], []
    for process in range(processes):
        progress(Progress("bench", process, processes, f"{file.path.name} on {emulation.board.device}"))
        asked = {**request, "kind": "instructions", "operators": by_operator and process == 0}
        answer, seen = _emulated(emulation, asked, file)
        if answer["sha256"] != file.sha256:
            raise BadInput(f"{file.path} changed while it was counted.", "Run it again.")
        answers.append(answer)
        marks.append(seen)
    progress(Progress("bench", processes, processes))
    operators, refused = operators_of(file.content, answers[0], marks[0].clocks)
    return InstructionCount(
        file=str(file.path), sha256=file.sha256, size_bytes=len(file.content), device=emulation.board.device,
        core=emulation.board.core, computes=computes_in(file.content), batch=answers[0]["batch"],
        xnnpack=answers[0]["xnnpack"],
        counts=tuple(_of_runs(seen, answer["runs"]) for seen, answer in zip(marks, answers, strict=True)),
        marking=tuple(_between(seen, WARMUP_RUNS + answers[0]["runs"] - 1, 1) for seen in marks),
        outputs=agreement(answers[0], here), conditions=_conditions(answers[0], emulation), operators=operators,
        operators_refused=refused,
        measured=datetime.now(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """What the plugin wrote: instructions at each mark, and at each reading of a clock."""

    at: dict[int, int]
    clocks: tuple[int, ...]


def read_marks(path: Path, runs: int) -> Marks:
    """Of so many inferences. Raises DeviceError where the plugin did not write what it should."""
    at: dict[int, int] = {}
    clocks: list[int] = []
    try:
        for line in path.read_text("ascii").splitlines():
            kind, *numbers = line.split()
            if kind == "mark":
                at[int(numbers[0])] = int(numbers[1])
            else:
                clocks.append(int(numbers[0]))
    except (OSError, ValueError, IndexError) as error:
        raise DeviceError(f"The plugin of QEMU counted nothing: {type(error).__name__}.", "Set it up again.") from None
    if not at.keys() >= set(range(3 * runs)):
        raise DeviceError("The plugin of QEMU did not count every inference.", "Set it up again.")
    return Marks(at, tuple(clocks))


def _of_runs(marks: Marks, runs: int) -> tuple[int, ...]:
    """Of the inferences behind the warm-up."""
    return tuple(_between(marks, run, 0) for run in range(WARMUP_RUNS, WARMUP_RUNS + runs))


def _between(marks: Marks, run: int, part: int) -> int:
    """Instructions from one mark of a run to the next: of the inference (0), or of marking itself (1)."""
    return marks.at[3 * run + part + 1] - marks.at[3 * run + part]


def _emulated(emulation: Emulation, request: dict[str, Any], file: Probed) -> tuple[dict[str, Any], Marks]:
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        counts = Path(folder) / "counts"
        command, environment = python_on(
            emulation.board, emulation.userland, emulation.qemu, "ai-edge-litert", str(AGENT), json.dumps(request),
            counts=counts,
        )  # fmt: skip
        runs = WARMUP_RUNS + RUNS + INPUTS
        what = f"{file.path} on {emulation.board.device}"
        with EmulatedAgent(
            command, what, 600 + SLOWER * file.seconds * runs, env=environment, cwd=emulation.userland.root
        ) as agent:
            answer = agent.answer()
        return answer, read_marks(counts, WARMUP_RUNS + RUNS)


class EmulatedAgent(AgentProcess):
    """The agent in QEMU. A file that it crashes with has run on this machine before."""

    def _died(self) -> NoReturn:
        code = self._process.wait()
        if code < 0:
            raise DeviceError(f"{self._what} crashes under QEMU (signal {-code}).", "Try a newer qemu-user.")
        super()._died()


def agreement(there: dict[str, Any], here: dict[str, Any]) -> Agreement:
    """The outputs of two answers of the agent. Raises DeviceError where their inputs were not the same."""
    if there["fed"] != here["fed"]:
        raise DeviceError(
            "The emulated board made other inputs of the same seed.", "This is a bug in edgekit: report it."
        )
    values, differing, worst = 0, 0, 0.0
    for theirs, ours in zip(there["outputs"], here["outputs"], strict=True):
        for one, other in zip(theirs, ours, strict=True):
            a, b = (np.frombuffer(base64.b64decode(told["data"]), told["dtype"]) for told in (one, other))
            if a.size != b.size:
                raise DeviceError("The emulated board gives outputs of another size.", "Look at the file's shapes.")
            values += a.size
            differing += int(np.count_nonzero(_unlike(a, b)))
            worst = max(worst, _relative(a, b))
    return Agreement(len(here["outputs"]), values, differing, worst if np.isfinite(worst) else None)


def _unlike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which values differ in a bit."""
    return (a.view(np.uint8).reshape(a.size, -1) != b.view(np.uint8).reshape(b.size, -1)).any(axis=1)


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    if a.size == 0:
        return 0.0
    wide, other = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(wide).all() and np.isfinite(other).all()):
        return float("inf")
    return float(np.abs(wide - other).max() / max(np.abs(other).max(), 1e-6))


def _conditions(answer: dict[str, Any], emulation: Emulation) -> dict[str, Any]:
    """What a count depends on, as the board's python3 told it, and the emulator."""
    told = ("runtime", "python", "numpy", "machine", "cpu", "features", "delegate")
    return {**{name: answer["conditions"][name] for name in told}, "qemu": emulation.qemu.version}
