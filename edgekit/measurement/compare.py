"""What the difference of two latencies is worth: the ratio of medians with its interval. Pure, over raw samples.

Processes of one file differ among each other (memory layout) far more than their medians can tell by themselves, so a
process is what is drawn and counted, never a single run. Where the processes of two files were measured side by side,
pair by pair, whatever slows the machine for a while meets both and leaves their ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.metrics import student
from edgekit.measurement.protocol import Samples

CONFIDENCE = 0.999
LEAST = 0.02  # a smaller difference is none that counts
REPLICATES = 2000
NONE_FOUND = "no difference found"
LARGEST = math.log(1e100)  # two pairs that disagree have an interval (Student's factor is 636) that says nothing


@dataclass(frozen=True)
class Comparison:
    """`file` against `reference`: `ratio` of the medians (1.1 is 10 % slower), its interval at `confidence` (None where
    there is one process only, or two that disagree too far for one) and `n`, the pairs of processes. `verdict` is
    faster or slower only if the interval excludes 1 and the difference is 2 % or more."""

    file: str
    reference: str
    ratio: float
    interval: tuple[float, float] | None
    n: int
    confidence: float = CONFIDENCE

    @property
    def verdict(self) -> str:
        if not self.excludes_one or abs(self.ratio - 1) < LEAST:
            return NONE_FOUND
        return "slower" if self.ratio > 1 else "faster"

    @property
    def excludes_one(self) -> bool:
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    @property
    def settled(self) -> bool:
        """More processes would not say more: the interval is no wider than what counts, or far from it altogether."""
        if self.interval is None:
            return False
        low, high = self.interval
        return high / low <= (1 + LEAST) ** 2 or low > 1 + LEAST or high < 1 - LEAST

    def to_json(self) -> dict[str, object]:
        return {
            "file": self.file,
            "reference": self.reference,
            "verdict": self.verdict,
            "ratio": self.ratio,
            "interval": self.interval and list(self.interval),
            "confidence": self.confidence,
            "n": self.n,
        }


def compare_pairs(file: str, samples: Samples, reference: str, beside: Samples, seed: int = 0) -> Comparison:
    """Process i of `samples` ran in turns with process i of `beside`: geometric mean over the pairs of the ratio of
    their medians. Raises ValueError where their numbers differ.

    The interval is Student's, with the standard error of the two-stage bootstrap: pairs are drawn, then the runs of
    each. Plain percentiles of a bootstrap are too narrow for ten pairs (Hesterberg 2015, section 4).
    """
    if len(samples) != len(beside):
        raise ValueError(f"{len(samples)} processes against {len(beside)}")
    logs = _log_medians(samples) - _log_medians(beside)
    error = _standard_error(samples, beside, np.random.default_rng(seed))
    return _comparison(file, reference, float(logs.mean()), error, len(logs), len(logs) - 1, CONFIDENCE)


def compare_apart(
    file: str, samples: Samples, reference: str, before: Samples, confidence: float = CONFIDENCE, seed: int = 0
) -> Comparison:
    """As `compare_pairs`, for two files that were measured at different times: Welch's interval over the processes."""
    ours, theirs = _log_medians(samples), _log_medians(before)
    parts = [float(one.var(ddof=1)) / len(one) if len(one) > 1 else 0.0 for one in (ours, theirs)]
    fewest = min(len(ours), len(theirs))
    spread = sum(part**2 / (len(one) - 1) for part, one in zip(parts, (ours, theirs), strict=True) if len(one) > 1)
    degrees = 0 if fewest < 2 else int(sum(parts) ** 2 / spread) if spread else fewest - 1
    log_ratio = float(ours.mean() - theirs.mean())
    return _comparison(file, reference, log_ratio, math.sqrt(sum(parts)), fewest, degrees, confidence)


def _comparison(
    file: str, reference: str, log_ratio: float, error: float, n: int, degrees: int, confidence: float
) -> Comparison:
    half = math.inf if degrees < 1 else student(confidence, degrees) * error
    if abs(log_ratio) + half > LARGEST:
        return Comparison(file, reference, math.exp(log_ratio), None, n, confidence)
    interval = math.exp(log_ratio - half), math.exp(log_ratio + half)
    return Comparison(file, reference, math.exp(log_ratio), interval, n, confidence)


def _standard_error(samples: Samples, beside: Samples, generator: np.random.Generator) -> float:
    """Of the mean log ratio: pairs drawn with replacement, then the medians of each as their runs give them."""
    n = len(samples)
    if n < 2:
        return 0.0
    logs = [
        np.log(_medians_drawn(a, n, generator)) - np.log(_medians_drawn(b, n, generator))
        for a, b in zip(samples, beside, strict=True)
    ]
    pairs = generator.integers(n, size=(1, REPLICATES, n))
    means = np.take_along_axis(np.array(logs), pairs, axis=0)[0].mean(axis=1)
    return float(means.std()) * math.sqrt(n / (n - 1))


def _medians_drawn(process: Sequence[int], n: int, generator: np.random.Generator) -> np.ndarray:
    """[REPLICATES, n]: the median of a process whose runs are drawn anew, an order statistic at a Beta place."""
    runs = np.sort(np.asarray(process, np.float64))
    places = generator.beta((len(runs) + 1) / 2, (len(runs) + 1) / 2, (REPLICATES, n)) * len(runs)
    return runs[np.minimum(places.astype(np.int64), len(runs) - 1)]


def _log_medians(samples: Samples) -> np.ndarray:
    return np.log([np.median(process) for process in samples])
