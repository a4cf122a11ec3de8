"""What raw nanoseconds mean: pure statistics over the samples of several fresh processes.

Nothing is dropped: outliers are counted, and a measurement that cannot be trusted says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MS = 1e-6  # milliseconds in a nanosecond
REPLICATES = 10_000
# 10 standard deviations by the median absolute deviation, the rule hyperfine warns by (|x - median| / MAD).
OUTLIER = 14.826
# When a measurement is called unstable. On an idle machine processes differ by about 1 % (sd); busy neighbours on every
# core more than double the mean and leave the median where it was.
MEAN_OVER_MEDIAN = 1.25
PROCESSES_DIFFER = 0.10
DRIFT = 0.10
SWITCHES_A_SECOND = 50.0

Samples = Sequence[Sequence[int]]  # one sequence of nanoseconds a process


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
    pooled = _pooled(samples)
    median, p25, p75, p90, p99 = np.percentile(pooled, [50, 25, 75, 90, 99]) * MS
    low, high = median_ci95(samples)
    return Latency(
        median=float(median), p90=float(p90), p99=float(p99), mean=float(pooled.mean() * MS), n=len(pooled),
        ci95=(low * MS, high * MS), iqr=float(p75 - p25), minimum=float(pooled.min() * MS),
        outliers=count_outliers(pooled), drift=drift(samples),
    )  # fmt: skip


def median_ci95(samples: Samples, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the pooled median, in the samples' unit.

    Runs of one process share its memory layout, so processes are drawn first and runs of those then. The median of n
    runs drawn with replacement is the order statistic at a Beta-distributed place: no run is really drawn.
    """
    generator = np.random.default_rng(seed)
    runs = [np.asarray(process, np.float64) for process in samples]
    _pooled(samples)
    drawn = np.sort(generator.integers(len(runs), size=(REPLICATES, len(runs))), axis=1)
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    medians = [
        _medians(np.concatenate([runs[p] for p in kind]), count, generator)
        for kind, count in zip(kinds, counts, strict=True)
    ]
    low, high = np.percentile(np.concatenate(medians), [2.5, 97.5])
    return float(low), float(high)


def _medians(values: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    n = len(values)
    places = generator.beta((n + 1) / 2, (n + 1) / 2, size=count) * n
    return np.sort(values)[np.minimum(places.astype(np.int64), n - 1)]


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


def doubts(samples: Samples, switches: Sequence[Mapping[str, int]]) -> tuple[str, ...]:
    """Why the measurement is unstable, one sentence a reason; empty when it is steady.

    `switches` are each process's context switches while it was timed, {} where they are not counted.
    """
    pooled = _pooled(samples)
    found = []
    ratio = pooled.mean() / np.median(pooled)
    if ratio > MEAN_OVER_MEDIAN:
        found.append(f"the mean is {ratio:.2f} times the median: something else ran at times")
    medians = [float(np.median(process)) for process in samples]
    if max(medians) > (1 + PROCESSES_DIFFER) * min(medians):
        found.append(f"the processes disagree: medians from {min(medians) * MS:.3g} to {max(medians) * MS:.3g} ms")
    if abs(moved := drift(samples)) > DRIFT:
        found.append(f"it became {abs(moved):.0%} {'slower' if moved > 0 else 'faster'} while it ran")
    rate = sum(one.get("involuntary", 0) for one in switches) / (pooled.sum() * 1e-9)
    if rate > SWITCHES_A_SECOND and len(pooled) >= 30:
        found.append(f"it was interrupted {rate:.0f} times a second by other processes")
    return tuple(found)


def _pooled(samples: Samples) -> np.ndarray:
    if not samples or any(len(process) == 0 for process in samples):
        raise ValueError("every process needs at least one sample")
    return np.concatenate([np.asarray(process, np.float64) for process in samples])
