"""Two files on the same images: how often they agree, and whether one is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.evaluation.evaluate import Evaluation
from edgekit.evaluation.metrics import Z95, Proportion
from edgekit.evaluation.metrics import agreement as _agreement


@dataclass(frozen=True)
class Comparison:
    """`other` against `reference`. `gained`: images that only `other` has right, `lost`: only `reference`.

    `difference` is top1 of other - reference (a fraction), `ci95` its paired interval.
    """

    n: int
    agreement: Proportion
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        return (self.gained - self.lost) / self.n

    @property
    def ci95(self) -> tuple[float, float]:
        return paired_ci95(self.gained, self.lost, self.n)

    def to_json(self) -> dict[str, Any]:
        return {
            "agreement": self.agreement.to_json(),
            "gained": self.gained,
            "lost": self.lost,
            "top1_difference": {"value": self.difference, "n": self.n, "ci95": list(self.ci95)},
        }


def agreement(reference: Evaluation, other: Evaluation) -> Proportion:
    """How often both predict the same class. Raises BadInput unless they saw the same images in the same order."""
    _check_same_images(reference, other)
    return _agreement(reference.predictions, other.predictions)


def compare(reference: Evaluation, other: Evaluation) -> Comparison:
    """`other` against `reference`, image by image. Raises BadInput unless they saw the same images."""
    agreed = agreement(reference, other)
    first, second = reference.correct, other.correct
    return Comparison(
        reference.n, agreed, gained=int(np.count_nonzero(second & ~first)), lost=int(np.count_nonzero(first & ~second))
    )


def paired_ci95(gained: int, lost: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Interval of (gained - lost) / n for paired yes/no answers.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data" (2012): one is added to both counts of disagreement.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def _check_same_images(reference: Evaluation, other: Evaluation) -> None:
    if reference.names != other.names or not np.array_equal(reference.labels, other.labels):
        raise BadInput("The two evaluations are not of the same labelled images.", "Evaluate both on the same --data.")
