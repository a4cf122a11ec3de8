"""What edgekit bench says of itself beside other work: nothing, one busy core, twice as many busy processes as cores.

python benchmarks/busy.py [--trials 10] [--protocol default]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from random_networks import random_file
from record import claim, conditions, save

from edgekit.measurement.bench import bench

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BUSY = {"alone": 0, "one busy core": 1, "2 x cores busy processes": 2 * CORES}


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def trial(file: Path, count: int, protocol: str) -> dict[str, Any]:
    with busy(count):
        found = bench(file, protocol=protocol)
    latency = found.latency_ms
    summary = found.summary()
    told = {"verdict": summary["verdict"], "doubts": summary["doubts"], "latency_ms": summary["latency_ms"]}
    print(count, found.verdict, f"median {latency.median:.4g} mean {latency.mean:.4g} ms", flush=True)
    return told


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=10)
    arguments.add_argument("--protocol", default="default")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in BUSY}
    with tempfile.TemporaryDirectory() as folder:
        file = random_file("resnet8", 32, Path(folder))
        for _ in range(given.trials):
            for name, count in BUSY.items():
                found[name].append(trial(file, count, given.protocol))
    unstable = {name: Counter(one["verdict"] for one in told)["unstable"] for name, told in found.items()}
    n = given.trials
    claims = [
        claim(f"resnet8 int8, alone, of {n} trials: unstable", unstable["alone"], "", most=0),
        claim(f"resnet8 int8, one busy core, of {n} trials: unstable", unstable["one busy core"], "",
              **({"most": 0} if CORES > 1 else {})),
        claim(f"resnet8 int8, 2 x cores busy processes, of {n} trials: unstable",
              unstable["2 x cores busy processes"], "", least=n),
    ]  # fmt: skip
    save("busy", claims, found, measured_under)


if __name__ == "__main__":
    main()
