"""What a classifier takes for what: the confusion matrix, and the figures of each class that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.evaluation.metrics import Proportion

WEAK = 0.7  # recall below which a class is named
FEWEST, MAJORITY = 5, 0.5  # images, and share of them, that tell that a class is another one


@dataclass(frozen=True)
class ClassFigures:
    """Of the images of a class (`support`), `hits` are answered so; of all images `answered` are.

    `precision`, `recall` and `f1` are fractions of 1: None where nothing was answered so, where there is no image, or
    where neither is.
    """

    name: str
    support: int
    answered: int
    hits: int

    @property
    def precision(self) -> float | None:
        return self.hits / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        both = self.support + self.answered
        return 2 * self.hits / both if both else None

    def to_json(self) -> dict[str, Any]:
        found = {"class": self.name, "support": self.support, "answered": self.answered, "hits": self.hits}
        found |= {name: getattr(self, name) for name in ("precision", "recall", "f1")}
        return {**found, "ci95": list(Proportion(self.hits, self.support).ci95) if self.support else None}


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: images by their label (row) and what they are taken for (column)."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def figures(matrix: np.ndarray, names: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    """One a class, in order, of a confusion matrix."""
    counts = zip(names, matrix.sum(axis=1), matrix.sum(axis=0), matrix.diagonal(), strict=True)
    return tuple(ClassFigures(name, int(own), int(answered), int(hits)) for name, own, answered, hits in counts)


def weak(found: tuple[ClassFigures, ...]) -> tuple[ClassFigures, ...]:
    """The classes with a recall below WEAK, the weakest first."""
    under = [one for one in found if one.recall is not None and one.recall < WEAK]
    return tuple(sorted(under, key=lambda one: one.recall or 0.0))


@dataclass(frozen=True)
class Confused:
    """`n` images of `label` are taken for `prediction`."""

    label: str
    prediction: str
    n: int


def confused(matrix: np.ndarray, names: tuple[str, ...]) -> tuple[Confused, ...]:
    """Every pair of classes that was confused, the most first, each way a pair of its own."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return tuple(Confused(names[rows[i]], names[columns[i]], int(wrong[rows[i], columns[i]])) for i in order)


@dataclass(frozen=True)
class OtherOrder:
    """The answers fit the labels in another order of the classes: `taken_for` is label -> the class that stands in its
    place, of those that moved. `fits`: the share of images that would be right."""

    taken_for: dict[str, str]
    fits: Proportion

    def sentence(self, top1: Proportion) -> str:
        moved = [f"{label!r} is answered {other!r}" for label, other in self.taken_for.items()]
        rest = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return (
            f"The classes seem to be in another order than the model's: {', '.join(moved[:3])}{rest}. {top1.value:.1%} "
            f"of the images are right, and {self.fits.value:.1%} would be in the order that fits; check the labels."
        )


def other_order(matrix: np.ndarray, names: tuple[str, ...]) -> OtherOrder | None:
    """The permutation of the classes that the answers fit, where it is not the one given.

    Each class is taken for another, or itself, by most of its images, and no two for the same one: chance, or a weak
    model, does not do that.
    """
    support = matrix.sum(axis=1)
    best = np.where(support > 0, matrix.argmax(axis=1), np.arange(len(matrix)))
    moved = np.flatnonzero(best != np.arange(len(matrix)))
    told = (support[moved] >= FEWEST) & (matrix[moved, best[moved]] > MAJORITY * support[moved])
    if not len(moved) or not told.all() or len({*best.tolist()}) < len(best):
        return None
    fits = int(matrix[np.arange(len(matrix)), best].sum())
    return OtherOrder({names[i]: names[best[i]] for i in moved}, Proportion(fits, int(support.sum())))
