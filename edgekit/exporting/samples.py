"""What goes through a model while it is exported, to calibrate it and to verify it: images, or arrays of any shape."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from edgekit.artifact import Io, Normalization
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.data.images import normalize
from edgekit.data.split import Split
from edgekit.errors import UsageError
from edgekit.exporting.convert import Calibration
from edgekit.preprocess import Preprocess
from edgekit.runtime.ranges import Inputs


class Samples(Protocol):
    """Both kinds give the same; `io` says what the file takes (docs/contracts.md, "Variants")."""

    labels: tuple[str, ...]

    def calibration(self, io: Io) -> Calibration: ...

    def reference(self, most: int) -> Inputs:
        """At most so many held-out samples, an array [n, ...] an input, as the model takes them."""

    def answers(self, most: int) -> np.ndarray | None:
        """int64 [n]: the labels of those samples; None where they have none."""

    def as_fed(self, reference: Inputs, io: Io) -> Inputs:
        """The same samples as the file takes them, before its input's quantization."""

    def preprocessing(self, io: Io) -> Preprocess | None:
        """What the caller does before feeding the file; None where it takes no images."""

    def normalization(self, io: Io) -> Normalization | None:
        """What the graph does to raw pixels."""

    def origin(self) -> dict[str, Any]:
        """For the card: name, hash, how many samples of what."""


class Images:
    """The images of a Dataset, for a model with one input [H, W, 3]."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.labels = dataset.class_names

    def calibration(self, io: Io) -> Calibration:
        split: Split = self._dataset.calibration
        feed = self.preprocessing(io)
        shape = (1, feed.height, feed.width, 3)

        def samples() -> Iterator[Inputs]:
            return ((normalize(split.read([i]), feed),) for i in range(len(split)))

        return Calibration(samples, tuple((normalize(np.full(shape, value, np.uint8), feed),) for value in (0, 255)))

    def reference(self, most: int) -> Inputs:
        pixels = self._pixels(min(len(self._dataset.val), most))
        return (normalize(pixels, self._dataset.preprocess),)

    def answers(self, most: int) -> np.ndarray | None:
        return self._dataset.val.labels[:most] if self._dataset.class_names else None

    def as_fed(self, reference: Inputs, io: Io) -> Inputs:
        if io == "float32":
            return reference
        return (normalize(self._pixels(len(reference[0])), self.preprocessing(io)),)

    def preprocessing(self, io: Io) -> Preprocess:
        own = self._dataset.preprocess
        return own if io == "float32" else own.raw_pixels()

    def normalization(self, io: Io) -> Normalization | None:
        own = self._dataset.preprocess
        return None if io == "float32" else Normalization(mean=own.mean, std=own.std)

    def origin(self) -> dict[str, Any]:
        data = self._dataset
        counts = {split.name: len(split) for split in (data.train, data.val, data.test, data.calibration)}
        return {"name": data.name, "sha256": data.sha256, "images": counts}

    @functools.lru_cache(maxsize=1)  # noqa: B019 - as long as the Exporter, and every `io` asks for the same ones
    def _pixels(self, count: int) -> np.ndarray:
        """uint8 [n, H, W, 3], decoded once"""
        return self._dataset.val.read(range(count))


class Arrays:
    """Arrays as the model takes them. Integer files are not fed pixels then, so `io` must be float32."""

    labels: tuple[str, ...] = ()

    def __init__(self, data: ArrayData) -> None:
        self._data = data

    def calibration(self, io: Io) -> Calibration:
        self._check(io)
        given = self._data.calibration
        return Calibration(lambda: (tuple(values[i : i + 1] for values in given) for i in range(len(given[0]))))

    def reference(self, most: int) -> Inputs:
        return tuple(values[:most] for values in self._data.held_out)

    def answers(self, most: int) -> None:
        return None

    def as_fed(self, reference: Inputs, io: Io) -> Inputs:
        self._check(io)
        return reference

    def preprocessing(self, io: Io) -> None:
        return None

    def normalization(self, io: Io) -> None:
        self._check(io)

    def origin(self) -> dict[str, Any]:
        data = self._data
        counts = {"calibration": len(data.calibration[0]), "held_out": len(data.held_out[0])}
        return {"name": data.name, "sha256": data.sha256, "samples": counts}

    def _check(self, io: Io) -> None:
        if io != "float32":
            raise UsageError(f"--io {io} is for models that take one RGB image.", "Use --io float32.")
