"""What raw nanoseconds mean: pure statistics over the samples of several fresh processes.

Nothing is dropped: outliers are counted. What can be said of a measurement's trust is in verdict.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.errors import UsageError, unknown

MS = 1e-6  # milliseconds in a nanosecond
REPLICATES = 10_000
RESOLUTION = 4097  # values that a median drawn anew can take; all of them where there are fewer
# 10 standard deviations by the median absolute deviation, the rule hyperfine warns by (|x - median| / MAD).
OUTLIER = 14.826

Samples = Sequence[Sequence[int]]  # one sequence of nanoseconds a process


@dataclass(frozen=True)
class Protocol:
    """How a file is measured: `processes` fresh processes, whose runs are `runs` and take `seconds` at least, all
    together. Files that are compared take `pairs` processes each, and up to `most_pairs` until the interval is narrow.
    """

    processes: int
    runs: int
    seconds: float
    warmup_runs: int
    warmup_seconds: float
    pairs: int
    most_pairs: int

    def __post_init__(self) -> None:
        for name in ("processes", "runs", "pairs"):
            if (value := getattr(self, name)) < 1:
                raise UsageError(f"{name} is {value}.", "Give one or more.")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise UsageError(f"seconds is {self.seconds}.", "Give zero or more seconds.")


# `mlperf`: 1,024 queries and 60 s, the least of MLPerf's single-stream scenario (Reddi et al. 2020). The warm-up is
# that of benchmark_model: some runs and half a second.
PROTOCOLS = {
    "quick": Protocol(3, 100, 0.1, 2, 0.05, pairs=10, most_pairs=20),
    "default": Protocol(5, 100, 1.0, 5, 0.5, pairs=10, most_pairs=30),
    "mlperf": Protocol(5, 1024, 60.0, 5, 0.5, pairs=10, most_pairs=30),
}


def protocol_named(name: str, **changed: Any) -> Protocol:
    """A row of PROTOCOLS, with the fields that are not None in place of its own."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS, UsageError)
    return replace(PROTOCOLS[name], **{field: value for field, value in changed.items() if value is not None})


@dataclass(frozen=True)
class Latency:
    """Figures of one inference in milliseconds; `ci95` is the bootstrap interval of the median."""

    median: float
    p90: float
    p99: float
    mean: float
    n: int
    ci95: tuple[float, float]
    iqr: float
    minimum: float
    outliers: int  # counted, never dropped
    drift: float  # last third of a process against its first third, 0.02 = 2 % slower

    def to_json(self) -> dict[str, object]:
        return {
            "median": self.median,
            "p90": self.p90,
            "p99": self.p99,
            "mean": self.mean,
            "n": self.n,
            "ci95": list(self.ci95),
            "iqr": self.iqr,
            "minimum": self.minimum,
            "outliers": self.outliers,
            "drift": self.drift,
        }


def latency(samples: Samples) -> Latency:
    """The figures of all processes together. Raises ValueError where a process has no sample."""
    together = pooled(samples)
    median, p25, p75, p90, p99 = np.percentile(together, [50, 25, 75, 90, 99]) * MS
    low, high = median_ci95(samples)
    return Latency(
        median=float(median), p90=float(p90), p99=float(p99), mean=float(together.mean() * MS), n=len(together),
        ci95=(low * MS, high * MS), iqr=float(p75 - p25), minimum=float(together.min() * MS),
        outliers=count_outliers(together), drift=drift(samples),
    )  # fmt: skip


def median_ci95(samples: Samples, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the pooled median, in the samples' unit.

    Runs of one process share its memory layout, so processes are drawn first and runs of those then. The median of n
    runs drawn with replacement is the order statistic at a Beta-distributed place: no run is really drawn.
    """
    generator = np.random.default_rng(seed)
    edges = np.unique(np.quantile(pooled(samples), np.linspace(0, 1, RESOLUTION), method="inverted_cdf"))
    below = np.array([np.searchsorted(np.sort(process), edges, side="right") for process in samples], np.float64)
    drawn = generator.multinomial(len(samples), [1 / len(samples)] * len(samples), size=REPLICATES)
    medians = np.concatenate([_medians(part, below, edges, generator) for part in np.array_split(drawn, 40)])
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def _medians(drawn: np.ndarray, below: np.ndarray, edges: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One a row of `drawn`, which says how often each process was; below[p, i] of its runs took edges[i] or less."""
    together = drawn @ below
    n = together[:, -1]
    places = np.floor(generator.beta((n + 1) / 2, (n + 1) / 2) * n)
    return edges[np.argmax(together > np.minimum(places, n - 1)[:, None], axis=1)]


def count_outliers(values: np.ndarray) -> int:
    """Samples further from the median than 10 standard deviations, by the median absolute deviation."""
    distance = np.abs(values - np.median(values))
    return int(np.count_nonzero(distance > OUTLIER * np.median(distance))) if np.median(distance) > 0 else 0


def drift(samples: Samples) -> float:
    """Median over the processes of (median of its last third / median of its first third) - 1; 0 below 30 runs."""
    ratios = [
        np.median(process[-(len(process) // 3) :]) / np.median(process[: len(process) // 3]) - 1
        for process in samples
        if len(process) >= 30
    ]
    return float(np.median(ratios)) if ratios else 0.0


def pooled(samples: Samples) -> np.ndarray:
    """All processes together. Raises ValueError where a process has no sample."""
    if not samples or any(len(process) == 0 for process in samples):
        raise ValueError("every process needs at least one sample")
    return np.concatenate([np.asarray(process, np.float64) for process in samples])
