"""The runtimes that verify asks, as a table: how each is reached, and what is missing where it is not."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import DeviceError, EdgekitError
from edgekit.measurement.answers import Answers, inputs_file
from edgekit.measurement.emulated.boards import is_emulated
from edgekit.measurement.host import AGENT
from edgekit.progress import silent
from edgekit.runtime.arena import arena
from edgekit.runtime.interpreter import find_runtime
from edgekit.runtime.probe import probe
from edgekit.verification.browser import in_browser
from edgekit.verification.child import Failed, ask, read_answer
from edgekit.verification.ends import Ends
from edgekit.verification.environments import Environment, Missing, find
from edgekit.verification.inputs import Inputs

FOREIGN_AGENT = Path(__file__).with_name("agent_foreign.py")
ARENA_SPARE = 1.5  # the recording allocator takes more than the arena that it recommends
ARENA_BESIDE = 256 * 1024  # bytes
STARTING = 60.0  # seconds to start a runtime and open a file
SLOWER = 500.0  # times than XNNPACK, that reference kernels may be


@dataclass(frozen=True)
class Skipped:
    """A runtime that was not asked: why, and the command that changes it ("" where none does)."""

    reason: str
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class Job:
    """A file and inputs on the disk of this machine, where only we write. `seconds`: how long one runtime may take."""

    content: bytes
    inputs: Inputs
    ends: Ends
    model: Path
    tensors: Path
    pictures: Path
    seconds: float

    def request(self, **more: Any) -> dict[str, Any]:
        return {"kind": "answers", "model": str(self.model), "inputs": str(self.tensors), "threads": 1, **more}


Outcome = Answers | Failed | Skipped


@dataclass(frozen=True)
class Row:
    """`name` is that of --require and of JSON. `numeric`: cpu or gpu, by which limits are looked up; `images`: it takes
    pictures alone, and gives the first output as float32. `traced`: it can be asked for every tensor."""

    name: str
    title: str
    run: Callable[[Job], Outcome]
    numeric: str = "cpu"
    images: bool = False
    traced: bool = True


@contextmanager
def job(content: bytes, inputs: Inputs, ends: Ends, seconds: float) -> Iterator[Job]:
    """Writes what the runtimes read. `seconds` are those of one inference by the default runtime."""
    with tempfile.TemporaryDirectory(prefix="edgekit-verify-") as folder:
        model, tensors, pictures = (Path(folder) / name for name in ("model.tflite", "inputs.npz", "pictures.npz"))
        model.write_bytes(content)
        tensors.write_bytes(inputs_file(inputs.tensors))
        if inputs.pictures is not None:
            pictures.write_bytes(inputs_file([inputs.pictures]))
        patience = STARTING + SLOWER * seconds * len(inputs)
        yield Job(content, inputs, ends, model, tensors, pictures, patience)


def _here(kernels: str) -> Callable[[Job], Outcome]:
    """LiteRT, or whatever runtime edgekit itself has."""

    def run(given: Job) -> Outcome:
        # -P: the agent's own folder is not searched for modules.
        return ask([sys.executable, "-P", str(AGENT)], given.request(kernels=kernels), given.seconds)

    return run


def _gpu(given: Job) -> Outcome:
    found = _here("gpu")(given)
    if isinstance(found, Failed) and "there is no GPU that the runtime can use" in found.reason:
        return Skipped("there is no GPU that the runtime can use", "install a Vulkan driver")
    return found


def _tflite_runtime(given: Job) -> Outcome:
    return _in_environment("tflite-runtime", AGENT, given.request(kernels="xnnpack"), given.seconds)


def _tflm(given: Job) -> Outcome:
    planned = arena(given.content)
    size = int(planned.total * ARENA_SPARE) + ARENA_BESIDE if planned else None
    request = given.request(runtime="tflm", outputs=len(given.ends.outputs), arena_bytes=size)
    return _in_environment("tflm", FOREIGN_AGENT, request, given.seconds)


def _mediapipe(given: Job) -> Outcome:
    if given.inputs.pictures is None:
        return Skipped("it takes pictures, and nothing says how they are prepared for this file", "give --preprocess")
    request = {**given.request(runtime="mediapipe", outputs=1), "inputs": str(given.pictures)}
    return _in_environment("mediapipe", FOREIGN_AGENT, request, given.seconds)


def _in_environment(name: str, agent: Path, request: dict[str, Any], seconds: float) -> Outcome:
    found = find(name)
    if isinstance(found, Missing):
        return Skipped(found.reason, found.remedy)
    # -I: neither a folder of ours nor the user's own packages nor PYTHONPATH are searched for modules.
    return ask([str(found.python), "-I", str(agent)], request, seconds)


def _browser(given: Job) -> Outcome:
    found = find("browser")
    if isinstance(found, Missing):
        return Skipped(found.reason, found.remedy)
    posted, problem = in_browser(
        given.content, given.inputs.tensors, given.ends.inputs, found.folder / "node_modules", given.seconds
    )
    return Failed(problem) if problem else read_answer(_ordered(posted, given, found))


def _ordered(posted: bytes, given: Job, found: Environment) -> bytes:
    """What the page posted as an agent's answer, the outputs in the file's order: the page knows them by name."""
    from edgekit.artifact import sha256_of

    try:
        said = json.loads(posted)
        if not said["ok"]:
            return posted
        by_name = {one.pop("name"): one for one in said["outputs"]}
        outputs = [by_name[name] for name in given.ends.outputs]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = {"message": f"the page posted what is no answer ({type(error).__name__})"}
        return json.dumps({"ok": False, "error": said}).encode()
    version = found.record.installed["@litertjs/core"]
    about = {"schema": 1, "ok": True, "kind": "answers", "sha256": sha256_of(given.content), "notes": {}}
    return json.dumps({**about, "runtime": f"@litertjs/core {version}", "outputs": outputs}).encode()


def _on_board(device: str) -> Callable[[Job], Outcome]:
    """The aarch64 runtime on an emulated Raspberry Pi."""

    def run(given: Job) -> Outcome:
        from edgekit.measurement.emulated.boards import board_of
        from edgekit.measurement.emulated.emulator import find_qemu, python_on
        from edgekit.measurement.emulated.userland import require_userland

        try:
            userland, qemu = require_userland(find_runtime()[1]), find_qemu()
        except DeviceError as error:
            return Skipped(error.fact.rstrip("."), error.remedy.removeprefix("Run: "))
        command, environment = python_on(board_of(device), userland, qemu, "ai-edge-litert", str(AGENT))
        seconds = STARTING + given.seconds  # QEMU starts Python in seconds, and is no slower than reference kernels
        return ask(command, given.request(kernels="xnnpack"), seconds, environment, userland.root)

    return run


def on_device(name: str) -> Row:
    """The row of a device that is reached by ssh, or of an emulated one."""
    if is_emulated(name):
        return Row(name, name, _on_board(name))

    def run(given: Job) -> Outcome:
        from edgekit.measurement.devices.there import there

        file = probe(given.model)
        request = {**given.request(kernels="xnnpack"), "inputs": "inputs.npz"}
        try:
            with (
                there(name, [file], silent, more={"inputs.npz": given.tensors.read_bytes()}) as ready,
                ready.agent(file, request, given.seconds) as agent,
            ):
                return Answers.model_validate(agent.answer())
        except EdgekitError as error:
            return Failed(str(error))

    return Row(name, f"{name} (device)", run)


FIRST = "litert"  # what the others are held against: the file was exported and checked with it
ROWS = {
    row.name: row
    for row in (
        Row(FIRST, "LiteRT, XNNPACK", _here("xnnpack")),
        Row("litert-plain", "LiteRT without XNNPACK", _here("plain")),
        Row("litert-reference", "LiteRT, reference kernels", _here("reference")),
        Row("litert-gpu", "LiteRT on the GPU", _gpu, numeric="gpu"),
        Row("tflite-runtime", "tflite-runtime", _tflite_runtime),
        Row("aarch64", "LiteRT on aarch64, emulated", _on_board("rpi4:emulated")),
        Row("tflm", "TensorFlow Lite Micro", _tflm),
        Row("mediapipe", "MediaPipe ImageClassifier", _mediapipe, images=True, traced=False),
        Row("browser", "LiteRT.js in Chromium", _browser),
    )
}


def values(row: Row, answer: Answers, like: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...] | Failed:
    """The arrays of an answer, where they have the shapes (and the dtypes) of the first runtime's."""
    found = answer.arrays()
    if row.images:
        rows = found[0].shape[0]
        like = (like[0].reshape(len(like[0]), -1),)
        found = (found[0].reshape(rows, -1).astype(np.float32),)
    shapes = [[list(one.shape) for one in arrays] for arrays in (found, like)]
    if shapes[0] != shapes[1]:
        return Failed(f"its outputs have the shapes {shapes[0]}, not {shapes[1]}")
    kinds = [[one.dtype.name for one in arrays] for arrays in (found, like)]
    if not row.images and kinds[0] != kinds[1]:
        return Failed(f"its outputs are {', '.join(kinds[0])}, not {', '.join(kinds[1])}")
    return found
