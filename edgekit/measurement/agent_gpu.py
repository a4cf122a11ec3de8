"""Requests of the kind "gpu": the agent's latency on LiteRT's GPU accelerator, and its outputs held against the CPU's.

The agent loads this file from beside itself; like the agent it needs numpy and the runtime, and nothing of edgekit. The
request is that of the kind "latency", without a batch; so is the answer, and "conditions" has besides

    "gpu": {"adapter", "backend", "type", "software": bool, "gpu_operators", "cpu_operators", "outside": [what the GPU
            does not take, as the runtime says it], "outputs": [{"name", "max_abs": the largest difference from those
            of the CPU or null where it is not finite, "largest": of the CPU's, absolute}]}

The interpreter opens and runs the file first: the compiled model does not check what it is given. An inference is timed
from its inputs, in this process's memory, to its outputs there: what happens in between does not wait to be asked.
Never runs on the CPU without saying so: without an adapter, or where the GPU takes no operator, the request is refused.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

CHECKS = 4  # inputs whose outputs are compared
NO_ADAPTER = "Install a Vulkan driver and its loader (libvulkan.so.1), or name a driver's .json in VK_ICD_FILENAMES."
ADAPTER = re.compile(r"Selected adapter: (?P<adapter>.*?), arch=.*?backend=(?P<backend>\w+), adapterType=(?P<type>.*)")
SHARED_OUT = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations will run on the CPU")
OUTSIDE = re.compile(r"^([A-Z][A-Z0-9_]+): (.*? is not supported|.*?)(?:\.|$)", re.MULTILINE)
LOADER = re.compile(r"Couldn't load Vulkan: ([^:\n]+): ([^\n]+)")
# The adapter's name, or its type.
SOFTWARE = re.compile(r"swiftshader|llvmpipe|lavapipe|basic render|\ntype .*(cpu|software)", re.IGNORECASE)
PREFIX = re.compile(r"^(ERROR: )?(E\d{4} [\d:.]+ +\d+ )?(\[?[\w.]+:\d+\]? )?")  # of a line of its log
OPEN = re.compile("a graph that has dynamic-sized tensors")
OPEN_SIZES = "it has sizes that are known only while it runs"
ON_THE_CPU = "Measure it on the CPU: --device cpu"
PARTLY = "Some ops are not accelerated"


def gpu(given: dict, agent: Any) -> dict:
    """The file on the GPU, by the agent's own protocol."""
    if given["batch"] is not None:
        raise agent.Refused("request", "the GPU takes a file's own batch")
    module, runtime = agent._find_runtime()
    if not runtime.startswith("ai-edge-litert"):
        raise agent.Refused("runtime", f"{runtime} has no GPU accelerator: ai-edge-litert has one")
    conditions, sha256 = agent._conditions(runtime), agent._sha256(given["model"])
    try:
        expected = _Expected(module, given)
        memory = agent.Memory()
        started = time.perf_counter_ns()
        compiled, about = _compiled(given, agent, expected.operators)
        init_ns = time.perf_counter_ns() - started
        runs = _Runs(compiled, expected)
        started = time.perf_counter_ns()
        runs.run()
        first_ns = time.perf_counter_ns() - started
        taken = memory.taken()
        about = {**about, "outputs": runs.differences()}
        conditions = {**conditions, "delegate": {"name": f"GPU {about['backend'] or ''}".strip(), "partitions": None}}
        return {
            "sha256": sha256, "threads": int(given["threads"]), "batch": expected.batch, "xnnpack": True,
            "init_ns": init_ns, "first_ns": first_ns, "memory": taken, "conditions": {**conditions, "gpu": about},
            **agent._timed(runs.run, given),
        }  # fmt: skip
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise agent.Refused("model", (str(error).splitlines() or [type(error).__name__])[0]) from None


class _Expected:
    """Inputs and the CPU's outputs for them, by the names that the file's first signature gives them."""

    def __init__(self, module: Any, given: dict) -> None:
        interpreter = module.Interpreter(model_path=given["model"], num_threads=int(given["threads"]))
        interpreter.allocate_tensors()
        self.operators = sum(one["op_name"] != "DELEGATE" for one in interpreter._get_ops_details())
        self._inputs, self._outputs = _ends(interpreter)
        shape = next(iter(self._inputs.values()))["shape"]
        self.batch = int(shape[0]) if len(shape) else 1
        generator = np.random.default_rng(given["seed"])
        self.pairs = [self._pair(interpreter, generator) for _ in range(CHECKS)]

    def _pair(self, interpreter: Any, generator: np.random.Generator) -> tuple:
        inputs = {name: _drawn(detail, generator) for name, detail in self._inputs.items()}
        for name, values in inputs.items():
            interpreter.set_tensor(self._inputs[name]["index"], values)
        interpreter.invoke()
        return inputs, {name: interpreter.get_tensor(one["index"]) for name, one in self._outputs.items()}

    def real(self, name: str, held: np.ndarray) -> np.ndarray:
        """float64 real values of an output."""
        scale, zero = self._outputs[name]["quantization"]
        return (held.astype(np.float64) - zero) * scale if scale else held.astype(np.float64)


def _ends(interpreter: Any) -> tuple:
    """({name: details} of the inputs, of the outputs). Without a signature the runtime calls them by their tensors."""
    keys = list(interpreter.get_signature_list())
    if keys:
        runner = interpreter.get_signature_runner(keys[0])
        return runner.get_input_details(), runner.get_output_details()
    return tuple(
        {one["name"]: one for one in details}
        for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )


