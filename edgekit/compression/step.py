"""What every step of compression gives: a model, and what was done to which layer, what was not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Note:
    """One line of a report: what was done to a layer, or why it was left as it is."""

    layer: str
    text: str


@dataclass(frozen=True)
class Stepped:
    """The model after a step (a functional keras.Model, never the one that was given), and the report.

    `figures` are JSON values: counts, and whatever the step measured.
    """

    model: Any
    done: tuple[Note, ...] = ()
    skipped: tuple[Note, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report, without the model."""
        lists = {"done": self.done, "skipped": self.skipped}
        return {
            **{name: [{"layer": one.layer, "text": one.text} for one in notes] for name, notes in lists.items()},
            "figures": dict(self.figures),
        }
