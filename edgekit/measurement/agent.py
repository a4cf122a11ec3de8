"""Measures one .tflite in this process and answers raw numbers: a single file for this machine, a child or a device.

It needs python3, numpy and an interpreter (LiteRT, else tflite-runtime, else TensorFlow's) and nothing of edgekit. The
request is one JSON object, as the first argument or on stdin; the answer is one JSON object, the last line of stdout.
The host summarises: nothing is averaged or dropped here.

    {"kind": "latency", "model": PATH, "threads": 1, "batch": null, "xnnpack": true, "warmup_runs": 5,
     "warmup_seconds": 0.5, "min_runs": 100, "min_seconds": 1.0, "turns": 0, "seed": 0}
    {"kind": "memory", "model": PATH, "threads": 1}     what opening and the first inference take, no timing

-> {"schema": 1, "ok": true, "kind", "sha256", "threads", "batch", "xnnpack", "init_ns", "first_ns", "memory": {...},
   "conditions": {...}, and for latency "warmup_runs", "samples_ns": [one an inference], "wall_ns", "cpu_ns": of this
   thread, "switches": {"voluntary", "involuntary"}, "states": [{"mhz", "celsius", ...} before, in between and after]}
-> {"schema": 1, "ok": false, "error": {"kind": "request" | "model" | "runtime" | "device", "message"}}

`batch` resizes the inputs; null keeps the file's own. `xnnpack` false takes the runtime's plain kernels. With `turns`
(the request is then the argument) the timing is cut into so many turns, and each waits for a line on stdin after it has
said {"ready": TURN} on stdout: so a host lets several files take turns, each in a process of its own.

Protocol: warm-up like benchmark_model (some runs and half a second) and on until steady, then at least the runs and the
seconds asked for; the clock is read around invoke() only. What the system does not tell is null. Python 3.9 and newer.
"""

from __future__ import annotations

import ctypes
import glob
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
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
    "batch": None,
    "xnnpack": True,
    "seed": 0,
    "warmup_runs": 5,
    "warmup_seconds": 0.5,
    "min_runs": 100,
    "min_seconds": 1.0,
    "turns": 0,
}
COUNTS = ("threads", "batch", "min_runs")  # one or more
PARTS = 4  # of the timing, between which the state of the machine is read
STEADY = 0.02  # two neighbouring stretches of the warm-up whose medians differ by less


class Refused(Exception):
    """kind, message, and where there is one a remedy"""


def answer(request: dict) -> dict:
    """The answer to one request; errors are answers too."""
    try:
        given = {**DEFAULTS, **request}
        if given["kind"] not in KINDS:
            raise Refused("request", f"unknown kind {given['kind']!r}, known: {', '.join(KINDS)}")
        for name in COUNTS:
            if given[name] is not None and int(given[name]) < 1:
                raise Refused("request", f"{name} is {given[name]}, and has to be one or more")
        return {"schema": SCHEMA, "ok": True, "kind": given["kind"], **KINDS[given["kind"]](given)}
    except Refused as error:
        kind, message, *remedy = error.args
        said = {"kind": kind, "message": message, **({"remedy": remedy[0]} if remedy else {})}
        return {"schema": SCHEMA, "ok": False, "error": said}


def _memory(given: dict) -> dict:
    return _opened(given, lambda interpreter: {})


def _latency(given: dict) -> dict:
    return _opened(given, lambda interpreter: _timed(interpreter.invoke, given))


def _opened(given: dict, then: Callable[[Any], dict]) -> dict:
    """Opens the file, feeds it, runs it once, and goes on with `then`: the answer of both together."""
    module, runtime = _find_runtime()
    path, threads = given["model"], int(given["threads"])
    sha256, conditions = _sha256(path), _conditions(runtime)
    memory = Memory()
    try:
        started = time.perf_counter_ns()
        interpreter = module.Interpreter(model_path=path, num_threads=threads, **_resolver(module, given["xnnpack"]))
        _resize(interpreter, given["batch"])
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
            "xnnpack": bool(given["xnnpack"]),
            "init_ns": init_ns,
            "first_ns": first_ns,
            "memory": memory.taken(),
            "conditions": {**conditions, "delegate": _delegate(interpreter)},
        }
        return {**answer, **then(interpreter)}
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise Refused("model", _first_line(error)) from None


