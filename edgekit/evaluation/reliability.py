"""Is a classifier as often right as it says? Reliability curve, calibration error, and the temperature that mends it.

Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), sections 2 and 4.2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BINS = 15
COLDEST, HOTTEST = float(np.exp(-3)), float(np.exp(3))  # temperatures that are looked at: 0.05 to 20
BLOCK = 4096  # images at a time
STEPS = 100  # Newton's method takes six or seven; halving the interval, its safeguard, at most 50
CLOSE = 1e-12  # of 1 / temperature, relative


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers by their confidence, in bins of one width: bin m of M holds ((m - 1) / M, m / M], the first 0 too.

    `counts`, `hits`: int64 [bins], answers and those of them that are right; `sums`: float64 [bins], of the confidence.
    """

    counts: np.ndarray
    hits: np.ndarray
    sums: np.ndarray

    @functools.cached_property
    def edges(self) -> np.ndarray:
        """float64 [bins + 1]"""
        return np.linspace(0, 1, len(self.counts) + 1)

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of accuracy and confidence, each bin by its answers."""
        return float(np.abs(self.hits - self.sums).sum() / self.counts.sum())

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest distance of any bin."""
        held = self.counts > 0
        return float((np.abs(self.hits - self.sums)[held] / self.counts[held]).max())

    def to_frame(self) -> pd.DataFrame:
        """One row a bin: low, high, n, right, accuracy and mean confidence (NaN in an empty bin)."""
        import pandas as pd

        with np.errstate(invalid="ignore"):
            means = {"accuracy": self.hits / self.counts, "confidence": self.sums / self.counts}
        ends = {"low": self.edges[:-1], "high": self.edges[1:]}
        return pd.DataFrame({**ends, "n": self.counts, "right": self.hits, **means})

    def to_json(self) -> dict[str, Any]:
        """The curve, and with `n` and `right` the histogram of the confidence of all and of the right answers."""
        rows = self.to_frame().astype(object).to_dict("records")
        bins = [{name: None if value != value else value for name, value in row.items()} for row in rows]
        return {"ece": self.ece, "mce": self.mce, "bins": bins}


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Reliability:
    """Of answers with their confidence, [n] in [0, 1], and whether each is right, bool [n]. ValueError for none."""
    if not len(confidence):
        raise ValueError("no answers")
    sure = confidence.astype(np.float64)
    place = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    return Reliability(
        np.bincount(place, minlength=bins),
        np.bincount(place[correct], minlength=bins),
        np.bincount(place, weights=sure, minlength=bins),
    )


@dataclass(frozen=True, eq=False)
class Scores:
    """A classifier's `values`, float32 [n, classes]: `given` as probabilities, else logits. May be larger than memory:
    a block is looked at at a time.

    The logarithm of a probability is its logit, but for a constant that changes nothing. A quantized softmax says 0
    where it means less than half a step: those count as half of the smallest probability above 0.
    """

    values: np.ndarray
    given: bool

    @functools.cached_property
    def floor(self) -> float:
        least = (block[block > 0].min(initial=1.0) for block in self._blocks())
        return float(min(least)) / 2

    def _blocks(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.values), BLOCK):
            yield np.asarray(self.values[start : start + BLOCK])

    def logits(self) -> Iterator[np.ndarray]:
        """float64 [block, classes], the largest of each row 0."""
        for block in self._blocks():
            raw = np.log(np.maximum(block, self.floor), dtype=np.float64) if self.given else block.astype(np.float64)
            yield raw - raw.max(axis=1, keepdims=True)

    def confidence(self, temperature: float = 1.0) -> np.ndarray:
        """The probability of the highest score at a temperature, float32 [n]."""
        if self.given and temperature == 1.0:
            return np.concatenate([block.max(axis=1) for block in self._blocks()]).astype(np.float32)
        parts = [1 / np.exp(logits / temperature).sum(axis=1) for logits in self.logits()]
        return np.concatenate(parts).astype(np.float32)

    def surprise(self, labels: np.ndarray, temperature: float = 1.0) -> float:
        """Mean negative log-likelihood of the labels, in nats."""
        total = 0.0
        for own, logits in self._with(labels):
            total += float(np.log(np.exp(logits / temperature).sum(axis=1)).sum() - own.sum() / temperature)
        return total / len(labels)

    def temperature(self, labels: np.ndarray, coldest: float = COLDEST, hottest: float = HOTTEST) -> float:
        """What the logits are to be divided by so that the labels, int64 [n], surprise least: above 1 for a classifier
        that is surer than it is right. No class changes.

        The surprise is convex in 1 / temperature: its slope is followed to zero by Newton's method, within the two
        ends. Where every answer is right no end is cold enough, and `coldest` is given.
        """
        low, high = 1 / hottest, 1 / coldest
        at = 1.0
        for _ in range(STEPS):
            slope, bend = self._slope(labels, at)
            low, high = (at, high) if slope < 0 else (low, at)
            newer = at - slope / bend if bend > 0 else low
            newer = newer if low < newer < high else (low + high) / 2
            if abs(newer - at) <= CLOSE * at or high - low <= CLOSE * high:
                break
            at = newer
        return 1 / at

    def _slope(self, labels: np.ndarray, at: float) -> tuple[float, float]:
        """First and second derivative of the mean surprise by 1 / temperature."""
        first = second = 0.0
        for own, logits in self._with(labels):
            raised = np.exp(logits * at)
            total = raised.sum(axis=1)
            mean = (raised * logits).sum(axis=1) / total
            first += float((mean - own).sum())
            second += float(((raised * logits**2).sum(axis=1) / total - mean**2).sum())
        return first / len(labels), second / len(labels)

    def _with(self, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The labels' own logits, [block], and all of them."""
        start = 0
        for logits in self.logits():
            yield logits[np.arange(len(logits)), labels[start : start + len(logits)]], logits
            start += len(logits)
