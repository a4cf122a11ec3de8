"""A finding, and what findings are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgekit.artifact import Card
from edgekit.evaluation.evaluate import Evaluation
from edgekit.measurement.look import Look
from edgekit.runtime.inspection import Inspection
from edgekit.runtime.shippable import Shippable
from edgekit.verification.verify import Verification

# What a finding costs, the dearest first.
KINDS = {
    "broken": "does not run, or would not in an app",
    "wrong": "gives other answers than it should",
    "slow": "takes time that it need not",
    "narrow": "does not run on every target",
    "untold": "leaves an app to guess",
}


@dataclass(frozen=True)
class Finding:
    """`name` is that of the check. `cost` is a share of 1: of the answers, of the time, or 1 for what does not work at
    all. `evidence` is what was seen, `fix` the command, or the lines of a recipe, that change it."""

    name: str
    kind: str
    said: str
    cost: float
    evidence: str
    fix: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.evidence or not self.fix:
            raise ValueError(f"the finding {self.name!r} is of no kind, or without evidence or fix")

    @property
    def rank(self) -> tuple[int, float]:
        """What comes first has the smallest."""
        return list(KINDS).index(self.kind), -self.cost

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Alternative:
    """The accuracy with images prepared in another way: `how`, and the flags that say it."""

    how: str
    flags: str
    evaluation: Evaluation


@dataclass(frozen=True)
class Evidence:
    """All that is known of one file. What could not be found out is None, and `unknown` says why. `alternatives` were
    tried on the images `tried`, positions in `evaluation`."""

    file: str
    inspection: Inspection
    shippable: Shippable
    card: Card | None
    look: Look | None = None
    verification: Verification | None = None
    evaluation: Evaluation | None = None
    alternatives: tuple[Alternative, ...] = ()
    tried: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()
