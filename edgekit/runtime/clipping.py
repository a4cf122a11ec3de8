"""Which part of an activation's values its 256 codes should cover: from its ends in each sample, or from a histogram.

Codes are TFLite's: int8, asymmetric, zero exactly on a code. Zeros therefore cost nothing whatever the range, and only
the percentile counts them. Every method gives a range within the observed one, that contains zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.quantize_config import Quantize

BINS = 2048
LEVELS = 256
SHARES = np.concatenate([np.linspace(1, 0.5, 51), 0.5 * 0.93 ** np.arange(1, 40)])  # of an end of the range; to 1/35
ROUNDS = 2  # each end in turn: the best upper end depends on the lower one

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Histogram:
    """`counts` int64 [BINS] of the values other than zero, in bins of one width from `low` <= 0 to `high` >= 0;
    `zeros`: how many are exactly zero."""

    low: float
    high: float
    counts: np.ndarray
    zeros: int

    @property
    def edges(self) -> np.ndarray:
        """float64 [BINS + 1]"""
        return np.linspace(self.low, self.high, len(self.counts) + 1)


def clipped(histogram: Histogram, wanted: Quantize) -> Range:
    """The range by the method that is wanted."""
    if wanted.calibration == "percentile":
        return percentile(histogram, wanted.percentile)
    return METHODS[wanted.calibration](histogram)


def quantile(ends: np.ndarray, share: float) -> Range:
    """The range whose upper end `share` percent of the samples stay below, and as many above its lower end.

    `ends`: (min, max) of an activation in each of n samples, float32 [n, 2]. A sample counts once, however far it goes
    and however many of its values do: what one odd image does to the range of a network with long tails is forgotten.
    An activation that is zero in that share of the samples keeps its whole range.
    """
    low, high = np.quantile(ends[:, 0], 1 - share / 100), np.quantile(ends[:, 1], share / 100)
    found = min(float(low), 0.0), max(float(high), 0.0)
    return found if found[0] < found[1] else (min(float(ends.min()), 0.0), max(float(ends.max()), 0.0))


def percentile(histogram: Histogram, share: float) -> Range:
    """The range with `share` percent of all values below its upper end, and as many above its lower end."""
    counts, edges = histogram.counts.astype(np.float64), histogram.edges
    counts[min(int(np.searchsorted(edges, 0.0, "right")) - 1, len(counts) - 1)] += histogram.zeros
    below = np.concatenate([[0.0], np.cumsum(counts)])
    outside = below[-1] * (1 - share / 100)
    low, high = np.interp([outside, below[-1] - outside], below, edges)
    return min(float(low), 0.0), max(float(high), 0.0)


def least_squares(histogram: Histogram) -> Range:
    """The range whose 256 codes are nearest to the values: least mean squared error of rounding and saturating."""
    return _search(histogram, _squared_error)


def least_divergence(histogram: Histogram) -> Range:
    """The range that keeps most information: least Kullback-Leibler divergence of what the codes tell from the values.

    Source: Migacz, "8-bit inference with TensorRT" (GTC 2017), for 256 levels between two ends of their own. Saturated
    values count at the ends of the reference; the quantized distribution spreads each level evenly over those of its
    bins that have values.
    """
    return _search(histogram, _divergence)


def _search(histogram: Histogram, cost: Callable[[Histogram, Range], float]) -> Range:
    """The cheapest of SHARES of the range, one end after the other; of equal ones the widest."""
    best = (histogram.low, histogram.high)
    for _ in range(ROUNDS):
        before = best
        for end, full in ((1, histogram.high), (0, histogram.low)):
            tried = [best] if full == 0 else [(best[0], full * s) if end else (full * s, best[1]) for s in SHARES]
            costs = [cost(histogram, one) for one in tried]
            best = tried[int(np.argmin(costs))]
        if best == before:
            break
    return best


def _squared_error(histogram: Histogram, wanted: Range) -> float:
    """Sum of (value - nearest code)^2, exact for values spread evenly within each bin."""
    scale = (wanted[1] - wanted[0]) / (LEVELS - 1)
    lowest = np.rint(wanted[0] / scale)
    edges = histogram.edges
    inside = np.clip(edges, lowest * scale, (lowest + LEVELS - 1) * scale)
    steps = np.rint(inside / scale)
    rest = inside - steps * scale
    # The integral of the squared error from 0 to each edge: whole steps, the begun one, and what saturates.
    integral = steps * scale**3 / 12 + rest**3 / 3 + (edges - inside) ** 3 / 3
    return float(np.diff(integral) @ histogram.counts / (edges[1] - edges[0]))


def _divergence(histogram: Histogram, wanted: Range) -> float:
    bins = len(histogram.counts)
    width = (histogram.high - histogram.low) / bins
    first = min(round((wanted[0] - histogram.low) / width), bins - 1)
    last = max(round((wanted[1] - histogram.low) / width), first + 1)
    inside = histogram.counts[first:last].astype(np.float64)
    reference = inside.copy()
    reference[0] += histogram.counts[:first].sum()
    reference[-1] += histogram.counts[last:].sum()
    if len(inside) < LEVELS:  # each bin would be a level of its own, and nothing lost
        return np.inf
    starts = np.unique(np.arange(LEVELS) * len(inside) // LEVELS)
    filled = np.add.reduceat((inside > 0).astype(np.float64), starts)
    mean = np.add.reduceat(inside, starts) / np.maximum(filled, 1)
    quantized = np.repeat(mean, np.diff(starts, append=len(inside))) * (inside > 0)
    if not quantized.any():
        return np.inf
    p, q = reference / reference.sum(), quantized / quantized.sum()
    held = p > 0
    return float(np.sum(p[held] * np.log(p[held] / np.maximum(q[held], 1e-12))))


METHODS: dict[str, Callable[[Histogram], Range]] = {
    "minmax": lambda histogram: (histogram.low, histogram.high),
    "mse": least_squares,
    "entropy": least_divergence,
}
