"""Requests of the kinds "placement" and "profile": which operators the delegate took, and raw times of every one.

The agent loads this file from beside itself; like the agent it needs numpy and the runtime, and nothing of edgekit.

    {"kind": "placement", "model": PATH, "threads": 1}
    -> {..., "partitions": [[indices of the file's operators, in order] a part of the graph that the delegate took]}
    {"kind": "profile", "model": PATH, "threads": 1, "warmup_seconds": 0.5, "min_runs": 100, "min_seconds": 1.0}
    -> {..., "partitions", "whole_ns": [one an inference by the interpreter, without the profiler], "profiled_us": [one
       an inference with it], "operators": [{"op", "node": index in the file or null, "partition": null or a number from
       0, "us": [one an inference]}]}

`node` is known of operators outside the delegate; `partition` and a null `node` mean one inside of it, by XNNPACK's
name. They stand in the order in which they ran. The profiler is that of LiteRT's compiled model, which takes the same
kernels and the same delegate as the interpreter, and is reached by the C interface: Python has no way to it. Its clock
has microseconds; over many runs the mean is finer than that.

Source: litert/c/litert_profiler.h, litert_profiler_event.h, litert_options.h of LiteRT 2.3.
"""

from __future__ import annotations

import ctypes
import importlib
import time
from pathlib import Path
from typing import Any

import numpy as np

OLDEST = (2, 3)  # of ai-edge-litert; the C interface of earlier ones takes other arguments
STRETCHES = 4  # the profiled inferences and the others take turns: a drift meets both
EVENTS = 100_000  # that are kept at a time, a fifth of the profiler's own buffer
CPU = 1  # LiteRtHwAccelerators
# LiteRtProfilerEventType
PLAIN, OPERATOR, INNER = 1, 2, 8
# LiteRtElementType -> numpy's name
DTYPES = {
    1: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float16", 11: "float64",
}  # fmt: skip
WRITE = 1  # LiteRtTensorBufferLockMode

Handle = ctypes.c_void_p


def placement(given: dict, agent: Any) -> dict:
    """Opens the file and allocates it, no more."""
    _, facts = _opened(given, agent)
    return facts


