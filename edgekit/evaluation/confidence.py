"""What a classifier's own confidence says of answers that differ from its own.

A drop counted in right answers is blurred by chance: 5,000 images tell half a point from none, no better. Where a file
answers otherwise, a float network that gave its own class 41 % and the file's 39 % expects to lose 0.02 of an answer.
The mean of these is the drop that it expects, at a sixth of the spread, and without labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.metrics import softmax
from edgekit.evaluation.reliability import Scores

ONE_SIDED_95 = 1.6448536269514722  # point of the normal distribution
TEMPERATURES = math.exp(-1.5), math.exp(1.5)  # the ends
LEAST = 1e-12  # of a probability, in a logarithm


@dataclass(frozen=True)
class Expected:
    """Top-1 points lost, >= 0: `points` the mean, `most` the upper end of its one-sided 95 % interval."""

    points: float
    most: float


def probabilities(scores: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Scores [n, classes], probabilities or logits, as probabilities, float64.

    With `labels`, int64 [n], at the temperature that fits them best (Guo et al., "On Calibration of Modern Neural
    Networks", 2017): a network that has learned its images by heart is surer than it is right.
    """
    given = bool(np.all(scores >= 0) and np.allclose(scores.sum(axis=1), 1, atol=0.01))
    logits = np.log(np.maximum(scores.astype(np.float64), LEAST)) if given else scores.astype(np.float64)
    if labels is None:
        return softmax(logits)
    return softmax(logits / Scores(logits, given=False).temperature(labels, *TEMPERATURES))


def expected_loss(believed: np.ndarray, answers: np.ndarray) -> Expected:
    """What it costs to give `answers`, classes int64 [n], by the probabilities [n, classes] that are believed in."""
    lost = 100 * (believed.max(axis=1) - believed[np.arange(len(answers)), answers])
    mean, deviation = float(lost.mean()), float(lost.std())
    return Expected(round(mean, 4), round(mean + ONE_SIDED_95 * deviation / math.sqrt(len(lost)), 4))
