"""Figures of a classifier as pure numpy: fractions of 1, always with n and an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054  # two-sided 95 % point of the normal distribution


@dataclass(frozen=True)
class Proportion:
    """`hits` of `n`, with the Wilson 95 % interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n

    @property
    def ci95(self) -> tuple[float, float]:
        return wilson(self.hits, self.n)

    def to_json(self) -> dict[str, object]:
        return {"value": self.value, "n": self.n, "ci95": list(self.ci95)}


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, 1927), which stays in [0, 1] and is right near 0 and 1 too."""
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no proportion")
    p, scale = hits / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return (0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)


def student(confidence: float, degrees: int) -> float:
    """The two-sided quantile of Student's t: |t| stays below it with probability `confidence`.

    By the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    low, high = 0.0, 1e6
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """P(|T| < t)."""
    angle = math.atan(t / math.sqrt(degrees))
    term, total = (math.cos(angle), 0.0) if degrees % 2 else (1.0, 0.0)
    for k in range(1 if degrees % 2 else 0, degrees - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * math.cos(angle) ** 2
    if degrees % 2:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def predictions(scores: np.ndarray) -> np.ndarray:
    """Scores [n, classes] -> int64 [n]; of equal scores the first class counts."""
    return scores.argmax(axis=1).astype(np.int64)


def in_top(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each label is among its k highest scores: bool [n]. Of equal scores the earlier class ranks higher."""
    own = scores[np.arange(len(scores)), labels][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    above = (scores > own) | ((scores == own) & earlier)
    return above.sum(axis=1) < k


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis, float64."""
    raised = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def a_score_a_class(scores: np.ndarray) -> np.ndarray:
    """float32 [n, k] as it is; the one score of a binary classifier, [n, 1], as [n, 2]: probability p -> (1 - p, p)."""
    return scores if scores.shape[1] > 1 else np.concatenate([1 - scores, scores], axis=1)


def scores_fit(scores: int | None, classes: int) -> bool:
    """Whether so many scores tell so many classes apart: one each, or one for two."""
    return scores == classes or (scores, classes) == (1, 2)


def agreement(first: np.ndarray, second: np.ndarray) -> Proportion:
    """How often two lists of predictions (same images, same order) say the same."""
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} predictions")
    return Proportion(int(np.count_nonzero(first == second)), len(first))


def sqnr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """Signal to quantization noise of `other` against `reference`, in dB: 10 log10(sum r^2 / sum (r - o)^2).

    Infinite for equal values; minus infinity for noise on a reference of zeros.
    """
    wanted = reference.astype(np.float64)
    return decibels(float(np.sum(wanted**2)), float(np.sum((wanted - other) ** 2)))


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) of two powers; infinite without noise, minus infinity for noise on nothing."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
