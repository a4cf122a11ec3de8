"""What a step has besides the model and its own configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.errors import UsageError
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.samples import Arrays, Images
from edgekit.progress import Reporter, silent
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.runtime.ranges import Inputs
from edgekit.train_config import Train
from edgekit.training.teacher import Teacher


@dataclass(frozen=True)
class StepContext:
    """`data` calibrates and, where it is a data set, trains.

    `train` is the recipe's: batch size, augmentation and what concerns labels are the same here. `softmax`: the file
    gives the probabilities of the model's logits; `classifier`: its output has a score a class. `state` is the folder
    in which the step keeps what it needs to continue. `meter` gives for a device what measures a model there
    (`stopwatch.meter`); None where nothing is measured. `teacher` is that of `train.distil`, where a step learns from
    it.
    """

    data: Dataset | ArrayData
    state: Path
    train: Train
    quantize: Quantize
    limits: Verify
    softmax: bool
    classifier: bool
    seed: int = 0
    progress: Reporter = silent
    meter: Callable[[str], Callable[[Any], float]] | None = None
    teacher: Teacher | None = None

    def teaching(self, model: Any, distil: bool | Literal["teacher"]) -> Any | None:
        """From whom a step learns: the model before it, the recipe's teacher, or nobody but the labels."""
        if distil == "teacher" and self.teacher is None:
            raise UsageError("There is no teacher that distil: teacher could mean.", "Set train.distil.teacher.")
        return self.teacher if distil == "teacher" else model if distil else None

    def calibration(self) -> Calibration:
        return replace(calibration_of(self.data), quantize=self.quantize)


def calibration_of(data: Dataset | ArrayData | np.ndarray | tuple[np.ndarray, ...]) -> Calibration:
    """The calibration images of a data set, or an array [n, ...] for each input, as the model takes it."""
    if isinstance(data, Dataset):
        return Images(data).calibration("float32")
    if isinstance(data, ArrayData):
        return Arrays(data).calibration("float32")
    given = data if isinstance(data, tuple) else (data,)

    def samples() -> Iterator[Inputs]:
        return (tuple(np.asarray(values[i : i + 1], np.float32) for values in given) for i in range(len(given[0])))

    return Calibration(samples)