def profile(given: dict, agent: Any) -> dict:
    """Times of every operator, in turns with the interpreter's whole inferences."""
    interpreter, facts = _opened(given, agent)
    _check_version(facts["conditions"]["runtime"], agent)
    try:
        agent._feed(interpreter, given["seed"])
        compiled = Compiled(given["model"], int(given["threads"]), given["seed"])
        for invoke in (compiled.run, interpreter.invoke):
            agent._warm_up(invoke, given)
        runs = _Runs()
        whole: list[int] = []
        share, seconds = -(-int(given["min_runs"]) // STRETCHES), float(given["min_seconds"]) / STRETCHES
        for _ in range(STRETCHES):
            whole += agent._time_runs(interpreter.invoke, share, seconds)
            _profile_stretch(compiled, runs, share, seconds)
    except (RuntimeError, ValueError, TypeError, LookupError, OSError, MemoryError) as error:
        raise agent.Refused("model", (str(error).splitlines() or [type(error).__name__])[0]) from None
    return {**facts, "whole_ns": whole, "profiled_us": runs.whole, "operators": runs.operators()}


def _profile_stretch(compiled: Compiled, runs: _Runs, share: int, seconds: float) -> None:
    """At least so many inferences and so many seconds; the events are read in between, a few thousand at a time."""
    compiled.run()  # other work had the caches
    end, done, batch = time.perf_counter() + seconds, 0, 1
    while done < share or time.perf_counter() < end:
        batch = min(batch, max(1, share - done)) if done < share else batch
        events = compiled.profiled(batch)
        runs.add(events)
        done += batch
        batch = max(1, min(2 * batch, 50, EVENTS * batch // max(1, len(events))))


def _opened(given: dict, agent: Any) -> tuple:
    """(interpreter, what every answer has) of the file with its delegate applied."""
    module, runtime = agent._find_runtime()
    sha256, conditions = agent._sha256(given["model"]), agent._conditions(runtime)
    try:
        interpreter = module.Interpreter(model_path=given["model"], num_threads=int(given["threads"]))
        interpreter.allocate_tensors()
        details = interpreter._get_ops_details()
    except AttributeError:
        raise agent.Refused("runtime", f"{runtime} does not tell what its delegate took") from None
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise agent.Refused("model", (str(error).splitlines() or [type(error).__name__])[0]) from None
    return interpreter, {
        "sha256": sha256,
        "threads": int(given["threads"]),
        "conditions": {**conditions, "delegate": agent._delegate(interpreter)},
        "partitions": _partitions(details),
    }


def _partitions(details: list) -> list:
    """The file's operators that each DELEGATE stands for: those on the way from its outputs back to its inputs."""
    own = [detail for detail in details if detail["op_name"] != "DELEGATE"]
    producer = {int(tensor): detail for detail in own for tensor in detail["outputs"]}
    found = []
    for taken in details:
        if taken["op_name"] != "DELEGATE":
            continue
        seen: dict[int, Any] = {}
        ends = {int(tensor) for tensor in taken["inputs"]}
        left = [int(tensor) for tensor in taken["outputs"]]
        while left:
            tensor = left.pop()
            made_by = None if tensor in ends else producer.get(tensor)
            if made_by is not None and made_by["index"] not in seen:
                seen[made_by["index"]] = made_by
                left += [int(one) for one in made_by["inputs"] if one >= 0]
        found.append(sorted(seen))
    return found


def _check_version(runtime: str, agent: Any) -> None:
    name, _, version = runtime.partition(" ")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name != "ai-edge-litert" or (version and numbers < OLDEST):
        oldest = ".".join(map(str, OLDEST))
        raise agent.Refused("runtime", f"{runtime} has no profiler that can be read: ai-edge-litert {oldest} has one")


class _Event(ctypes.Structure):
    """ProfiledEventData"""

    _fields_ = (
        ("tag", ctypes.c_char_p), ("kind", ctypes.c_int32), ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64), ("memory", ctypes.c_size_t * 6), ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64), ("source", ctypes.c_int32),
    )  # fmt: skip


class _TensorType(ctypes.Structure):
    """LiteRtRankedTensorType; the first 7 bits of `rank` are the rank."""

    _fields_ = (
        ("element", ctypes.c_int32), ("rank", ctypes.c_uint32), ("sizes", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )  # fmt: skip


class _Runs:
    """Events, sorted into inferences and operators. The k-th event of one kind, name and index is one operator."""

    def __init__(self) -> None:
        self.whole: list[int] = []
        self._times: dict[tuple, list[int]] = {}
        self._partition: dict[tuple, int | None] = {}

    def add(self, events: Any) -> None:
        seen: dict[tuple, int] = {}
        partition, inside = -1, False
        for event in events:
            tag = event.tag.decode(errors="replace")
            if event.kind == PLAIN and tag == "Invoke":
                self.whole.append(int(event.elapsed_us))
                seen, partition, inside = {}, -1, False
            elif event.kind in (OPERATOR, INNER):
                # Inner indices count from 0 in every part of the graph.
                if event.kind == INNER and (not inside or event.index == 0):
                    partition += 1
                inside = event.kind == INNER
                kind = (event.kind, tag, int(event.index))
                seen[kind] = seen.get(kind, -1) + 1
                key = (*kind, seen[kind])
                self._times.setdefault(key, []).append(int(event.elapsed_us))
                self._partition.setdefault(key, partition if inside else None)

    def operators(self) -> list:
        return [
            {"op": key[1], "node": None if key[0] == INNER else key[2], "partition": self._partition[key], "us": times}
            for key, times in self._times.items()
        ]


class Compiled:
    """A model compiled for the CPU with its profiler on, and buffers with seeded inputs. Nothing is freed: the process
    ends when it has answered."""

    def __init__(self, path: str, threads: int, seed: int) -> None:
        package = Path(importlib.import_module("ai_edge_litert").__file__ or "").parent
        self._library = ctypes.CDLL(str(next(package.glob("libLiteRt.*"))))
        self._kept: list[Any] = []
        self._environment = self._make("CreateEnvironment", ctypes.c_int(0), None)
        model = self._make("CreateModelFromFile", self._environment, path.encode())
        self._model = self._make("CreateCompiledModel", self._environment, model, self._options(threads))
        self._profiler = self._make("CompiledModelGetProfiler", self._model)
        signature = self._make("GetModelSignature", model, ctypes.c_size_t(0))
        self._inputs = self._buffers(signature, "Input")
        self._outputs = self._buffers(signature, "Output")
        generator = np.random.default_rng(seed)
        for buffer, kind in self._inputs:
            self._write(buffer, kind, generator)
        self._arguments = [
            part
            for buffers in (self._inputs, self._outputs)
            for part in (ctypes.c_size_t(len(buffers)), (Handle * len(buffers))(*(one for one, _ in buffers)))
        ]

    def run(self) -> None:
        self._call("RunCompiledModel", self._model, ctypes.c_size_t(0), *self._arguments)

    def profiled(self, runs: int) -> Any:
        """The events of so many inferences, one after the other."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        for _ in range(runs):
            self.run()
        self._call("StopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("GetProfilerEvents", self._profiler, count, events)
        return events

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status:
            raise RuntimeError(f"the runtime's profiler cannot take it: {name} gives status {status}")

    def _make(self, name: str, *arguments: Any) -> Handle:
        made = Handle()
        self._call(name, *arguments, ctypes.byref(made))
        return made

    def _options(self, threads: int) -> Handle:
        options = self._make("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, ctypes.c_int(CPU))
        keep = ctypes.CFUNCTYPE(None, Handle)(lambda _: None)
        self._kept.append(keep)
        for name, text in ((b"runtime_options_string", "enable_profiling = true\n"),
                           (b"xnnpack", f"num_threads = {threads}\n")):  # fmt: skip
            held = ctypes.create_string_buffer(text.encode())
            self._kept.append(held)
            self._call(
                "AddOpaqueOptions", options, self._make("CreateOpaqueOptions", name, ctypes.cast(held, Handle), keep)
            )
        return options

    def _buffers(self, signature: Handle, side: str) -> list:
        """(buffer, its type) of every input or output, of the size that the runtime asks for."""
        count = ctypes.c_size_t()
        self._call(f"GetNumSignature{side}s", signature, ctypes.byref(count))
        found = []
        for index in map(ctypes.c_size_t, range(count.value)):
            tensor = self._make(f"GetSignature{side}TensorByIndex", signature, index)
            kind = _TensorType()
            self._call("GetRankedTensorType", tensor, ctypes.byref(kind))
            for axis, size in enumerate(kind.sizes):  # open sizes, such as a batch's, are 1 to an interpreter
                kind.sizes[axis] = 1 if size < 0 else size
            wanted = self._make(f"GetCompiledModel{side}BufferRequirements", self._model, ctypes.c_size_t(0), index)
            made = "CreateManagedTensorBufferFromRequirements"
            found.append((self._make(made, self._environment, ctypes.byref(kind), wanted), kind))
        return found

    def _write(self, buffer: Handle, kind: _TensorType, generator: np.random.Generator) -> None:
        """Floats in [-1, 1), integers over their whole range: what the agent feeds an interpreter."""
        if kind.element not in DTYPES:
            raise RuntimeError(f"an input has the element type {kind.element}, which is not known here")
        dtype, shape = np.dtype(DTYPES[kind.element]), tuple(kind.sizes[: kind.rank & 0x7F])
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            values = generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        else:
            values = generator.uniform(-1, 1, shape).astype(dtype)
        place = Handle()
        self._call("LockTensorBuffer", buffer, ctypes.byref(place), ctypes.c_int(WRITE))
        ctypes.memmove(place, values.ctypes.data, values.nbytes)
        self._call("UnlockTensorBuffer", buffer)
