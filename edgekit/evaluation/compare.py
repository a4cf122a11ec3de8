"""Two files on the same images: how often they agree, which images flip, and whether one is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.evaluation.metrics import Z95, Proportion
from edgekit.evaluation.metrics import agreement as _agreement
from edgekit.evaluation.record import Evaluation

if TYPE_CHECKING:
    import pandas as pd

EXACT_BELOW = 25  # flips; beyond them the chi-squared distribution is near enough (McNemar, and textbooks since)


@dataclass(frozen=True)
class McNemar:
    """Whether as many images are gained as lost. `test`: exact (binomial, two-sided), or chi2 with one degree of
    freedom and Edwards' correction, whose value is `statistic`."""

    test: str
    p_value: float
    statistic: float | None = None


@dataclass(frozen=True)
class ClassChange:
    """Of the `n` images of a class: those that only `other` has right, and only `reference`."""

    name: str
    n: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        """Of the recall, a fraction."""
        return (self.gained - self.lost) / self.n

    def to_json(self) -> dict[str, Any]:
        interval = list(paired_ci95(self.gained, self.lost, self.n))
        return {"class": self.name, "n": self.n, "gained": self.gained, "lost": self.lost,
                "difference": self.difference, "ci95": interval}  # fmt: skip


@dataclass(frozen=True)
class Paired:
    """Two files' answers to the same `n` images, counted. `gained`: images that only the other has right, `lost`: only
    the reference. `difference` is top1 of other - reference (a fraction), `ci95` its paired interval."""

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

    @property
    def mcnemar(self) -> McNemar:
        return mcnemar(self.gained, self.lost)

    def summary(self) -> dict[str, Any]:
        """The figures of all images together."""
        return {
            "agreement": self.agreement.to_json(),
            "gained": self.gained,
            "lost": self.lost,
            "top1_difference": {"value": self.difference, "n": self.n, "ci95": list(self.ci95)},
            "mcnemar": vars(self.mcnemar),
        }


@dataclass(frozen=True, eq=False)
class Comparison(Paired):
    """`other` against `reference`, image by image and class by class."""

    reference: Evaluation
    other: Evaluation

    @property
    def changes(self) -> tuple[ClassChange, ...]:
        """Of each class that has images, the largest loss first."""
        names = self.reference.class_names
        parts = (..., *_flipped(self.reference, self.other))
        counts = (np.bincount(self.reference.labels[at], minlength=len(names)).tolist() for at in parts)
        each = [ClassChange(*row) for row in zip(names, *counts, strict=True) if row[1]]
        return tuple(sorted(each, key=lambda one: one.difference))

    @property
    def regressions(self) -> tuple[ClassChange, ...]:
        """The classes that lost more images than they gained, the largest loss first."""
        return tuple(one for one in self.changes if one.difference < 0)

    def flips(self) -> pd.DataFrame:
        """One row an image on which the two differ: name, label, what each predicts and how sure it is, and the flip:
        gained, lost, or neither (both wrong)."""
        import pandas as pd

        at = np.flatnonzero(self.reference.predictions != self.other.predictions)
        names = np.array(self.reference.class_names, dtype=object)
        gained, lost = (one[at] for one in _flipped(self.reference, self.other))
        return pd.DataFrame(
            {
                "name": [self.reference.names[i] for i in at],
                "label": names[self.reference.labels[at]],
                "reference": names[self.reference.predictions[at]],
                "reference_confidence": self.reference.confidence[at],
                "other": names[self.other.predictions[at]],
                "other_confidence": self.other.confidence[at],
                "flip": np.select([gained, lost], ["gained", "lost"], "neither"),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The summary, the change of each class, and which images flipped."""
        return {
            "reference": self.reference.file,
            "reference_sha256": self.reference.sha256,
            **self.summary(),
            "per_class": [one.to_json() for one in self.changes],
            "flips": self.flips().to_dict("records"),
        }


def agreement(reference: Evaluation, other: Evaluation) -> Proportion:
    """How often both predict the same class. Raises BadInput unless they saw the same images in the same order."""
    _check_same_images(reference, other)
    return _agreement(reference.predictions, other.predictions)


def paired(reference: Evaluation, other: Evaluation) -> Paired:
    """`other` against `reference`, counted. Raises as `compare`."""
    agreed = agreement(reference, other)
    gained, lost = (int(np.count_nonzero(one)) for one in _flipped(reference, other))
    return Paired(reference.n, agreed, gained, lost)


def compare(reference: Evaluation, other: Evaluation) -> Comparison:
    """`other` against `reference`, image by image. Raises BadInput, with both hashes, unless they saw the same images,
    and for classes in another order."""
    return Comparison(**vars(paired(reference, other)), reference=reference, other=other)


def _flipped(reference: Evaluation, other: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Which images are gained, and which lost: bool [n] each."""
    return other.correct & ~reference.correct, reference.correct & ~other.correct


def mcnemar(gained: int, lost: int) -> McNemar:
    """McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947); the
    continuity correction is Edwards' (1948)."""
    flips = gained + lost
    if flips < EXACT_BELOW:
        return McNemar("exact", exact_p(gained, lost))
    statistic = (abs(gained - lost) - 1) ** 2 / flips if gained != lost else 0.0
    return McNemar("chi2", math.erfc(math.sqrt(statistic / 2)), statistic)


def exact_p(gained: int, lost: int) -> float:
    """Two-sided, of the binomial distribution with a half."""
    flips, fewer = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(math.comb(flips, k) for k in range(fewer + 1)) / 2**flips)


def paired_ci95(gained: int, lost: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Interval of (gained - lost) / n for paired yes/no answers.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data" (2012): one is added to both counts of disagreement.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * math.sqrt(max(0.0, up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def paired_counts(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Of two files, which of the same images each has right (bool, [n]): `gained`, `lost`, McNemar's `test` and
    `p_value`, the `difference` of top-1 and its `ci95`. A JSON value."""
    gained, lost, n = int((after & ~before).sum()), int((before & ~after).sum()), len(before)
    found = mcnemar(gained, lost)
    return {"gained": gained, "lost": lost, "test": found.test, "p_value": found.p_value,
            "difference": (gained - lost) / n, "ci95": list(paired_ci95(gained, lost, n))}  # fmt: skip


def _check_same_images(reference: Evaluation, other: Evaluation) -> None:
    if reference.data_sha256 != other.data_sha256:
        raise BadInput(
            f"{reference.file} and {other.file} were not evaluated on the same labelled images, in one order: their "
            f"SHA-256 are {reference.data_sha256} and {other.data_sha256}.",
            "Evaluate both on the same --data.",
        )
    if reference.class_names != other.class_names:
        raise BadInput(
            f"{reference.file} and {other.file} have not the same classes in the same order.",
            "Compare files with one list of labels.",
        )
