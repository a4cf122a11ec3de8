"""`mixed`: the int8 file with the fewest layers left float that bring its accuracy back within the budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Io
from edgekit.compression.journal import Journal
from edgekit.compression.judge import FILE_SAMPLES, FILE_WORK, Judge, Score, judge_of
from edgekit.compression.sensitivity import LayerCost, measured_by, sensitivity
from edgekit.exporting.convert import quantized
from edgekit.exporting.export import Exported, Exporter
from edgekit.progress import Progress, Reporter, silent
from edgekit.recipe import Recipe
from edgekit.runtime.flatbuffer import without_metadata

GIVEN_BACK = 16  # tries, at most, to leave fewer layers in float than the beginning of the list

Left = tuple[LayerCost, ...]  # the operators that stay float, the noisiest first


@dataclass(frozen=True)
class Mixed:
    """The file, and how it was found. `reached`: it is within the budget; if not, it is the closest there is.

    `report` holds JSON values: what was asked and reached, the layers left float, the bytes and the operators that
    they cost, and the sensitivity of every layer.
    """

    exported: Exported
    report: dict[str, Any]
    reached: bool

    @property
    def sentence(self) -> str:
        """What came of it, for a report, or a failed check."""
        report = self.report
        layers = ", ".join(one["layer"] for one in report["float_layers"]) or "none"
        what = f"{report['lost']:.2f} {report['unit']}, budget {report['budget']:g}, with {len(report['float_layers'])}"
        within = "is within the budget" if self.reached else "is the closest to the budget that any mix comes"
        return f"The mixed file {within}: {what} layers in float ({layers})."


def mix(
    exporter: Exporter,
    folder: Path,
    *,
    io: Io = "float32",
    recipe: Recipe | None = None,
    max_drop_points: float = 1.0,
    against: bytes | None = None,
    progress: Reporter = silent,
    state: Path | None = None,
) -> Mixed:
    """Writes the mixed variant of a model into `folder`.

    Layers are left float in the order of `sensitivity`, as many as it takes; then each is given back that can be. Every
    mix is measured as a whole file on held-out samples: the top-1 points it loses, counted and also expected from the
    float answers' confidence (evaluation/confidence.py), which is all there is without labels and takes the chance out
    of few images; or for what is no classifier its signal to noise ratio, which has to reach `limits.min_sqnr_db`. They
    are lost from the model's own float file, or from `against`, a float32 .tflite that takes what the model takes.
    With a folder `state` a call that was interrupted continues.
    """
    layers = sensitivity(exporter, io=io, state=state, progress=progress)
    judge = judge_of(exporter, io, FILE_SAMPLES, work=FILE_WORK, against=against)
    search = _Search(exporter, io, judge, max_drop_points, state, progress)
    left = search.fewest(layers.layers)
    exported = exporter.write_mixed(folder, [one.tensor for one in left], io, recipe)
    report = {**search.report(left, exported), "sensitivity": layers.to_json()}
    return Mixed(exported, report, search.reaches(left))


class _Search:
    """Tries mixes, each measured once."""

    def __init__(
        self, exporter: Exporter, io: Io, judge: Judge, budget: float, state: Path | None, progress: Reporter
    ) -> None:
        self._made = exporter.calibrated(io)
        self._integer = exporter.integer
        self._io = io
        self._judge = judge
        self._progress = progress
        self._scores: dict[Left, Score] = {}
        self._journal = Journal(state, measured_by(self._made, judge))
        by = "sqnr_db" if not judge.classifier else "confidence" if judge.labels is None else "top1"
        self._unit = "dB of noise" if by == "sqnr_db" else "top-1 points lost"
        self._by = by
        self._budget = -exporter.limits.min_sqnr_db if by == "sqnr_db" else budget

    def fewest(self, layers: Sequence[LayerCost]) -> Left:
        """The smallest beginning of `layers` that reaches the budget, less what can be given back; else the closest."""
        if self.reaches(()):
            return ()
        high = 1
        while high < len(layers) and not self.reaches(tuple(layers[:high])):
            high *= 2
        high, low = min(high, len(layers)), high // 2
        if not self.reaches(tuple(layers[:high])):
            return min(self._scores, key=lambda left: (self._lost(left), len(left)))
        while high - low > 1:  # `low` does not reach, `high` does
            middle = (low + high) // 2
            low, high = (low, middle) if self.reaches(tuple(layers[:middle])) else (middle, high)
        return self._given_back(tuple(layers[:high]))

    def _given_back(self, left: Left) -> Left:
        """Less of them, still within the budget: what cost least comes first, some at a time where there are many."""
        whole, some = left, -(-len(left) // GIVEN_BACK)
        for start in range(len(whole) - some, -some, -some):
            returned = whole[max(0, start) : start + some]
            fewer = tuple(one for one in left if one not in returned)
            left = fewer if self.reaches(fewer) else left
        return left

    def reaches(self, left: Left) -> bool:
        return self._lost(left) <= self._budget

    def report(self, left: Left, exported: Exported) -> dict[str, Any]:
        """What was found, and what it costs next to the file with every layer quantized."""
        card = exported.artifact.card
        assert card is not None  # every exported file has one
        return {
            "by": self._by,
            "unit": self._unit,
            "budget": self._budget,
            "lost": self._lost(left),
            "score": self._score(left).to_json(),
            "int8_lost": self._lost(()),
            "int8_score": self._score(()).to_json(),
            "float_layers": [{"layer": one.layer, "op": one.op, "tensor": one.tensor} for one in left],
            "float_ops": len(exported.parity.float_ops),
            "model_bytes": card.model_bytes,
            "int8_bytes": len(without_metadata(self._integer(self._io))),
            "tried": len(self._scores),
        }

    def _lost(self, left: Left) -> float:
        """In the budget's unit; less is better."""
        score = self._score(left)
        if self._by == "sqnr_db":
            return -1000.0 if score.sqnr_db is None else -score.sqnr_db
        return max(one for one in (score.drop_points, score.expected_most) if one is not None)

    def _score(self, left: Left) -> Score:
        if left not in self._scores:
            tried = len(self._scores)
            self._progress(Progress("mixed", tried, tried + 1, f"{len(left)} layers in float"))
            tensors = sorted(one.tensor for one in left)
            found = self._journal.once(json.dumps(tensors), lambda: asdict(self._measured(tensors)))
            self._scores[left] = Score(**found)
        return self._scores[left]

    def _measured(self, tensors: Sequence[str]) -> Score:
        return self._judge.score(quantized(self._made, float_nodes=tensors))