def _drawn(detail: dict, generator: np.random.Generator) -> np.ndarray:
    """What the agent feeds: floats in [-1, 1), integers over their whole range."""
    kind, shape = np.dtype(detail["dtype"]), tuple(int(size) for size in detail["shape"])
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return generator.integers(limits.min, limits.max, shape, kind, endpoint=True)
    return generator.uniform(-1, 1, shape).astype(kind)


class _Runs:
    """Inferences on the GPU: the inputs are written, the outputs read."""

    def __init__(self, compiled: Any, expected: _Expected) -> None:
        self._compiled, self._expected = compiled, expected
        signature = next(iter(compiled.get_signature_list().values()))
        self._in = list(zip(signature["inputs"], compiled.create_input_buffers(0)))  # noqa: B905 - Python 3.9
        self._out = list(zip(signature["outputs"], compiled.create_output_buffers(0)))  # noqa: B905
        self._given, outputs = expected.pairs[0]
        self._kinds = {name: (values.size, values.dtype.type, values.shape) for name, values in outputs.items()}

    def run(self) -> dict:
        for name, buffer in self._in:
            buffer.write(self._given[name])
        self._compiled.run_by_index(0, [one for _, one in self._in], [one for _, one in self._out])
        return {
            name: buffer.read(self._kinds[name][0], self._kinds[name][1]).reshape(self._kinds[name][2])
            for name, buffer in self._out
        }

    def differences(self) -> list:
        """Of each output, over all inputs; the first are written again for what is timed."""
        apart: dict[str, list[float]] = {name: [] for name in self._kinds}
        largest: dict[str, list[float]] = {name: [] for name in self._kinds}
        for inputs, outputs in self._expected.pairs:
            self._given = inputs
            for name, values in self.run().items():
                ours, theirs = (self._expected.real(name, one) for one in (values, outputs[name]))
                apart[name].append(float(np.abs(ours - theirs).max(initial=0.0)))
                largest[name].append(float(np.abs(theirs).max(initial=0.0)))
        self._given = self._expected.pairs[0][0]
        return [
            {"name": name, "max_abs": _finite(max(apart[name])), "largest": _finite(max(largest[name]))}
            for name in apart
        ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _compiled(given: dict, agent: Any, operators: int) -> tuple:
    """(the compiled model, what the runtime said of the adapter and of the operators). On the GPU alone where it takes
    them all, else together with the CPU."""
    litert = importlib.import_module("ai_edge_litert.compiled_model")
    said = _Said()
    try:
        return said.during(lambda: _compile(litert, given, False)), _about(said.text, operators, 0)
    except RuntimeError as error:
        if PARTLY not in f"{error}\n{said.text}":
            raise _refusal(said.text, error, agent) from None
    try:
        compiled = said.during(lambda: _compile(litert, given, True))
    except RuntimeError as error:
        raise _refusal(said.text, error, agent) from None
    shared = SHARED_OUT.findall(said.text)
    on_gpu, on_cpu = map(int, shared[-1]) if shared else (0, operators)
    if not on_gpu:
        raise agent.Refused("device", "the GPU takes none of its operators", ON_THE_CPU)
    return compiled, _about(said.text, on_gpu, on_cpu)


def _compile(litert: Any, given: dict, with_cpu: bool) -> Any:
    kinds = litert.HardwareAccelerator
    options = litert.Options(
        hardware_accelerators=kinds.GPU | kinds.CPU if with_cpu else kinds.GPU,
        cpu_options=litert.CpuOptions(num_threads=int(given["threads"])),
    )
    return litert.CompiledModel.from_file(given["model"], options=options)


def _about(said: str, on_gpu: int, on_cpu: int) -> dict:
    found = ADAPTER.search(said)
    named = {name: text.strip() for name, text in found.groupdict().items()} if found else {}
    outside = sorted({f"{op}: {why}" for op, why in OUTSIDE.findall(said) if op not in ("INFO", "WARNING", "ERROR")})
    return {
        "adapter": named.get("adapter"), "backend": named.get("backend"), "type": named.get("type"),
        "software": bool(found and SOFTWARE.search(f"{named['adapter']}\ntype {named['type']}")),
        "gpu_operators": on_gpu, "cpu_operators": on_cpu, "outside": outside if on_cpu else [],
    }  # fmt: skip


def _refusal(said: str, error: RuntimeError, agent: Any) -> Exception:
    """No adapter, or one that cannot take this file."""
    found = ADAPTER.search(said)
    if found:
        lines = [line for line in said.splitlines() if line.startswith("ERROR") or re.match(r"E\d{4} ", line)]
        why = PREFIX.sub("", lines[-1]) if lines else str(error).splitlines()[-1].lstrip("└ ")
        why = OPEN_SIZES if OPEN.search(said) else why
        return agent.Refused("device", f"the GPU {found['adapter']} cannot take it: {why}", ON_THE_CPU)
    loader = LOADER.search(said)
    why_not = f" ({loader[1]}: {loader[2]})" if loader else ""
    return agent.Refused("device", f"there is no GPU that the runtime can use{why_not}", NO_ADAPTER)


class _Said:
    """What native code writes to stderr: the only place where the runtime names its adapter."""

    def __init__(self) -> None:
        self.text = ""

    def during(self, work: Callable[[], Any]) -> Any:
        with tempfile.TemporaryFile() as held:
            kept = os.dup(2)
            os.dup2(held.fileno(), 2)
            try:
                return work()
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                held.seek(0)
                self.text += held.read().decode(errors="replace")
