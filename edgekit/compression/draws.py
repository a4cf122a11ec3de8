"""How much an int8 file's accuracy depends on which images happened to calibrate it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Io
from edgekit.compression.journal import Journal
from edgekit.compression.judge import FILE_SAMPLES, FILE_WORK, Score, judge_of
from edgekit.compression.sensitivity import measured_by
from edgekit.data.calibration import choose
from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput
from edgekit.exporting.convert import quantized
from edgekit.exporting.export import Exporter
from edgekit.exporting.samples import Images
from edgekit.progress import Progress, Reporter, silent


@dataclass(frozen=True)
class Spread:
    """One Score a draw, on the same held-out samples; draw n is `choose(train, images, seed=n)`, 0 the usual one."""

    images: int
    scores: tuple[Score, ...]

    def summary(self, figure: str) -> dict[str, Any]:
        """Values, min, median and max of agreement, drop_points or sqnr_db; empty where there are none."""
        values = [getattr(one, figure) for one in self.scores]
        if None in values:
            return {}
        return {"values": values, "min": min(values), "median": statistics.median(values), "max": max(values)}

    def to_json(self) -> dict[str, Any]:
        figures = {name: self.summary(name) for name in ("agreement", "drop_points", "sqnr_db")}
        return {"images": self.images, "draws": len(self.scores), "n": self.scores[0].n, **figures}


def spread(
    exporter: Exporter,
    dataset: Dataset,
    *,
    draws: int = 5,
    images: int | None = None,
    io: Io = "float32",
    state: Path | None = None,
    progress: Reporter = silent,
) -> Spread:
    """Calibrates on `draws` draws of `images` training images (default: as many as calibrate now) and measures each
    int8 file on the held-out ones.

    `dataset` is the exporter's. With a folder `state` a call that was interrupted continues. Raises BadInput where all
    draws would be the same.
    """
    count = images or len(dataset.calibration)
    if count >= len(dataset.train):
        raise BadInput(
            f"There are {len(dataset.train):,} images to draw {count:,} calibration images from: all draws are alike.",
            "Give more images, or draw fewer.",
        )
    judge = judge_of(exporter, io, FILE_SAMPLES, work=FILE_WORK)
    journal = Journal(state, measured_by(exporter.calibrated(io), judge))
    scores = []
    for seed in range(draws):
        progress(Progress("draws", seed, draws))

        def measure(seed: int = seed) -> dict[str, Any]:
            drawn = replace(dataset, calibration=choose(dataset.train, count, seed))
            made = exporter.calibrated_on(Images(drawn).calibration(io), io)
            return judge.score(quantized(made)).to_json()

        scores.append(Score(**journal.once(f"{count} images, seed {seed}", measure)))
    progress(Progress("draws", draws, draws))
    return Spread(count, tuple(scores))
