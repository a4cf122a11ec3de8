"""How files hold up where images are not as they should be: accuracy under corruptions, against the first file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.data.corrupt import NAMES, corrupted
from edgekit.evaluation.compare import Paired, paired
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.expects import Fed
from edgekit.evaluation.metrics import Proportion
from edgekit.evaluation.record import Evaluation
from edgekit.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    import pandas as pd

CLEAN = "none"


@dataclass(frozen=True)
class Point:
    """One file under one corruption. `against` is its comparison with the first file's answers to the very same
    pictures; None for the first file itself."""

    file: str
    corruption: str
    severity: int
    strength: str
    top1: Proportion
    against: Paired | None

    def to_json(self) -> dict[str, Any]:
        about = {"file": self.file, "corruption": self.corruption, "severity": self.severity, "strength": self.strength}
        figures = self.against and self.against.summary()
        return {**about, "top1": self.top1.to_json(), "against_first": figures}


@dataclass(frozen=True)
class Robustness:
    """The curve: every file at every corruption and severity, severity 0 being the images as they are."""

    points: tuple[Point, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a point: file, corruption, severity, strength, top1, n, low, high, agreement, difference."""
        import pandas as pd

        rows = [
            (p.file, p.corruption, p.severity, p.strength, p.top1.value, p.top1.n, *p.top1.ci95,
             p.against and p.against.agreement.value, p.against and p.against.difference)
            for p in self.points
        ]  # fmt: skip
        names = ["file", "corruption", "severity", "strength", "top1", "n", "low", "high", "agreement", "difference"]
        return pd.DataFrame(rows, columns=names)

    def mean_top1(self) -> Mapping[str, float]:
        """file -> the mean over the corruptions of their mean over the severities, without the clean images."""
        frame = self.to_frame()
        kinds = frame[frame["severity"] > 0].groupby(["file", "corruption"], sort=False)["top1"].mean()
        return {str(name): float(value) for name, value in kinds.groupby("file", sort=False).mean().items()}

    def to_json(self) -> dict[str, Any]:
        return {"mean_top1": dict(self.mean_top1()), "points": [one.to_json() for one in self.points]}


def robustness(
    given: Sequence[Fed],
    *,
    corruptions: Sequence[str] = NAMES,
    seed: int = 0,
    workers: int | None = None,
    batch_size: int | None = None,
    progress: Reporter = silent,
) -> Robustness:
    """Evaluates every file under every corruption (data/corrupt.py) and severity; the same pictures for a given seed.

    Raises as `evaluate` does, and UsageError for a corruption that is not known.
    """
    cases = [list(corrupted(one.split, corruptions, seed)) for one in given]
    points: list[Point] = []
    rounds = [[(CLEAN, 0, "as they are", one.split) for one in given]]
    rounds += [[(c.corruption, c.severity, c.strength, c.split) for c in row] for row in zip(*cases, strict=True)]
    for number, row in enumerate(rounds):
        progress(Progress("corrupt", number, len(rounds), f"{row[0][0]} {row[0][2]}"))
        found = [
            evaluate(one.file, split, one.preprocess, labels=one.labels, workers=workers, batch_size=batch_size)
            for one, (_, _, _, split) in zip(given, row, strict=True)
        ]
        points += [_point(found[0], one, *of[:3]) for one, of in zip(found, row, strict=True)]
    progress(Progress("corrupt", len(rounds), len(rounds)))
    return Robustness(tuple(points))


def _point(first: Evaluation, other: Evaluation, corruption: str, severity: int, strength: str) -> Point:
    against = None if other is first else paired(first, other)
    return Point(other.file, corruption, severity, strength, other.top1, against)
