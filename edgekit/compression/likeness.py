"""How near the outputs of one model are to those of another, on some samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from edgekit.evaluation.metrics import sqnr_db
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.freeze import served

BATCH = 8  # samples at once
GAIN = 0.5  # dB, below which a difference may be that of other roundings alone


@dataclass(frozen=True)
class Likeness:
    """`sqnr_db`: of the worst output; `agreement`: the part of samples with the same largest output, None for what
    gives no vector a sample."""

    sqnr_db: float
    agreement: float | None
    samples: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sqnr_db": self.sqnr_db if np.isfinite(self.sqnr_db) else None}

    def better_than(self, other: Likeness) -> bool:
        return self.sqnr_db > other.sqnr_db + GAIN

    def said(self) -> str:
        same = "" if self.agreement is None else f" and {self.agreement:.1%} agreement"
        return f"{self.sqnr_db:.1f} dB{same}"


def likeness(reference: Any, model: Any, calibration: Calibration) -> Likeness:
    """Of `model` to `reference`, over all samples."""
    expected, found = (_outputs(one, calibration) for one in (reference, model))
    noise = min(sqnr_db(a, b) for a, b in zip(expected, found, strict=True))
    vectors = len(expected) == 1 and expected[0].ndim == 2 and expected[0].shape[1] > 1
    same = float(np.mean(expected[0].argmax(axis=1) == found[0].argmax(axis=1))) if vectors else None
    return Likeness(noise, same, len(expected[0]))


def _outputs(model: Any, calibration: Calibration) -> list[np.ndarray]:
    whole = served(model)
    made = [whole.call(*batch) for batch in _batches(calibration)]
    return [np.concatenate([keras.ops.convert_to_numpy(one) for one in outputs]) for outputs in zip(*made, strict=True)]


def _batches(calibration: Calibration) -> Iterator[tuple[np.ndarray, ...]]:
    samples = list(calibration.samples())
    for start in range(0, len(samples), BATCH):
        yield tuple(np.concatenate(arrays) for arrays in zip(*samples[start : start + BATCH], strict=True))
