"""Measures one .tflite in this process and answers raw numbers: a single file for this machine, a child or a device.

It needs python3, numpy and an interpreter (LiteRT, else tflite-runtime, else TensorFlow's) and nothing of edgekit. The
request is one JSON object, as the first argument or on stdin; the answer is one JSON object on stdout. The host
summarises: nothing is averaged or dropped here.

    {"kind": "latency", "model": PATH, "threads": 1, "warmup_runs": 5, "warmup_seconds": 0.5,
     "min_runs": 100, "min_seconds": 1.0, "seed": 0}
    {"kind": "memory", "model": PATH, "threads": 1}     what opening and the first inference take, no timing

-> {"schema": 1, "ok": true, "kind", "sha256", "threads", "batch", "init_ns", "first_ns", "memory": {...}, "conditions":
   {...}, and for latency "warmup_runs", "samples_ns": [one an inference], "switches": {"voluntary", "involuntary"}}
-> {"schema": 1, "ok": false, "error": {"kind": "request" | "model" | "runtime", "message"}}

Protocol: warm-up like benchmark_model (some runs and half a second) and on until steady, then at least the runs and the
seconds asked for; the clock is read around invoke() only. Python 3.9 and newer.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SCHEMA = 1
RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)
DEFAULTS = {
    "kind": "latency",
    "threads": 1,
    "seed": 0,
    "warmup_runs": 5,
    "warmup_seconds": 0.5,
    "min_runs": 100,
    "min_seconds": 1.0,
}
STEADY = 0.02  # two neighbouring stretches of the warm-up whose medians differ by less


class Refused(Exception):
    """kind, message"""


def answer(request: dict) -> dict:
    """The answer to one request; errors are answers too."""
    try:
        given = {**DEFAULTS, **request}
        if given["kind"] not in ("latency", "memory"):
            raise Refused("request", f"unknown kind {given['kind']!r}")
        return {"schema": SCHEMA, "ok": True, "kind": given["kind"], **_measured(given)}
    except Refused as error:
        return {"schema": SCHEMA, "ok": False, "error": {"kind": error.args[0], "message": error.args[1]}}


def _measured(given: dict) -> dict:
    interpreter_class, runtime = _find_runtime()
    path, threads = given["model"], int(given["threads"])
    sha256 = _sha256(path)
    memory = Memory()
    try:
        started = time.perf_counter_ns()
        interpreter = interpreter_class(model_path=path, num_threads=threads)
        interpreter.allocate_tensors()
        init_ns = time.perf_counter_ns() - started
        _feed(interpreter, given["seed"])
        started = time.perf_counter_ns()
        interpreter.invoke()
        first_ns = time.perf_counter_ns() - started
        answer = {
            "sha256": sha256,
            "threads": threads,
            "batch": _batch(interpreter),
            "init_ns": init_ns,
            "first_ns": first_ns,
            "memory": memory.taken(),
            "conditions": _conditions(interpreter, runtime),
        }
        return {**answer, **(_timed(interpreter.invoke, given) if given["kind"] == "latency" else {})}
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise Refused("model", (str(error).splitlines() or [type(error).__name__])[0]) from None


def _timed(invoke: Callable[[], None], given: dict) -> dict:
    warmup_runs = _warm_up(invoke, given)
    before = _switches()
    samples = _time_runs(invoke, int(given["min_runs"]), float(given["min_seconds"]))
    after = _switches()
    switches = {name: after[name] - before[name] for name in after}
    return {"warmup_runs": warmup_runs, "samples_ns": samples, "switches": switches}


def _warm_up(invoke: Callable[[], None], given: dict) -> int:
    """At least the runs and the seconds asked for, and on until steady, for at most four times those seconds."""
    enough, seconds, runs, previous = int(given["warmup_runs"]), float(given["warmup_seconds"]), 0, None
    started = time.perf_counter()
    while True:
        stretch = _time_runs(invoke, 1, seconds / 8)
        runs += len(stretch)
        middle = sorted(stretch)[len(stretch) // 2]
        steady = previous is not None and abs(middle - previous) <= STEADY * previous
        previous = middle
        spent = time.perf_counter() - started
        if runs >= enough and spent >= seconds and (steady or spent >= 4 * seconds):
            return runs


def _time_runs(invoke: Callable[[], None], min_runs: int, min_seconds: float) -> list:
    """Nanoseconds of one invoke() after the other."""
    clock, samples = time.perf_counter_ns, []
    end = clock() + int(min_seconds * 1e9)
    while True:
        before = clock()
        invoke()
        after = clock()
        samples.append(after - before)
        if after >= end and len(samples) >= min_runs:
            return samples


def _find_runtime() -> tuple:
    from importlib import metadata

    for distribution, module in RUNTIMES:
        try:
            found = importlib.import_module(module).Interpreter
        except ImportError:
            continue
        try:
            return found, f"{distribution} {metadata.version(distribution)}"
        except metadata.PackageNotFoundError:  # unpacked beside this file, without its metadata
            return found, distribution
    raise Refused("runtime", "no TensorFlow Lite runtime is installed")


def _feed(interpreter: Any, seed: int) -> None:
    """Seeded random inputs: floats in [-1, 1), integers over their whole range."""
    generator = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        kind, shape = np.dtype(detail["dtype"]), tuple(int(size) for size in detail["shape"])
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            values = generator.integers(limits.min, limits.max, shape, kind, endpoint=True)
        else:
            values = generator.uniform(-1, 1, shape).astype(kind)
        interpreter.set_tensor(detail["index"], values)


def _batch(interpreter: Any) -> int:
    shape = interpreter.get_input_details()[0]["shape"]
    return int(shape[0]) if len(shape) else 1


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - one dependency less
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise Refused("model", f"{path}: {error.strerror}") from None


class Memory:
    """Heap by glibc's own count (repeats to 1 kB) and the peak of resident memory, since this object was made."""

    def __init__(self) -> None:
        self.missing = "" if sys.platform == "linux" else f"not measured on {platform.system()}"
        if self.missing:
            return
        try:
            self.libc = ctypes.CDLL("libc.so.6")
            self.libc.mallinfo2.restype = _Mallinfo2
            self.libc.malloc_trim(0)
            self.heap = self._heap()
        except (OSError, AttributeError):
            self.missing = "not measured: this C library has no mallinfo2"
            return
        self.resident = self._start_peak()

    def taken(self) -> dict:
        if self.missing:
            return {"heap_bytes": None, "peak_bytes": None, "reason": self.missing}
        heap = self._heap() - self.heap
        if self.resident is None:
            return {"heap_bytes": heap, "peak_bytes": None, "reason": "the kernel does not reset the peak"}
        return {"heap_bytes": heap, "peak_bytes": _status("VmHWM") - self.resident, "reason": ""}

    def _heap(self) -> int:
        info = self.libc.mallinfo2()
        return int(info.uordblks + info.hblkhd)

    def _start_peak(self) -> int | None:
        """Sets VmHWM back to the memory that is resident now, and returns that (bytes)."""
        try:
            with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
                file.write("5")
            return _status("VmRSS")
        except OSError:
            return None


