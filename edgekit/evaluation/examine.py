"""One `edgekit evaluate`: the files' answers, what they are against the first file's, and what is odd about them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.data.split import Split
from edgekit.errors import EdgekitWarning
from edgekit.evaluation.compare import Comparison, compare
from edgekit.evaluation.layers import Layers
from edgekit.evaluation.record import Evaluation
from edgekit.evaluation.reliability import BINS
from edgekit.evaluation.robustness import Robustness

SHOWN = 5  # names in one sentence


@dataclass(frozen=True)
class Examined:
    """`curves` is None where it was not asked for; `parts` are of each file but the first, where they were."""

    source: str
    evaluations: tuple[Evaluation, ...]
    curves: Robustness | None = None
    parts: tuple[Layers, ...] = ()

    @functools.cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Of each file but the first with the first."""
        return tuple(compare(self.evaluations[0], one) for one in self.evaluations[1:])

    def warn(self, split: Split) -> None:
        """Of what is odd about the images, and about the order of their classes."""
        for sentence in (*_twice(split), *_empty(self.evaluations[0]), *map(_order, self.evaluations)):
            if sentence:
                warnings.warn(sentence, EdgekitWarning, stacklevel=2)

    def to_json(self, top_k: Sequence[int] = (), bins: int = BINS) -> dict[str, Any]:
        rows = [one.to_json(top_k, bins) for one in self.evaluations]
        for row, against in zip(rows[1:], self.comparisons, strict=True):
            row["against_first"] = against.to_json()
        found = {"data": self.source, "data_sha256": self.evaluations[0].data_sha256, "files": rows}
        curves = self.curves and self.curves.to_json()
        return {**found, "robustness": curves, "layers": [one.to_json() for one in self.parts]}


def _twice(split: Split) -> list[str]:
    """Pictures that are there more than once, by pixels."""
    _, first, group = np.unique(split.hashes, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[group] != np.arange(len(split)))
    if not len(again):
        return []
    other = again[split.labels[again] != split.labels[first[group[again]]]]
    example = other[0] if len(other) else again[0]
    said = f"{len(again)} of {len(split)} images are there before, by pixels, and count again"
    unlike = f"; {len(other)} of them under another class" if len(other) else ""
    return [f"{said}{unlike} (first: {split.names[example]} is {split.names[first[group[example]]]})."]


def _empty(found: Evaluation) -> list[str]:
    names = found.empty_classes
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    listed = ", ".join(map(repr, names[:SHOWN])) + more
    return [f"{len(names)} of {len(found.class_names)} classes have no image: {listed}."] if names else []


def _order(found: Evaluation) -> str:
    order = found.other_order
    return f"{found.file}: {order.sentence(found.top1)}" if order else ""
