"""Files by the paper's protocol, beside benchmark_model's own settings.

python benchmarks/mlperf.py MODEL.tflite ...

MLPerf's single stream: at least 1,024 inferences and 60 seconds, and the 90th percentile is the result (Reddi et al.
2020). benchmark_model: one process, at least 50 inferences and one second behind half a second of warm-up, and the mean
(tensorflow/lite/tools/benchmark/README.md).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from record import claim, conditions, save

from edgekit.measurement.bench import bench


def measured(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    ours = bench(path, protocol="mlperf")
    theirs = bench(path, processes=1, min_runs=50, min_seconds=1.0)
    paper, plain = ours.summary(), theirs.summary()
    latency, name = paper["latency_ms"], path.stem
    verdict = f", {paper['verdict']}" if paper["verdict"] != "steady" else ""
    claims = [
        claim(f"{name}: p90 of MLPerf's single stream (n = {latency['n']}{verdict})", 1000 * latency["p90"], "us"),
        claim(f"{name}: median of the same", 1000 * latency["median"], "us"),
        claim(f"{name}: mean by benchmark_model's settings (n = {plain['latency_ms']['n']})",
              1000 * plain["latency_ms"]["mean"], "us"),
    ]  # fmt: skip
    return claims, {"mlperf": paper, "benchmark_model": plain, "medians_ns": _medians(ours.samples_ns)}


def _medians(samples: tuple[tuple[int, ...], ...]) -> list[int]:
    """Of each process: a minute of raw samples is too much to keep here."""
    return [sorted(process)[len(process) // 2] for process in samples]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("models", type=Path, nargs="+")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    for path in given.models:
        found, raw[path.name] = measured(path)
        claims += found
    save("mlperf", claims, raw, measured_under)


if __name__ == "__main__":
    main()
