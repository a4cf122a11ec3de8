"""edgekit bench against the same loop in C, and against itself.

python benchmarks/fidelity.py [--pairs 20] [--benches 10]

The C loop (fidelity_loop.c) is compiled against the library of the LiteRT wheel; a process of it and one of the agent
take turns on the same file, pair by pair. Then one file is benched several times.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
from random_networks import random_file
from record import claim, conditions, save

from edgekit.measurement.bench import bench
from edgekit.measurement.compare import compare_pairs
from edgekit.measurement.host import AgentProcess, local_agent, this_machine
from edgekit.progress import silent
from edgekit.runtime.interpreter import TensorInfo
from edgekit.runtime.probe import probe

FILES = (("resnet8", 32), ("mobilenet_v2", 224))
TURNS, RUNS, SECONDS, WARMUP = 8, 40, 0.4, 0.5  # of a process
ELEMENTS = {"float32": 1, "uint8": 3, "int8": 9}  # LiteRtElementType
SILENCE = 300.0
STEADY = "steady"


def compiled(folder: Path) -> Path:
    library = Path(ai_edge_litert.__file__).parent / "libLiteRt.so"
    made = folder / "fidelity_loop"
    source = Path(__file__).with_name("fidelity_loop.c")
    subprocess.run(["cc", "-O2", source, "-o", made, library, f"-Wl,-rpath,{library.parent}"], check=True)
    return made


def in_c(loop: Path, file: Path) -> AgentProcess:
    found = probe(file)
    ends = [_spec("i", one) for one in found.inputs] + [_spec("o", one) for one in found.outputs]
    numbers = (str(RUNS), str(SECONDS), str(WARMUP), str(TURNS))
    return AgentProcess([str(loop), str(file), *numbers, *ends], str(file), SILENCE)


def _spec(end: str, info: TensorInfo) -> str:
    return f"{end}{ELEMENTS[info.dtype]}:{'x'.join(map(str, info.shape))}"


def by_agent(file: Path) -> AgentProcess:
    request = {
        "kind": "latency", "model": str(file), "threads": 1, "min_runs": RUNS, "min_seconds": SECONDS,
        "warmup_seconds": WARMUP, "turns": TURNS,
    }  # fmt: skip
    return local_agent(request, SILENCE)


def pair(loop: Path, file: Path) -> tuple[list[int], list[int]]:
    """Nanoseconds of a process of the agent and of one of the loop in C, which took turns."""
    with by_agent(file) as ours, in_c(loop, file) as theirs:
        ours.ready()
        theirs.ready()
        for turn in range(TURNS):
            for one in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
                one.turn()
        return ours.answer()["samples_ns"], theirs.answer()["samples_ns"]


def against_c(name: str, loop: Path, file: Path, pairs: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with this_machine(silent):
        samples = [pair(loop, file) for _ in range(pairs)]
    ours, theirs = ([one[side] for one in samples] for side in (0, 1))
    found = compare_pairs("agent", ours, "C", theirs)
    medians = [np.array([np.median(process) for process in side]) / 1000 for side in (ours, theirs)]
    difference = float(np.mean(medians[0] - medians[1]))
    allowed = 0.02 * float(medians[1].mean()) + 0.5
    claims = [
        claim(f"{name}: latency in C", float(medians[1].mean()), "us"),
        claim(f"{name}: edgekit bench over the loop in C (99.9 %: {found.interval[0]:.3f} to {found.interval[1]:.3f})",
              found.ratio, "x"),
        claim(f"{name}: edgekit bench less the loop in C; allowed 2 % + 0.5 us", abs(difference), "us", most=allowed),
    ]  # fmt: skip
    return claims, {"comparison": found.to_json(), "agent_ns": ours, "c_ns": theirs}


def against_itself(name: str, file: Path, benches: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Benches until so many called themselves steady, or three times as many were tried."""
    medians, verdicts = [], []
    while verdicts.count(STEADY) < benches and len(verdicts) < 3 * benches:
        found = bench(file)
        medians.append(found.latency_ms.median)
        verdicts.append(found.verdict.name)
    steady = [median for median, verdict in zip(medians, verdicts, strict=True) if verdict == STEADY]
    spread = 100 * (max(steady) / min(steady) - 1) if steady else float("nan")
    what = f"{name}: {len(steady)} steady benches of {len(medians)}, largest median above the smallest"
    return claim(what, spread, "%", most=3), {"medians_ms": medians, "verdicts": verdicts}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, default=20)
    arguments.add_argument("--benches", type=int, default=10)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        loop = compiled(Path(folder))
        for network, size in FILES:
            name = f"{network} int8 at {size} px"
            file = random_file(network, size, Path(folder))
            found, raw[name] = against_c(name, loop, file, given.pairs)
            claims += found
        first = f"{FILES[0][0]} int8 at {FILES[0][1]} px"
        repeated, raw["benches"] = against_itself(first, next(Path(folder).glob("resnet8*.tflite")), given.benches)
    save("fidelity", [*claims, repeated], raw, measured_under)


if __name__ == "__main__":
    main()