MALLINFO = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in MALLINFO.split()]


def _status(name: str) -> int:
    with open("/proc/self/status") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def _switches() -> dict:
    """Context switches of this process so far; none where the system does not count them."""
    try:
        import resource
    except ImportError:
        return {}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"voluntary": usage.ru_nvcsw, "involuntary": usage.ru_nivcsw}


def _conditions(interpreter: Any, runtime: str) -> dict:
    return {
        "runtime": runtime,
        "delegate": _delegate(interpreter),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _delegate(interpreter: Any) -> dict:
    """How many parts of the graph a delegate took. The only one applied here is the runtime's default, XNNPACK."""
    try:
        names = [detail["op_name"] for detail in interpreter._get_ops_details()]
    except (AttributeError, KeyError):
        return {"name": None, "partitions": None}
    partitions = names.count("DELEGATE")
    return {"name": "XNNPACK" if partitions else None, "partitions": partitions}


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            named = dict(line.strip().split(":", 1) for line in file if ":" in line)
    except OSError:
        return platform.processor()
    known = {key.strip().lower(): value.strip() for key, value in named.items()}
    return known.get("model name") or known.get("model") or known.get("hardware") or platform.processor()


def main() -> int:
    try:
        request = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
        found = answer(request)
    except (ValueError, KeyError, TypeError) as error:
        found = {
            "schema": SCHEMA,
            "ok": False,
            "error": {"kind": "request", "message": f"{type(error).__name__}: {error}"},
        }
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