def _timed(invoke: Callable[[], None], given: dict) -> dict:
    warmup_runs = _warm_up(invoke, given)
    turns, runs, seconds = int(given["turns"]), int(given["min_runs"]), float(given["min_seconds"])
    parts = turns or min(PARTS, runs)
    samples: list = []
    states, wall_ns, cpu_ns, switches = [state()], 0, 0, dict.fromkeys(_switches(), 0)
    for part in range(parts):
        if turns:
            _await_turn(part)
        invoke()  # untimed: other work had the caches
        before, wall, cpu = _switches(), time.perf_counter_ns(), time.thread_time_ns()
        samples += _time_runs(invoke, runs * (part + 1) // parts - runs * part // parts, seconds / parts)
        wall_ns += time.perf_counter_ns() - wall
        cpu_ns += time.thread_time_ns() - cpu
        for name, count in _switches().items():
            switches[name] += count - before[name]
        states.append(state())
    return {
        "warmup_runs": warmup_runs,
        "samples_ns": samples,
        "wall_ns": wall_ns,
        "cpu_ns": cpu_ns,
        "switches": switches,
        "states": states,
    }


def _await_turn(turn: int) -> None:
    sys.stdout.write(json.dumps({"ready": turn}) + "\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        raise SystemExit("the host is gone")


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

    broken = ""
    for distribution, module in RUNTIMES:
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            if not (isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]):
                broken = broken or f"{distribution} cannot be imported: {_first_line(error)}"
            continue
        try:
            return found, f"{distribution} {metadata.version(distribution)}"
        except metadata.PackageNotFoundError:  # unpacked beside this file, without its metadata
            return found, distribution
    raise Refused("runtime", broken or "no TensorFlow Lite runtime is installed")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _resolver(module: Any, xnnpack: bool) -> dict:
    """Without XNNPACK: the runtime's own kernels and no delegate."""
    if xnnpack:
        return {}
    return {"experimental_op_resolver_type": module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}


def _resize(interpreter: Any, batch: int | None) -> None:
    for detail in interpreter.get_input_details() if batch is not None else ():
        interpreter.resize_tensor_input(detail["index"], [batch, *(int(n) for n in detail["shape"][1:])])


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
        with open(path, "rb") as file:
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
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
            return _status("VmRSS")
        except OSError:
            return None


MALLINFO = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in MALLINFO.split()]


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
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


def _conditions(runtime: str) -> dict:
    """What a latency depends on, as it is before anything is measured; None where the system does not tell."""
    cpu = _cpuinfo()
    return {
        "runtime": runtime,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(cpu),
        "board": _text("/sys/firmware/devicetree/base/model"),
        "features": [name for name in FEATURES if name in (cpu.get("flags") or cpu.get("features") or "").split()],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        **state(),
    }


# The instruction sets that decide which kernels XNNPACK takes, by their names in /proc/cpuinfo.
FEATURES = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("neon", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme", "sme2"),
)


