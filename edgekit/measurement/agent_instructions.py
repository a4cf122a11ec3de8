"""Requests of the kinds "outputs" and "instructions": what a file answers to seeded inputs, and, under an
emulator that counts, how many instructions an inference takes.

The agent loads this file from beside itself; like the agent it needs numpy and the runtime, and nothing of edgekit.

    {"kind": "outputs", "model": PATH, "threads": 1, "batch": null, "xnnpack": true, "seed": 0, "inputs": 4}
    -> {..., "fed": SHA-256 of all inputs, "outputs": [[{"dtype", "shape", "data": base64} an output] an input]}
    {"kind": "instructions", ..., "warmup_runs": 5, "runs": 3, "operators": true}
    -> {as above, and "runs", "partitions": as in agent_profile.py, "events": [{"name", "kind", "index"} in the order of
       the profiler], "refused": why there are none, or ""}

The emulator's plugin (emulated/instruction_count.c) writes down how many instructions were executed at each mark: 3 n
before the n-th inference, those of the warm-up too, 3 n + 1 after it, and 3 n + 2 after nothing, which is what marking
itself takes; CLOCKS and CLOCKS + 1 around one inference of the profiled model, between which every reading of a clock
is written down: an operator begins and ends with one.
"""

from __future__ import annotations

import base64
import ctypes
import gc
import hashlib
from typing import Any

import numpy as np

MARK, CLOCKS = 0x65646765, 1_000_000  # as in instruction_count.c


def outputs(given: dict, agent: Any) -> dict:
    """What the file answers to each of `inputs` seeded inputs."""
    found: dict = agent._opened(given, lambda interpreter: _answers(interpreter, given, agent))
    return found


def instructions(given: dict, agent: Any) -> dict:
    """Marks the inferences, then answers as `outputs` does."""

    def counted(interpreter: Any) -> dict:
        _mark_runs(interpreter, int(given["warmup_runs"]) + int(given["runs"]))
        profiled = _profiled(interpreter, given, agent)
        return {"runs": int(given["runs"]), **profiled, **_answers(interpreter, given, agent)}

    found: dict = agent._opened(given, counted)
    return found


def _mark_runs(interpreter: Any, runs: int) -> None:
    mark = _marker()
    invoke = interpreter._interpreter.Invoke  # the runtime's own, without the checks around it
    gc.disable()
    for run in range(runs):
        mark(MARK, 3 * run, 0, 0, 0)
        invoke()
        mark(MARK, 3 * run + 1, 0, 0, 0)
        mark(MARK, 3 * run + 2, 0, 0, 0)
    gc.enable()


def _marker() -> Any:
    mark = ctypes.CDLL(None).prctl
    mark.argtypes = [ctypes.c_ulong] * 5
    return mark


def _profiled(interpreter: Any, given: dict, agent: Any) -> dict:
    """One inference with a clock read at the edges of every operator, by the profiler of agent_profile.py."""
    if not given["operators"]:
        return _refused("they were not asked for")
    if given["batch"] is not None or not given["xnnpack"]:
        return _refused("the profiler takes the file's own batch, with XNNPACK")
    profile = agent._module_beside("agent_profile")
    try:
        profile._check_version(agent._find_runtime()[1], agent)
        partitions = profile._partitions(interpreter._get_ops_details())
        compiled = profile.Compiled(given["model"], int(given["threads"]), given["seed"])
        for _ in range(int(given["warmup_runs"])):
            compiled.profiled(1)
        mark = _marker()
        mark(MARK, CLOCKS, 0, 0, 0)
        events = compiled.profiled(1)
        mark(MARK, CLOCKS + 1, 0, 0, 0)
    except agent.Refused as error:
        return _refused(error.args[1])
    except (AttributeError, RuntimeError, ValueError, TypeError, LookupError, OSError, MemoryError) as error:
        return _refused((str(error).splitlines() or [type(error).__name__])[0])
    told = [
        {"name": event.tag.decode(errors="replace"), "kind": int(event.kind), "index": int(event.index)}
        for event in events
    ]
    return {"partitions": partitions, "events": told, "refused": ""}


def _refused(why: str) -> dict:
    return {"partitions": [], "events": [], "refused": why}


def _answers(interpreter: Any, given: dict, agent: Any) -> dict:
    fed, found = hashlib.sha256(), []
    for number in range(int(given["inputs"])):
        agent._feed(interpreter, given["seed"] + number)
        for detail in interpreter.get_input_details():
            fed.update(np.ascontiguousarray(interpreter.get_tensor(detail["index"])).tobytes())
        interpreter.invoke()
        found.append([_told(interpreter.get_tensor(one["index"])) for one in interpreter.get_output_details()])
    return {"fed": fed.hexdigest(), "outputs": found}


def _told(values: np.ndarray) -> dict:
    data = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
    return {"dtype": values.dtype.name, "shape": list(values.shape), "data": data}