def state(root: str = "/sys") -> dict:
    """What tells of throttling, now: {"mhz": of the fastest core, "celsius": of the processor, "limit_celsius": from
    where the system slows it down, "throttles": how often it did (Intel), "firmware": a Raspberry Pi's bits,
    "undervolted": 1 while its kernel's voltage alarm is on}."""
    speeds = [_number(path) for path in glob.glob(f"{root}/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    known = [khz / 1000 for khz in speeds if khz is not None]
    counts = [_number(path) for path in glob.glob(f"{root}/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_count")]
    zone = _thermal_zone(root)
    celsius = None if zone is None else _number(f"{zone}/temp")
    limit = None if zone is None else _passive_limit(zone)
    return {
        "mhz": max(known) if known else None,
        "celsius": None if celsius is None else celsius / 1000,
        "limit_celsius": None if limit is None else limit / 1000,
        "throttles": int(sum(count or 0 for count in counts)) if counts else None,
        "firmware": _firmware_bits(root),
        "undervolted": _undervolted(root),
    }


def _thermal_zone(root: str) -> str | None:
    """The processor's; where none is named so, the first."""
    zones = sorted(glob.glob(f"{root}/class/thermal/thermal_zone*"))
    kinds = {zone: (_text(f"{zone}/type") or "").lower() for zone in zones}
    of_cpu = [zone for zone in zones if any(word in kinds[zone] for word in ("cpu", "x86_pkg", "soc"))]
    return next(iter(of_cpu or zones), None)


def _passive_limit(zone: str) -> float | None:
    kinds = glob.glob(f"{zone}/trip_point_*_type")
    limits = [_number(kind[: -len("type")] + "temp") for kind in kinds if _text(kind) == "passive"]
    return min((limit for limit in limits if limit is not None and limit > 0), default=None)  # 0 or less: not set


def _firmware_bits(root: str) -> int | None:
    """A Raspberry Pi's get_throttled: bits 0 to 3 now (under-voltage, capped, throttled, soft limit), 16 to 19 since it
    was started (raspberrypi.com/documentation/computers/os.html)."""
    places = ("soc/*firmware*", "soc@*/*firmware*", "*firmware*")  # a Pi 5 names its buses by their addresses
    files = [file for place in places for file in glob.glob(f"{root}/devices/platform/{place}/get_throttled")]
    text = _text(files[0]) if files else None
    if text is None and root == "/sys" and shutil.which("vcgencmd"):
        try:
            asked = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5)
            text = asked.stdout.strip().partition("=")[2] or None
        except (OSError, subprocess.TimeoutExpired):
            return None
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None


def _undervolted(root: str) -> int | None:
    """The alarm of the driver raspberrypi-hwmon, of kernels that do not show get_throttled."""
    for name in glob.glob(f"{root}/class/hwmon/hwmon*/name"):
        if _text(name) == "rpi_volt":
            alarm = _number(f"{os.path.dirname(name)}/in0_lcrit_alarm")
            return None if alarm is None else int(alarm)
    return None


def _text(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read().strip("\0\n ") or None
    except OSError:
        return None


def _number(path: str) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None


def _delegate(interpreter: Any) -> dict:
    """How many parts of the graph a delegate took. The only one applied here is the runtime's default, XNNPACK."""
    try:
        names = [detail["op_name"] for detail in interpreter._get_ops_details()]
    except (AttributeError, KeyError):
        return {"name": None, "partitions": None}
    partitions = names.count("DELEGATE")
    return {"name": "XNNPACK" if partitions else None, "partitions": partitions}


def _cpuinfo() -> dict:
    """/proc/cpuinfo, names in lower case; what several cores say alike stands there once."""
    lines = (_text("/proc/cpuinfo") or "").splitlines()
    return {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines) if value}


def _cpu_name(cpu: dict) -> str:
    board = _text("/sys/firmware/devicetree/base/model")
    return cpu.get("model name") or cpu.get("model") or cpu.get("hardware") or board or platform.processor()


def _beside(file: str, function: str) -> Callable[[dict], dict]:
    """What answers a kind of request from another file in this one's folder, which travels along where it is wanted."""

    def answered(given: dict) -> dict:
        found: dict = getattr(_module_beside(file), function)(given, sys.modules[__name__])
        return found

    return answered


def _module_beside(file: str) -> Any:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), file + ".py")
    if not os.path.isfile(path):
        raise Refused("request", f"{file.removeprefix('agent_')!r} needs {file}.py beside the agent")
    specification = importlib.util.spec_from_file_location(file, path)
    module = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
    specification.loader.exec_module(module)  # type: ignore[union-attr]
    return module


# Kind of request -> what answers it: the request with its defaults -> the fields of the answer.
KINDS: dict[str, Callable[[dict], dict]] = {
    "latency": _latency,
    "memory": _memory,
    "gpu": _beside("agent_gpu", "gpu"),
    "answers": _beside("agent_answers", "answers"),
    "instructions": _beside("agent_instructions", "instructions"),
    "outputs": _beside("agent_instructions", "outputs"),
    "placement": _beside("agent_profile", "placement"),
    "profile": _beside("agent_profile", "profile"),
    "scores": _beside("agent_scores", "scores"),
}


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
